package conf

import (
	"context"
	"strings"
)

// Autoinstall reports whether a dkms.conf sets AUTOINSTALL to anything at all. The file is read by itself, without a kernel,
// override files or directives, and its values count as they are: so does dkms_common.postinst, before it knows a kernel. A
// file that is not there does not.
func (l *Loader) Autoinstall(ctx context.Context, abs string) (bool, error) {
	f := l.read(abs)
	if f.err != nil {
		return false, nil //nolint:nilerr // as if it said nothing
	}
	const name = "AUTOINSTALL"
	states, err := l.evaluate(ctx, request{files: []source{f}, wanted: []string{name}, start: variables{}, once: true})
	if err != nil {
		return false, err
	}
	return strings.Trim(states[0].first(name), " \t\n") != "", nil
}
