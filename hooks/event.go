package hooks

import "dkms-go/dkms"

// The events of hooks, reported like those of the registry.
type (
	// Disabled tells that the administrator does not want modules to be built by themselves.
	Disabled struct{}
	// Replacing tells that the registration of the same version is being removed.
	Replacing struct{ Module dkms.Module }
	// Adding tells that the unpacked sources are being registered.
	Adding struct{ Module dkms.Module }
	// NotWanted tells that the module does not ask to be built by itself.
	NotWanted struct{ Module dkms.Module }
	// RunningElsewhere tells that the running kernel is not one of this system, as in a chroot.
	RunningElsewhere struct{ Kernel string }
	// NoKernels tells that there is nothing to build for.
	NoKernels struct{ Running string }
	// KernelsChosen tells what is going to be built for. All says that it is every kernel with headers, and not a choice.
	KernelsChosen struct {
		Kernels []string
		Arch    string // "" for the machine's
		All     bool
	}
	// KernelBegun tells that the work for a kernel begins.
	KernelBegun struct{ Kernel string }
	// BootVariant tells that nothing is built for a kernel with BOOT in its name.
	BootVariant struct{ Kernel string }
	// NoSource tells that nothing can be built, because the module came without sources.
	NoSource struct{ Kernel string }
	// HeadersAbsent tells that nothing is built for a kernel, because its headers are not there.
	HeadersAbsent struct{ Kernel string }
	// AutoinstallSkipped tells the same where any number of modules is concerned.
	AutoinstallSkipped struct{ Kernel string }
	// FirstBuild tells that a build begins.
	FirstBuild struct {
		Module dkms.Module
		Kernel string
	}
	// BuildsFailed tells for which kernels the module could not be built.
	BuildsFailed struct{ Kernels []string }
)
