package hooks

import (
	"context"
	"path"
)

// Autoinstaller installs every module that wants it into a kernel ("" is the running one) whose headers are there: what
// happens at boot and after the installation of a kernel, or of headers, by /usr/lib/dkms/dkms_autoinstaller. noImage says
// that somebody else makes the boot image of the kernel afterwards.
func (s *System) Autoinstaller(ctx context.Context, kernel string, noImage bool) error {
	if kernel == "" {
		kernel = s.Running
	}
	if !s.isDir(path.Join(s.Tree.KernelDir(kernel), "build/include")) {
		s.Emit(AutoinstallSkipped{kernel}) // but for what is built already
	}
	return s.Verbs.Autoinstall(ctx, kernel, noImage)
}
