package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dkms-go/build"
	"dkms-go/dkms"
	"dkms-go/hooks"
)

func autoinstallVerb() verb {
	return verb{
		name: "autoinstall", about: "install every module that wants it into a kernel",
		usage:   "autoinstall [-k KERNEL] [OPTION]...",
		options: []string{"kernelver", "arch", "force", "kernelsourcedir", "config", "j", "no-initramfs", "initramfs-later", "no-depmod", "modprobe-on-install", "all-kernels", "hook", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.autoinstall(ctx) },
	}
}

func kernelPostinstVerb() verb {
	return verb{
		name: "kernel_postinst", about: "autoinstall, for the package of a kernel",
		usage:   "kernel_postinst -k KERNEL [OPTION]...",
		options: []string{"kernelver", "arch", "j", "hook", "no-initramfs", "initramfs-later", "dry-run", "json", "trace"},
		run: func(ctx context.Context, s *session) error {
			if err := s.needOneKernel(); err != nil {
				return err
			}
			return s.autoinstall(ctx)
		},
	}
}

// switchedOff reports whether the administrator has turned automatic installation off.
func (s *session) switchedOff() bool {
	fi, err := s.root.Stat(hooks.NoAutoinstall)
	return err == nil && fi.Mode().IsRegular()
}

// disabled reports whether the administrator has turned automatic installation off, and says so.
func (s *session) disabled() bool {
	if !s.switchedOff() {
		return false
	}
	s.say("Automatic installation of modules has been disabled.")
	return true
}

// autoinstall installs every module that wants it, and prints a summary.
func (s *session) autoinstall(ctx context.Context) error {
	if s.allKernels || s.hook {
		return s.sync(ctx)
	}
	t, err := s.oneTarget(ctx)
	if err != nil {
		return err
	}
	if err := s.needRoot(); err != nil {
		return err
	}
	if s.disabled() {
		return nil
	}
	p, err := s.plan(ctx, build.Request{Goal: build.Autoinstall, Targets: []build.Target{t}})
	if err != nil || s.dryRun {
		return err
	}
	for _, m := range p.Broken {
		s.failure(m.String()+" is broken! Missing the source directory or the symbolic link pointing to it.",
			"Manual intervention is required!")
	}
	if len(p.Parts) == 0 {
		return nil
	}
	report := s.Run(ctx, p)
	if err := report.Interrupted(); err != nil {
		return reportedError{err}
	}
	for _, res := range report.Results {
		if res.Step.Part < 0 && res.Err != nil { // the kernel itself cannot be worked for
			return reportedError{res.Err}
		}
	}
	sum := report.Summary(t)
	if err := s.summarize(t.Kernel, sum); err != nil {
		return err
	}
	if len(sum.Succeeded) > len(p.Present) {
		return s.Finish(ctx, t)
	}
	return nil
}

// summarize prints what became of the modules and returns an error if there was a failure.
func (s *session) summarize(kernel string, sum build.Summary) error {
	list := func(what string, names []string) {
		if len(names) > 0 {
			s.say("Autoinstall on %s %s for module(s) %s.", kernel, what, strings.Join(names, " "))
		}
	}
	failed := make([]string, len(sum.Failed))
	for n, f := range sum.Failed {
		failed[n] = fmt.Sprintf("%s(%d)", f.Name, exitStatus(f.Err))
	}
	list("succeeded", sum.Succeeded)
	list("was skipped", sum.Skipped)
	list("failed", failed)
	for _, f := range sum.Hopeless {
		s.say("%s", hopeless(f))
	}
	var deferred []string
	for _, u := range sum.Unmet {
		if u.Deferred {
			s.say("%s autoinstall deferred: BUILD_DEPENDS not registered with DKMS: %s.", u.Module, strings.Join(u.Missing, " "))
			deferred = append(deferred, u.Module.String())
			continue
		}
		s.say("%s autoinstall failed due to missing dependencies: %s.", u.Module, strings.Join(u.Missing, " "))
	}
	s.circles(sum.Stranded())
	if len(deferred) > 0 {
		s.say("Autoinstall on %s deferred module(s) %s due to BUILD_DEPENDS not yet registered with DKMS.", kernel, strings.Join(deferred, " "))
		s.say("These may be provided externally or by a package not yet configured; autoinstall will retry on the next trigger.")
	}
	if len(sum.Failed) > 0 || len(sum.Stranded()) > 0 || len(sum.Hopeless) > 0 {
		return &dkms.Error{Kind: dkms.AutoinstallFailed, Instance: dkms.Instance{Kernel: kernel}}
	}
	return nil
}

// circles names the modules that wait for each other, each circle once.
func (s *session) circles(us []build.UnmetModule) {
	told := map[string]bool{}
	if !s.rich && s.verb != "sync" { // dkms 3.4 has no word for it
		return
	}
	for _, u := range us {
		members := slices.Sorted(slices.Values(u.Circle))
		key := strings.Join(slices.Compact(members), " ")
		if key == "" || told[key] {
			continue
		}
		told[key] = true
		s.say("BUILD_DEPENDS of these modules go round in a circle: %s.", strings.Join(u.Circle, " needs "))
	}
}
