package conf

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strings"
)

// The BUILD_EXCLUSIVE_* directives restrict records to kernels. Element 0 restricts every record, element n record n on
// top of that. A package is excluded when no record is left.

// exclusive is the set of restrictions with one index.
type exclusive struct {
	kernel, kernelMin, kernelMax, arch, config string
}

func (m *Module) exclusive(i int) exclusive {
	v := m.values
	x := exclusive{
		kernel:    v.at("BUILD_EXCLUSIVE_KERNEL", i),
		kernelMin: v.at("BUILD_EXCLUSIVE_KERNEL_MIN", i),
		kernelMax: v.at("BUILD_EXCLUSIVE_KERNEL_MAX", i),
		arch:      v.at("BUILD_EXCLUSIVE_ARCH", i),
		config:    v.at("BUILD_EXCLUSIVE_CONFIG", i),
	}
	if i == 0 && m.ObsoleteBy != "" && !m.anyKernelMax() {
		x.kernelMax = m.ObsoleteBy
	}
	return x
}

// anyKernelMax reports whether a BUILD_EXCLUSIVE_KERNEL_MAX counts; if none does, OBSOLETE_BY takes its place.
func (m *Module) anyKernelMax() bool {
	if m.values.first("BUILD_EXCLUSIVE_KERNEL_MAX") != "" {
		return true
	}
	for i := range m.Records {
		if m.values.at("BUILD_EXCLUSIVE_KERNEL_MAX", i) != "" {
			return true
		}
	}
	return false
}

// HasExclusive reports whether any restriction applies to any record. Without records there is none.
func (m *Module) HasExclusive() bool {
	for i := range m.Records {
		if m.exclusive(i) != (exclusive{}) {
			return true
		}
	}
	return false
}

// Buildable returns the indexes of the records to be built for a target. None, together with HasExclusive, means that the
// package is excluded.
func (m *Module) Buildable(ctx context.Context, t Target) ([]int, error) {
	var indexes []int
	for i := range m.Records {
		excluded, err := m.Excluded(ctx, t, i)
		if err != nil {
			return nil, err
		}
		if !excluded {
			indexes = append(indexes, i)
		}
	}
	return indexes, nil
}

// Excluded reports whether record i is not to be built for a target. An invalid pattern excludes.
func (m *Module) Excluded(ctx context.Context, t Target, i int) (bool, error) {
	for _, n := range []int{0, i} {
		excluded, err := m.loader.excludes(ctx, m.exclusive(n), t)
		if excluded || err != nil {
			return excluded, err
		}
		if i == 0 {
			break
		}
	}
	return false, nil
}

func (l *Loader) excludes(ctx context.Context, x exclusive, t Target) (bool, error) {
	for _, p := range []struct{ subject, pattern string }{{t.Kernel, x.kernel}, {t.Arch, x.arch}} {
		if p.pattern == "" {
			continue
		}
		answer, err := l.matches(ctx, p.subject, p.pattern)
		if err != nil || answer != matched {
			return true, err
		}
	}
	if x.kernelMin != "" && CompareVersions(t.Kernel, x.kernelMin) < 0 {
		return true, nil
	}
	if x.kernelMax != "" && CompareVersions(t.Kernel, x.kernelMax) > 0 {
		return true, nil
	}
	if x.config == "" {
		return false, nil
	}
	return l.configExcludes(x.config, t.KernelConfig)
}

// configExcludes looks for a list of options in a kernel configuration: NAME must be y or m there, !NAME must not.
// Without a configuration nothing is excluded.
func (l *Loader) configExcludes(list, abs string) (bool, error) {
	config, err := l.Root.ReadFile(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	for option := range strings.FieldsSeq(list) {
		name, unwanted := strings.CutPrefix(option, "!")
		if enabled(config, name) == unwanted {
			return true, nil
		}
	}
	return false, nil
}

// enabled reports whether a kernel configuration has a line NAME=y or NAME=m. Upstream gives the name to grep, so that it
// is a basic regular expression; names that are plain words are looked up directly.
func enabled(config []byte, name string) bool {
	if identifier(name) == name {
		for _, value := range []string{"y", "m"} {
			line := []byte("\n" + name + "=" + value)
			if bytes.HasPrefix(config, line[1:]) || bytes.Contains(config, line) {
				return true
			}
		}
		return false
	}
	re, err := regexp.CompilePOSIX("^" + extended(name) + "=[ym]")
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(bytes.NewReader(config))
	lines.Buffer(nil, len(config)+1)
	for lines.Scan() {
		if re.Match(lines.Bytes()) {
			return true
		}
	}
	return false
}

// extended rewrites a basic regular expression as an extended one, as far as such names go.
func extended(basic string) string {
	var b strings.Builder
	for _, c := range basic {
		if strings.ContainsRune("+?(){}|", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
