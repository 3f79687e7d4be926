package main

import (
	"context"
	"errors"
	"path"
	"path/filepath"

	"dkms-go/build"
	"dkms-go/dkms"
)

func addVerb() verb {
	return verb{
		name: "add", about: "register a module",
		usage:   "add {MODULE/VERSION | DIRECTORY | DKMS.CONF | ARCHIVE} [OPTION]...",
		options: []string{"module", "v", "c", "force", "directive", "kernelver", "arch", "rpm_safe_upgrade", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.upward(ctx, build.Add) },
	}
}

func buildVerb() verb {
	return verb{
		name: "build", about: "build a module for a kernel",
		usage: "build {MODULE/VERSION | DIRECTORY | DKMS.CONF | ARCHIVE} [OPTION]...",
		options: []string{
			"module", "v", "kernelver", "arch", "c", "force", "config", "kernelsourcedir", "directive", "j",
			"dry-run", "json", "trace",
		},
		run: func(ctx context.Context, s *session) error { return s.upward(ctx, build.Build) },
	}
}

func installVerb() verb {
	return verb{
		name: "install", about: "install a module into a kernel, building it first where needed",
		usage: "install {MODULE/VERSION | DIRECTORY | DKMS.CONF | ARCHIVE} [OPTION]...",
		options: []string{
			"module", "v", "kernelver", "arch", "c", "force", "config", "kernelsourcedir", "directive", "j",
			"force-version-override", "rpm_safe_upgrade", "symlink-modules", "no-initramfs", "initramfs-later", "no-depmod", "modprobe-on-install",
			"dry-run", "json", "trace",
		},
		run: func(ctx context.Context, s *session) error { return s.upward(ctx, build.Install) },
	}
}

// upward is add, build and install: the verbs that may be given sources.
func (s *session) upward(ctx context.Context, goal build.Action) error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	if err := s.noAll(); err != nil {
		return err
	}
	if goal != build.Add {
		if err := s.notBroken(); err != nil {
			return err
		}
	}
	ts, err := s.permitted(ctx, goal == build.Install)
	if err != nil {
		return err
	}
	r := build.Request{Goal: goal, Module: s.module, Targets: ts}
	if s.archive != "" && s.module == (dkms.Module{}) {
		return s.loadArchive(ctx, r)
	}
	if s.source != "" && s.module == (dkms.Module{}) {
		if r.Source, err = s.importSource(); err != nil {
			return err
		}
	} else if err := s.needModuleFor("add"); err != nil {
		return err
	}
	return s.do(ctx, r)
}

// needModuleFor is needModule with the usage of another verb: a module that is not known at all can only be added.
func (s *session) needModuleFor(verb string) error {
	err := s.needModule()
	var e *dkms.Error
	if errors.As(err, &e) && e.Kind == dkms.MissingArguments {
		e.Subject = verb
	}
	return err
}

// importSource returns the source tree that was given as a word. Words are paths of the machine that the command runs on.
func (s *session) importSource() (*build.Source, error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(s.dir, s.source))
	if filepath.IsAbs(s.source) {
		dir, err = filepath.EvalSymlinks(s.source)
	}
	if err != nil || !s.IsFile(path.Join(dir, "dkms.conf")) {
		return nil, &dkms.Error{Kind: dkms.NoConfInSource, Subject: s.source, Err: err}
	}
	if err := s.needRoot(); err != nil {
		return nil, err
	}
	root := s.host
	if s.root.Dir() == s.host.Dir() {
		root = s.root
	}
	return &build.Source{Root: root, Dir: dir}, nil
}
