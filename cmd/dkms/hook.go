package main

import (
	"context"
	"errors"
	"fmt"

	"dkms-go/build"
	"dkms-go/conf"
	"dkms-go/dkms"
)

// A hook of a package manager must not leave half a system behind because one driver does not compile. With --hook what can
// be installed is, what cannot is remembered for "dkms status --failed" and told at the end, and the status is 0, unless a
// module that the administrator requires is among it.

// lenient is what a failure of a run comes to in a hook.
func (s *session) lenient(ctx context.Context, report *build.Report, ts []build.Target, failure error) error {
	if failure == nil {
		return nil
	}
	required := false
	var missing []string
	for _, t := range ts {
		sum := report.Summary(t)
		if err := s.NoteFailures(t, sum); err != nil {
			s.warning(err.Error())
		}
		for _, m := range sum.Missing() {
			missing = append(missing, fmt.Sprintf("%s for kernel %s", m, t.Kernel))
			required = required || s.Settings.Module(m.Name).Policy == conf.Required
		}
	}
	if len(missing) == 0 {
		var e *dkms.Error
		if errors.As(failure, &e) && e.Kind == dkms.ImageFailed {
			return nil // it has been told, and is noted
		}
		return failure // not one of a module
	}
	if !required {
		s.notAllInstalled(missing)
		s.RepeatFailures(ctx)
		return nil
	}
	var e *dkms.Error
	if !errors.As(failure, &e) || e.Kind != dkms.AutoinstallFailed {
		return &dkms.Error{Kind: dkms.AutoinstallFailed, Instance: dkms.Instance{Kernel: ts[0].Kernel}, Err: failure}
	}
	return failure
}
