package conf

import (
	"context"
	"errors"
	"io/fs"
	"strings"
)

// Distribution is the class of a distribution, upstream's running_distribution: "ubuntu", or what os-release says in
// ID_LIKE, which may be several words, or else in ID.
type Distribution string

// Is reports whether the class begins with one of the prefixes: upstream compares with patterns such as rhel*.
func (d Distribution) Is(prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(string(d), p) {
			return true
		}
	}
	return false
}

// NoOSReleaseError says that the system has no os-release file.
type NoOSReleaseError struct{ Looked []string }

func (e *NoOSReleaseError) Error() string {
	return "system has no os-release file, looked for " + strings.Join(e.Looked, ", ")
}

// Distribution reads the first os-release file that exists, as distro_version of dkms.in does. The file is a shell script
// to upstream, so a plain one is read in process and any other by bash; the values are not evaluated a second time.
func (l *Loader) Distribution(ctx context.Context) (Distribution, error) {
	looked := []string{"/etc/os-release", "/usr/lib/os-release"}
	for _, abs := range looked {
		f := l.read(abs)
		if errors.Is(f.err, fs.ErrNotExist) {
			continue
		}
		start := variables{}
		for _, name := range []string{"ID", "ID_LIKE"} {
			if value, ok := l.environment().values[name]; ok {
				start.set(name, 0, value)
			}
		}
		states, err := l.evaluate(ctx, request{
			files: []source{f}, wanted: []string{"ID", "ID_LIKE"}, start: start, preset: l.Vars, once: true,
		})
		if err != nil {
			return "", err
		}
		return distribution(states[0]), nil
	}
	return "", &NoOSReleaseError{Looked: looked}
}

func distribution(v variables) Distribution {
	id := v.first("ID")
	if id != "ubuntu" && len(v["ID_LIKE"]) > 0 {
		id = v.first("ID_LIKE")
	}
	return Distribution(strings.TrimRight(id, "\n"))
}
