package hooks

import (
	"dkms-go/build"
	"dkms-go/conf/sysroot"
)

// PackageManagerAtWork names the package manager that is changing the system below root; "" when none is. What it has not
// finished is not to be looked at.
//
// dpkg and rpm hold a lock on a file while they work, pacman makes one.
func PackageManagerAtWork(root *sysroot.Root) string {
	for _, lock := range []struct {
		name  string
		files []string
	}{
		{"dpkg", []string{"/var/lib/dpkg/lock"}},
		{"apt", []string{"/var/lib/dpkg/lock-frontend"}},
		{"rpm", build.RPMLocks()},
	} {
		for _, file := range lock.files {
			if _, locked := root.LockOwner(file); locked {
				return lock.name
			}
		}
	}
	if _, err := root.Stat("/var/lib/pacman/db.lck"); err == nil {
		return "pacman"
	}
	return ""
}
