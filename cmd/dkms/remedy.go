package main

import "dkms-go/dkms"

// remedy says what to do next about e. Where nothing is known of the case at hand, it is what helps with errors of its kind.
func remedy(e *dkms.Error) string {
	if e.Remedy != "" {
		return e.Remedy
	}
	m := "MODULE/VERSION"
	if e.Instance.Name != "" {
		m = e.Instance.Module.String()
	}
	switch e.Kind {
	case dkms.UnknownOption, dkms.TwoActions, dkms.AllBanned, dkms.KernelAndAll, dkms.ArchAndAll, dkms.ArchMismatch,
		dkms.OneKernelOnly, dkms.OneKernelNeeded, dkms.EmptyKernel, dkms.OnlyBoth, dkms.BadUsage:
		return "see: dkms VERB --help"
	case dkms.NoKernelFits:
		return "see which kernels there are: ls /lib/modules"
	case dkms.MissingArguments, dkms.ModuleUnknown:
		return "see what there is: dkms status"
	case dkms.SourceMissing:
		return "put the sources there, or name their directory: dkms add DIRECTORY"
	case dkms.NoConfInSource, dkms.ConfMissing:
		return "a module needs a dkms.conf, see dkms.conf(5)"
	case dkms.AlreadyAdded:
		return "go on with: dkms install " + m + "; or begin anew after: dkms remove " + m + " --all"
	case dkms.NotAdded:
		return "register it: dkms add " + m + "; or see what there is: dkms status"
	case dkms.SourceBroken:
		return "restore its sources and type: dkms add " + m + "; or delete its directory in the DKMS tree"
	case dkms.SourceEmpty:
		return "unpack the whole source, not only its dkms.conf"
	case dkms.DependsMissing:
		return "install the modules it depends on first: dkms install MODULE/VERSION"
	case dkms.PatchBadPath, dkms.PatchMissing, dkms.ProductMissing:
		return "correct the dkms.conf of " + m
	case dkms.BuildTimedOut:
		return "if that is not too long, let it have more time: timeout in the table [build] of /etc/dkms/dkms.toml"
	case dkms.PatchFailed, dkms.MakeFailed, dkms.ScriptFailed:
		return "look for a newer version of the module, one that knows this kernel"
	case dkms.BuiltFileMissing, dkms.NotBuilt, dkms.StageFailed:
		return "build it anew: dkms build " + m + " --force"
	case dkms.KernelDirMissing:
		return "install that kernel, or name another one with -k"
	case dkms.PreInstallFailed:
		return "see what the script has printed above"
	case dkms.CopyFailed, dkms.ArchiveFailed, dkms.ArchiveNotWritable:
		return "see that the file system is writable and not full: df"
	case dkms.SignFailed, dkms.NotVerified, dkms.NotEnrolled:
		return "see how things stand: dkms key status"
	case dkms.SettingsInvalid:
		return "correct that line; dkms(8) lists the settings"
	case dkms.NoSpace:
		return "make room there, see df(1); then type it again"
	case dkms.ImageFailed:
		return "when that is mended: dkms initramfs"
	case dkms.DriverNotBuilt, dkms.DriverNotInstalled:
		return "dkms install " + m + " -k " + e.Instance.Kernel
	case dkms.DriverUnsigned, dkms.DriverUntrusted:
		return "dkms key status"
	case dkms.DriverNotIndexed:
		return "dkms depmod " + e.Instance.Kernel
	case dkms.DriverNotInImage:
		return "make the boot image of kernel " + e.Instance.Kernel + " anew"
	case dkms.IndexFailed:
		return "see what is in the way: dkms depmod " + e.Instance.Kernel
	case dkms.VacateFailed, dkms.AutoinstallFailed:
		return "mend what is reported above, and type it again"
	case dkms.SystemUnknown:
		return "create /etc/os-release, see os-release(5)"
	case dkms.ArchiveMissing, dkms.ArchiveNoConf, dkms.ArchiveInvalid, dkms.ArchiveRefused, dkms.PackageArchive:
		return "make the archive with: dkms mktarball MODULE/VERSION"
	case dkms.ArchiveAdded:
		return "replace it with --force, or begin anew after: dkms remove " + m + " --all"
	}
	return ""
}
