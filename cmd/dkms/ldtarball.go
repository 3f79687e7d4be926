package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"dkms-go/build"
	"dkms-go/dkms"
	"dkms-go/dkms/proc"
)

func ldtarballVerb() verb {
	return verb{
		name: "ldtarball", about: "register a module, with its builds, out of an archive",
		usage:   "ldtarball ARCHIVE [OPTION]...",
		options: []string{"archive", "force", "kernelver", "arch", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.ldtarball(ctx) },
	}
}

func (s *session) ldtarball(ctx context.Context) error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	if s.force {
		if err := s.needRoot(); err != nil {
			return err
		}
	}
	if strings.HasSuffix(s.archive, ".rpm") && s.IsFile(s.archive) {
		return s.installPackage(ctx)
	}
	s.all = false // means nothing here
	ts, err := s.targets(ctx)
	if err != nil {
		return err
	}
	return s.loadArchive(ctx, build.Request{Goal: build.Add, Targets: ts})
}

// loadArchive does what r asks for with the module in the archive that was given.
func (s *session) loadArchive(ctx context.Context, r build.Request) error {
	a, err := s.openArchive(ctx)
	if err != nil {
		return err
	}
	r.Archive = a
	if a.Form != dkms.WithBinaries { // sources go where only root may write
		err = s.needRoot()
	}
	if err == nil {
		err = s.do(ctx, r)
	}
	if gone := s.Discard(a); err == nil {
		err = gone
	}
	return err
}

// openArchive reads and unpacks the archive that was given: a file of the machine that the command runs on.
func (s *session) openArchive(ctx context.Context) (*build.Archive, error) {
	if s.archive == "" {
		return nil, &dkms.Error{Kind: dkms.ArchiveMissing, Remedy: "give the path of an archive made by dkms mktarball"}
	}
	if fi, err := os.Stat(s.archive); err == nil && !fi.Mode().IsRegular() {
		return nil, &dkms.Error{Kind: dkms.ArchiveRefused, Subject: s.archive, Detail: []string{"It is no file."}}
	}
	f, err := s.host.Open(s.abs(s.archive))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &dkms.Error{Kind: dkms.ArchiveMissing, Subject: s.archive}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.Unpack(ctx, f, s.archive)
}

// installPackage installs a package with rpm, and then every module that wants it.
func (s *session) installPackage(ctx context.Context) error {
	argv := []string{"rpm", "-Uvh", s.archive}
	if s.root.Dir() != s.host.Dir() {
		argv = []string{"rpm", "--root", s.root.Dir(), "-Uvh", s.archive}
	}
	err := s.runner.Run(ctx, proc.Cmd{Args: argv, Dir: s.dir, Env: s.machine.env, Stdout: s.out, Stderr: s.err})
	if err != nil {
		return &dkms.Error{Kind: dkms.PackageFailed, Subject: s.archive, Err: err}
	}
	return s.autoinstall(ctx)
}
