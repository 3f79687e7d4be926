package main

import (
	"context"
	"fmt"

	"dkms-go/build"
	"dkms-go/dkms"
)

func kernelPrermVerb() verb {
	return verb{
		name: "kernel_prerm", about: "unbuild everything for a kernel that is being removed",
		usage:   "kernel_prerm -k KERNEL",
		options: []string{"kernelver", "arch", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.vacate(ctx, false) },
	}
}

func kernelPreinstVerb() verb {
	return verb{
		name: "kernel_preinst", about: "unbuild what autoinstall will build again, before a kernel is installed over itself",
		usage:   "kernel_preinst -k KERNEL",
		options: []string{"kernelver", "arch", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.vacate(ctx, true) },
	}
}

// needOneKernel returns an error unless exactly one kernel is named.
func (s *session) needOneKernel() error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	if err := s.noAll(); err != nil {
		return err
	}
	if len(s.kernels) != 1 {
		return &dkms.Error{Kind: dkms.OneKernelNeeded, Subject: s.verb, Remedy: "give one -k"}
	}
	return nil
}

// vacate unbuilds the modules of a kernel.
func (s *session) vacate(ctx context.Context, wanted bool) error {
	if err := s.needOneKernel(); err != nil {
		return err
	}
	t, err := s.oneTarget(ctx)
	if err != nil {
		return err
	}
	if err := s.needRoot(); err != nil {
		return err
	}
	p, err := s.plan(ctx, build.Request{Goal: build.Vacate, Targets: []build.Target{t}, Wanted: wanted})
	if err != nil || s.dryRun {
		return err
	}
	var failed []string
	report := s.Run(ctx, p)
	if err := report.Interrupted(); err != nil {
		return reportedError{err}
	}
	for _, res := range report.Results {
		if res.Err == nil {
			continue
		}
		if res.Step.Part < 0 {
			return reportedError{res.Err}
		}
		failed = append(failed, fmt.Sprintf("%s(%d)", res.Step.Instance.Module, exitStatus(res.Err)))
	}
	if len(failed) > 0 {
		return &dkms.Error{Kind: dkms.VacateFailed, Instance: dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}, Subject: s.verb, Detail: failed}
	}
	return nil
}
