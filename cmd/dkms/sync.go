package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dkms-go/build"
	"dkms-go/dkms"
)

func syncVerb() verb {
	return verb{
		name: "sync", about: "install every module that wants it into every kernel, and bring what is installed up to date",
		usage:   "sync [-k KERNEL]... [OPTION]...",
		options: []string{"kernelver", "arch", "force", "j", "no-initramfs", "initramfs-later", "no-depmod", "hook", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.sync(ctx) },
	}
}

// sync brings kernels to the state that they should have. Doing it twice is doing it once.
func (s *session) sync(ctx context.Context) error {
	if err := s.noAll(); err != nil {
		return err
	}
	ts, err := s.kernelsToSync(ctx)
	if err != nil {
		return err
	}
	if err := s.needRoot(); err != nil {
		return err
	}
	if s.verb == "sync" && s.hook && s.switchedOff() {
		return nil // at each boot: not worth a word
	}
	if s.disabled() {
		return nil
	}
	p, err := s.plan(ctx, build.Request{Goal: build.Sync, Targets: ts})
	if err != nil || s.dryRun {
		return err
	}
	for _, m := range p.Broken {
		s.brokenModule(m)
	}
	report := s.Run(ctx, p)
	if err := report.Interrupted(); err != nil {
		return reportedError{err}
	}
	var errs []error
	for _, res := range report.Results {
		if res.Step.Part < 0 && res.Err != nil { // a kernel cannot be worked for
			errs = append(errs, reportedError{res.Err})
		}
	}
	for _, t := range ts {
		errs = append(errs, s.synced(ctx, t, report))
	}
	for _, w := range p.Waiting {
		s.warning(waiting(w)...)
	}
	failure := unreported(errs)
	if s.hook {
		return s.lenient(ctx, report, ts, failure)
	}
	return failure
}

// unreported is those of some errors that have not been printed; if all have, it is all of them, as one that has.
func unreported(errs []error) error {
	left := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil || reported(err) })
	if all := errors.Join(errs...); all != nil && len(left) == 0 {
		return reportedError{all}
	}
	return errors.Join(left...)
}

// kernelsToSync returns the kernels of -k, or all. In a hook of autoinstall it is one.
func (s *session) kernelsToSync(ctx context.Context) ([]build.Target, error) {
	every := s.verb == "sync" || s.verb == "watch" || s.allKernels
	if len(s.kernels) > 0 || !every {
		return s.targets(ctx)
	}
	if err := s.checkOptions(); err != nil {
		return nil, err
	}
	return s.Kernels(s.usualArch(ctx))
}

// synced prints what became of the modules of one kernel, if anything was to be done there, and lets the administrator's
// command follow.
func (s *session) synced(ctx context.Context, t build.Target, report *build.Report) error {
	sum := report.Summary(t)
	tried := 0
	for _, part := range report.Plan.Parts {
		if part.Instance.Kernel == t.Kernel {
			tried++
		}
	}
	if tried == 0 && len(sum.Hopeless) == 0 {
		return nil
	}
	err := s.summarize(t.Kernel, sum)
	if err == nil && tried > 0 {
		err = s.Finish(ctx, t)
	}
	return err
}

// waiting says what a kernel without headers lacks, and how to mend that.
func waiting(w build.WaitingKernel) []string {
	names := make([]string, len(w.Modules))
	for n, m := range w.Modules {
		names[n] = m.String()
	}
	lines := []string{fmt.Sprintf("Kernel %s (%s) waits for its headers, without which these modules cannot be built: %s.",
		w.Target.Kernel, w.Target.Arch, strings.Join(names, " "))}
	if w.Package != "" {
		lines = append(lines, "Install the package "+w.Package+", then type: dkms sync -k "+w.Target.Kernel)
	}
	return lines
}

// hopeless says that a build is not tried again.
func hopeless(f dkms.Failure) string {
	return fmt.Sprintf("%s has failed before, and nothing has changed since. See %s, or override by specifying --force.", f.Instance, or(f.Log, f.Message))
}
