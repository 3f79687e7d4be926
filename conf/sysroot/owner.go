package sysroot

import "golang.org/x/sys/unix"

// LockOwner tells whether a process holds a lock on the file abs that keeps others from writing it (fcntl(2), which dpkg and
// rpm use; not the kind that TryLock takes), and which: 0 where that process cannot be seen from here. Nobody is disturbed by
// the question. A file that cannot be opened is not locked, nor is one that this process itself holds a lock on.
func (r *Root) LockOwner(abs string) (pid int, locked bool) {
	f, err := r.Open(abs)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return 0, false
	}
	return max(int(lock.Pid), 0), lock.Type != unix.F_UNLCK
}
