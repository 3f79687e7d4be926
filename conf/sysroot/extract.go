package sysroot

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What unpacking an archive needs beside Create: directories and times. Like
// everything for scratch work neither is durable before SyncTree.

// Mkdir makes the directory abs, whose parent must exist, with exactly the mode
// perm whatever the umask. One that exists is the error fs.ErrExist.
func (r *Root) Mkdir(abs string, perm fs.FileMode) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	if err := r.step("mkdir", host); err != nil {
		return err
	}
	if err := os.Mkdir(host, perm); err != nil {
		return err
	}
	return os.Chmod(host, perm)
}

// Chtimes sets the time of the last change of the file, directory or link at
// abs, and that of the last access to the same.
func (r *Root) Chtimes(abs string, mtime time.Time) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	if err := r.step("utimes", host); err != nil {
		return err
	}
	t := unix.Timespec{Sec: mtime.Unix(), Nsec: int64(mtime.Nanosecond())}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, host, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "utimes", Path: host, Err: err}
	}
	return nil
}
