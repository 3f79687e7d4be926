package hooks

import (
	"golang.org/x/sys/unix"

	"dkms-go/conf/sysroot"
)

// PackageManagerAtWork names the package manager that is changing the system below root; "" when none is. What it has not
// finished is not to be looked at.
//
// dpkg and rpm hold a lock on a file while they work (fcntl(2), which F_GETLK asks about without disturbing anybody), pacman
// makes one.
func PackageManagerAtWork(root *sysroot.Root) string {
	for _, lock := range []struct{ file, name string }{
		{"/var/lib/dpkg/lock", "dpkg"},
		{"/var/lib/dpkg/lock-frontend", "apt"},
		{"/var/lib/rpm/.rpm.lock", "rpm"},
		{"/usr/lib/sysimage/rpm/.rpm.lock", "rpm"},
	} {
		if locked(root, lock.file) {
			return lock.name
		}
	}
	if _, err := root.Stat("/var/lib/pacman/db.lck"); err == nil {
		return "pacman"
	}
	return ""
}

// locked reports whether a process holds a lock that keeps others from writing a file. One that cannot be opened is not.
func locked(root *sysroot.Root, abs string) bool {
	f, err := root.Open(abs)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return false
	}
	return lock.Type != unix.F_UNLCK
}
