package build

import (
	"errors"
	"fmt"
	"strings"

	"dkms-go/dkms"
)

// Missing returns the modules of a summary that are not installed although they should be. Those that wait for a module that
// is not registered are not among them.
func (s Summary) Missing() []dkms.Module {
	var ms []dkms.Module
	for _, f := range s.Failed {
		ms = append(ms, f.Module)
	}
	for _, f := range s.Hopeless {
		ms = append(ms, f.Instance.Module)
	}
	for _, u := range s.Unmet {
		ms = append(ms, u.Module)
	}
	return ms
}

// NoteFailures remembers what a summary for a kernel tells of modules that were not installed, where the run has not done so
// itself. Only a build that failed is known to fail again with the same inputs; what is noted here is tried the next time.
func (b *Builder) NoteFailures(t Target, s Summary) error {
	note := func(m dkms.Module, text string) error {
		i := dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}
		if _, noted := b.Tree.Failure(i); noted {
			return nil
		}
		return b.Tree.NoteFailure(dkms.Failure{Instance: i, Message: text, Time: b.Now()})
	}
	var errs []error
	for _, f := range s.Failed {
		errs = append(errs, note(f.Module, f.Err.Error()))
	}
	for _, u := range s.Unmet {
		errs = append(errs, note(u.Module, fmt.Sprintf("missing dependencies: %s", strings.Join(u.Missing, " "))))
	}
	return errors.Join(errs...)
}
