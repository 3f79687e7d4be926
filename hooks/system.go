package hooks

import (
	"context"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// System is what the hooks work with.
type System struct {
	Root      *sysroot.Root
	Tree      *dkms.Tree
	Conf      *conf.Loader // for files of packages; what they print is not wanted
	Framework *conf.Framework
	Running   string // release of the running kernel

	// RPMKernel returns the release of the newest kernel package, as rpm knows them; "" where there is none or no rpm.
	RPMKernel func(ctx context.Context) string

	Verbs Verbs
	Emit  dkms.Emit
}

// Verbs are verbs of the program, with everything that they print, errors included. An instance without Kernel or Arch
// leaves that to the verb. With laterImage it is only noted that a boot image is due.
type Verbs interface {
	Add(ctx context.Context, m dkms.Module) error
	AddFrom(ctx context.Context, dir string) error  // a host path, of sources
	Load(ctx context.Context, archive string) error // a host path
	Build(ctx context.Context, i dkms.Instance) error
	Install(ctx context.Context, i dkms.Instance) error
	Remove(ctx context.Context, m dkms.Module, laterImage bool) error // from all kernels
	Autoinstall(ctx context.Context, kernel string, o AutoinstallOptions) error
	Sync(ctx context.Context, kernels []string, laterImage bool) error // no kernels: all
	KernelPrerm(ctx context.Context, kernel string) error
}

// exists reports whether there is anything at abs, links followed.
func (s *System) exists(abs string) bool {
	_, err := s.Root.Stat(abs)
	return err == nil
}

func (s *System) isFile(abs string) bool {
	fi, err := s.Root.Stat(abs)
	return err == nil && fi.Mode().IsRegular()
}

func (s *System) isDir(abs string) bool {
	fi, err := s.Root.Stat(abs)
	return err == nil && fi.IsDir()
}

func (s *System) isLink(abs string) bool {
	_, err := s.Root.Readlink(abs)
	return err == nil
}
