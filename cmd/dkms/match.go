package main

import (
	"context"
	"path"

	"dkms-go/build"
	"dkms-go/dkms"
)

func matchVerb() verb {
	return verb{
		name: "match", about: "install the modules that are installed on another kernel",
		usage:   "match --templatekernel KERNEL [-k KERNEL] [MODULE] [OPTION]...",
		options: []string{"module", "kernelver", "arch", "templatekernel", "force", "kernelsourcedir", "config", "j", "no-initramfs", "initramfs-later", "no-depmod", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.match(ctx) },
	}
}

func (s *session) match(ctx context.Context) error {
	if err := s.needRoot(); err != nil {
		return err
	}
	t, err := s.oneTarget(ctx)
	if err != nil {
		return err
	}
	switch {
	case s.template == "":
		return &dkms.Error{Kind: dkms.NoTemplate}
	case s.template == t.Kernel:
		return &dkms.Error{Kind: dkms.SameTemplate}
	case s.module.Name != "":
		if err := dkms.CheckName("module name", s.module.Name); err != nil {
			return err
		}
		if _, err := s.root.Stat(path.Join(s.Tree.Options().DKMSTree, s.module.Name)); err != nil {
			return &dkms.Error{Kind: dkms.ModuleUnknown, Instance: dkms.Instance{Module: s.module}}
		}
	}
	if err := dkms.CheckName("kernel release", s.template); err != nil {
		return err
	}
	p, err := s.plan(ctx, build.Request{
		Goal: build.Match, Module: s.module, Targets: []build.Target{t}, Template: build.Target{Kernel: s.template, Arch: t.Arch},
	})
	if err != nil || s.dryRun {
		return err
	}
	for _, m := range p.Broken {
		s.brokenModule(m)
	}
	s.say("\nMatching modules in kernel: %s (%s)\nto the configuration of kernel: %s (%s)", t.Kernel, t.Arch, s.template, t.Arch)
	if len(p.Parts) == 0 {
		s.say("\nThere is nothing to be done for this match.")
		return nil
	}
	if err := s.CheckHeaders(t); err != nil {
		return err
	}
	if err := s.Run(ctx, p).Err(); err != nil {
		return reportedError{err}
	}
	return nil
}
