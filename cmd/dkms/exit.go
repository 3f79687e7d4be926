package main

import (
	"errors"

	"dkms-go/dkms"
)

// exitStatus returns the status that tells scripts what failed. The numbers are those listed at the head of dkms.in; the
// same list is in dkms(8).
func exitStatus(err error) int {
	var e *dkms.Error
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &e):
		return 1
	case e.Kind == dkms.ScriptFailed:
		return max(e.Status, 1)
	}
	return statuses()[e.Kind]
}

// statuses is the only table from kinds of failure to exit statuses.
func statuses() map[dkms.Kind]int {
	return map[dkms.Kind]int{
		dkms.Internal:           1,
		dkms.MissingArguments:   1,
		dkms.NotRoot:            1,
		dkms.TreeNotWritable:    1,
		dkms.ArchMismatch:       1,
		dkms.BadName:            2,
		dkms.UnknownOption:      2,
		dkms.UnknownAction:      2,
		dkms.KernelAndAll:       2,
		dkms.SourceMissing:      2,
		dkms.ArchAndAll:         3,
		dkms.AlreadyAdded:       3,
		dkms.NotAdded:           3,
		dkms.TwoActions:         4,
		dkms.SystemUnknown:      4,
		dkms.ConfMissing:        4,
		dkms.OneKernelOnly:      4,
		dkms.SourceBroken:       4,
		dkms.AllBanned:          5,
		dkms.PatchBadPath:       5,
		dkms.PatchMissing:       5,
		dkms.PatchFailed:        6,
		dkms.KernelDirMissing:   6,
		dkms.BuiltFileMissing:   6,
		dkms.NothingInstalled:   6,
		dkms.CopyFailed:         6,
		dkms.IndexFailed:        6,
		dkms.ImageFailed:        6,
		dkms.SigningKeyUnusable: 1,
		dkms.SignFailed:         1,
		dkms.NotVerified:        1,
		dkms.NotEnrolled:        1,
		dkms.BadUsage:           2,
		dkms.SettingsInvalid:    8,
		dkms.Unsigned:           22,
		dkms.NoTemplate:         1,
		dkms.SameTemplate:       2,
		dkms.ModuleUnknown:      3,
		dkms.OneKernelNeeded:    4,
		dkms.DriverNotBuilt:     31,
		dkms.DriverUnsigned:     32,
		dkms.DriverUntrusted:    33,
		dkms.DriverNotInstalled: 34,
		dkms.DriverNotIndexed:   35,
		dkms.DriverNotInImage:   36,
		dkms.AutoinstallFailed:  11,
		dkms.VacateFailed:       14,
		dkms.OnlyBoth:           8,
		dkms.ArchiveMissing:     2,
		dkms.ArchiveNoConf:      3,
		dkms.ArchiveRefused:     3,
		dkms.ArchiveInvalid:     7,
		dkms.ArchiveAdded:       8,
		dkms.PackageFailed:      9,
		dkms.NotBuilt:           6,
		dkms.ArchiveNotWritable: 9,
		dkms.ArchiveFailed:      6,
		dkms.PackageArchive:     2,
		dkms.ProductMissing:     7,
		dkms.StageFailed:        7,
		dkms.BadConf:            8,
		dkms.SourceEmpty:        8,
		dkms.NoConfInSource:     9,
		dkms.MakeFailed:         10,
		dkms.BuildTimedOut:      10,
		dkms.DependsMissing:     13,
		dkms.EmptyKernel:        16,
		dkms.NoKernelFits:       16,
		dkms.HeadersMissing:     21,
		dkms.Excluded:           77,
		dkms.PreInstallFailed:   101,
		dkms.ScriptFailed:       1,  // or the status of the script
		dkms.NoSpace:            28, // ENOSPC; dkms has no number for it
		dkms.Interrupted:        130,
	}
}
