package build

import (
	"context"
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
	for _, u := range s.Stranded() {
		ms = append(ms, u.Module)
	}
	return ms
}

// NoteFailures remembers what a summary for a kernel tells of modules that were not installed, where the run has not done so
// itself. Only a build that failed is known to fail again with the same inputs; what is noted here is tried the next time.
func (b *Builder) NoteFailures(t Target, s Summary) error {
	note := func(m dkms.Module, text string) error {
		return b.NoteFailure(dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}, text)
	}
	var errs []error
	for _, f := range s.Failed {
		errs = append(errs, note(f.Module, f.Err.Error()))
	}
	for _, u := range s.Stranded() {
		errs = append(errs, note(u.Module, fmt.Sprintf("missing dependencies: %s", strings.Join(u.Missing, " "))))
	}
	return errors.Join(errs...)
}

// NoteFailure remembers that i could not be built or installed, unless a run has noted that, and more, itself.
func (b *Builder) NoteFailure(i dkms.Instance, text string) error {
	if _, noted := b.Tree.Failure(i); noted {
		return nil
	}
	return b.Tree.NoteFailure(dkms.Failure{Instance: i, Message: text, Time: b.Now()})
}

// failureTrigger is the trigger of our Debian package with which it is asked to tell at the end of dpkg's run what failed.
const failureTrigger = "dkms-failed"

// RepeatFailures has what is noted of failures told once more at the end of a run of dpkg, where we are part of one: what is
// said in its middle is easily missed.
func (b *Builder) RepeatFailures(ctx context.Context) { b.trigger(ctx, failureTrigger) }
