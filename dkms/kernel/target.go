package kernel

import "dkms-go/conf"

// Target is what dkms.conf files are evaluated for when this kernel is meant.
func (k *Kernel) Target() conf.Target {
	return conf.Target{
		Kernel:          k.Release,
		Arch:            k.Arch,
		KernelSourceDir: k.Headers,
		KernelConfig:    k.Config,
	}
}
