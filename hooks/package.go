package hooks

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"dkms-go/dkms"
)

// NoAutoinstall is the file with which an administrator turns automatic installation off.
const NoAutoinstall = "/etc/dkms/no-autoinstall"

// Package is a package of module sources that has just been unpacked.
type Package struct {
	dkms.Module
	Archives string // directory that may hold NAME-VERSION.dkms.tar.gz
	Arch     string // architecture to build for; "" is the machine's
	Upgrade  bool   // an older version of the package was installed before
}

// PackagePostinst registers the module of a package that has been unpacked, then builds and installs it for the kernels that
// matter: what the maintainer scripts of packages call as /usr/lib/dkms/common.postinst. The version is registered anew if it
// was before. What cannot be built for one kernel is tried for the others, unless framework.conf says otherwise.
//
// What could not be built or installed for a kernel is a *NotInstalledError; otherwise the error is that of the verb that failed.
// Both have been printed. A package that gives no name or version is an
// error of kind MissingArguments, one whose archive cannot be loaded of kind PackageArchive; those have not been printed.
func (s *System) PackagePostinst(ctx context.Context, p Package) error {
	if p.Name == "" || p.Version == "" {
		return &dkms.Error{Kind: dkms.MissingArguments}
	}
	if err := p.Check(); err != nil {
		return err
	}
	if s.isFile(NoAutoinstall) {
		s.Emit(Disabled{})
		return nil
	}
	if err := s.register(ctx, p); err != nil {
		return err
	}
	wanted, err := s.Conf.Autoinstall(ctx, s.Tree.ConfFile(p.Module))
	if err != nil {
		return err
	}
	if !wanted {
		s.Emit(NotWanted{p.Module})
		return nil
	}
	kernels, all, err := s.kernels(ctx, p.Upgrade)
	if err != nil {
		return err
	}
	if len(kernels) == 0 {
		s.Emit(NoKernels{s.Running})
		return nil
	}
	s.Emit(KernelsChosen{Kernels: kernels, Arch: p.Arch, All: all})
	return s.installAll(ctx, p, kernels)
}

// register puts the module into the registry, in the place of one of the same version.
func (s *System) register(ctx context.Context, p Package) error {
	if s.exists(s.Tree.ModuleDir(p.Module)) {
		s.Emit(Replacing{p.Module})
		if err := s.Verbs.Remove(ctx, p.Module, false); err != nil {
			return err
		}
	}
	if archive := path.Join("/", p.Archives, p.Name+"-"+p.Version+".dkms.tar.gz"); s.isFile(archive) {
		host, err := s.Root.Resolve(archive)
		if err != nil {
			return err
		}
		if err := s.Verbs.Load(ctx, host); err != nil {
			return &dkms.Error{Kind: dkms.PackageArchive, Subject: archive, Err: err}
		}
		return nil
	}
	if !s.isDir(s.Tree.SourceDir(p.Module)) {
		return nil
	}
	s.Emit(Adding{p.Module})
	return s.Verbs.Add(ctx, p.Module)
}

// kernels returns what to build for, and whether that is every kernel with headers: the running kernel and the newest one;
// all where the running one is not of this system, or the administrator wants it.
func (s *System) kernels(ctx context.Context, upgrade bool) (kernels []string, all bool, err error) {
	every, err := s.withHeaders()
	if err != nil || s.Framework.AutoinstallAllKernels {
		return every, true, err
	}
	newest := s.newest(ctx)
	if !s.exists(s.Tree.KernelDir(s.Running)) {
		s.Emit(RunningElsewhere{s.Running})
		if newest != "" && upgrade {
			return []string{newest}, false, nil
		}
		return every, true, nil
	}
	if newest == "" || newest == s.Running {
		return []string{s.Running}, false, nil
	}
	return []string{s.Running, newest}, false, nil
}

// withHeaders returns every kernel that has, or had, headers: oldest first, in the order of ls -v.
func (s *System) withHeaders() ([]string, error) {
	dirs, err := s.Root.Glob(path.Join(s.Tree.Options().InstallTree, "*", "build"))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(dirs, compareNatural)
	var kernels []string
	for _, dir := range dirs {
		if k := path.Base(path.Dir(dir)); !strings.HasPrefix(k, ".") {
			kernels = append(kernels, k)
		}
	}
	return kernels, nil
}

// NotInstalledError says that a module of a package could not be built or installed for some kernels.
type NotInstalledError struct {
	Kernels []string
	Err     error // what went wrong last
}

func (e *NotInstalledError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong last.
func (e *NotInstalledError) Unwrap() error { return e.Err }

// installAll builds and installs the module for each kernel.
func (s *System) installAll(ctx context.Context, p Package, kernels []string) error {
	var last error
	var failed []string
	for _, k := range kernels {
		s.Emit(KernelBegun{k})
		if strings.Contains(k, "BOOT") {
			s.Emit(BootVariant{k})
			continue
		}
		i := dkms.Instance{Module: p.Module, Kernel: k, Arch: p.Arch}
		if err := s.build(ctx, i); err != nil {
			last = err
			if kindOf(err) == dkms.Interrupted {
				return err
			}
			failed = append(failed, k)
			if !s.Framework.ContinueOnError {
				return &NotInstalledError{failed, err}
			}
			continue
		}
		if !s.built(i) {
			continue
		}
		if err := s.Verbs.Install(ctx, i); err != nil {
			return &NotInstalledError{append(failed, k), err}
		}
	}
	if len(failed) == 0 {
		return nil
	}
	s.Emit(BuildsFailed{failed})
	return &NotInstalledError{failed, last}
}

// build builds the module for a kernel, unless it is built, or cannot be for a reason that is no failure.
func (s *System) build(ctx context.Context, i dkms.Instance) error {
	if s.built(i) {
		return nil
	}
	if !s.isLink(s.Tree.SourceLink(i.Module)) {
		s.Emit(NoSource{i.Kernel})
		return nil
	}
	if !s.exists(path.Join(s.Tree.KernelDir(i.Kernel), "build/include")) {
		s.Emit(HeadersAbsent{i.Kernel})
		return nil
	}
	s.Emit(FirstBuild{i.Module, i.Kernel})
	err := s.Verbs.Build(ctx, i)
	if kindOf(err) == dkms.Excluded {
		return nil
	}
	return err
}

// built reports whether the module is built, and not installed, for a kernel.
func (s *System) built(i dkms.Instance) bool {
	is := s.Tree.Instances(i.Module, dkms.Filter{Kernel: i.Kernel, Arch: i.Arch})
	return slices.ContainsFunc(is, func(i dkms.Instance) bool { return s.Tree.State(i) == dkms.Built })
}

// kindOf returns the kind of an error; Internal for one that has none, and for nil.
func kindOf(err error) dkms.Kind {
	var e *dkms.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return dkms.Internal
}
