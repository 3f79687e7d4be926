package hooks

import (
	"context"
	"path"
)

// AutoinstallOptions say on whose behalf modules are installed.
type AutoinstallOptions struct {
	Hook    bool // a package manager's, which a failing module must not stop
	NoImage bool // somebody else makes the boot image of the kernel afterwards
}

// Autoinstaller installs every module that wants it into a kernel ("" is the running one) whose headers are there: what
// happens at boot and after the installation of a kernel, or of headers, by /usr/lib/dkms/dkms_autoinstaller.
func (s *System) Autoinstaller(ctx context.Context, kernel string, o AutoinstallOptions) error {
	if kernel == "" {
		kernel = s.Running
	}
	if !s.isDir(path.Join(s.Tree.KernelDir(kernel), "build/include")) {
		s.Emit(AutoinstallSkipped{kernel})
		if !o.Hook {
			return nil
		}
		// But for what is built already.
	}
	return s.Verbs.Autoinstall(ctx, kernel, o)
}
