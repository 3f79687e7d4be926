package main

import (
	"context"
	"path"
	"strings"

	"dkms-go/build"
	"dkms-go/dkms"
)

func mktarballVerb() verb {
	return verb{
		name: "mktarball", about: "put a module and its builds into an archive",
		usage: "mktarball MODULE/VERSION [OPTION]...",
		options: []string{
			"module", "v", "kernelver", "arch", "all", "archive", "binaries-only", "source-only", "c", "dry-run", "json",
		},
		run: func(ctx context.Context, s *session) error { return s.mktarball(ctx) },
	}
}

func (s *session) mktarball(ctx context.Context) error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	if err := s.needModule(); err != nil {
		return err
	}
	if err := s.Tree.CheckRegistered(s.module); err != nil {
		return err
	}
	ts, err := s.targets(ctx)
	if err != nil {
		return err
	}
	if s.sourceOnly {
		ts = nil
	}
	// A module without sources has nothing but binaries.
	p := build.Packing{Module: s.module, Targets: ts, NoSource: s.binariesOnly || s.Tree.BinariesOnly(s.module) && !s.sourceOnly}
	s.place(&p)
	if s.dryRun {
		return s.showPacking(p)
	}
	return s.Pack(ctx, p)
}

// place decides where the archive goes. A path given with --archive is one of the machine that the command runs on, like
// the archives that are read; a mere name, or none, belongs beside the module.
func (s *session) place(p *build.Packing) {
	name := s.archive
	if name == "" {
		var kernels []dkms.Target
		for _, t := range p.Targets {
			kernels = append(kernels, dkms.Target{Kernel: t.Kernel, Arch: t.Arch})
		}
		name = dkms.ArchiveName(s.module, kernels, s.sourceOnly)
	}
	if strings.Contains(name, "/") {
		p.Root, p.File, p.Shown = s.host, s.abs(name), name
		return
	}
	dir := path.Join(s.Tree.ModuleDir(s.module), "tarball")
	p.Root, p.File, p.Shown = s.root, path.Join(dir, name), dir+"//"+name
}

// showPacking prints what would be packed.
func (s *session) showPacking(p build.Packing) error {
	steps := []jsonStep{}
	for _, t := range p.Targets {
		steps = append(steps, jsonStep{Action: s.verb, Module: p.Module.Name, Version: p.Module.Version, Kernel: t.Kernel, Arch: t.Arch, What: "into " + p.Shown})
	}
	if !p.NoSource {
		steps = append(steps, jsonStep{Action: s.verb, Module: p.Module.Name, Version: p.Module.Version, What: "sources into " + p.Shown})
	}
	return s.showSteps(steps)
}
