package sysroot

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Root is a directory tree treated as "/". It is immutable and safe for
// concurrent use. Open makes one.
type Root struct {
	dir    string
	top    *os.File // dir itself, for openat2
	before func(Step) error
}

// Open returns the tree at dir, which must be an existing directory. A relative
// dir is taken from the current directory, once.
func Open(dir string) (*Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open root", Path: abs, Err: syscall.ENOTDIR}
	}
	fd, err := unix.Open(abs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open root", Path: abs, Err: err}
	}
	return &Root{dir: abs, top: os.NewFile(uintptr(fd), abs)}, nil
}

// Dir returns the host path of the root.
func (r *Root) Dir() string { return r.dir }

// Path joins abs to the root without looking at the disk. Elements ".." are
// taken away lexically and stop at the root. The result is for showing and for
// paths known to contain no links; Resolve is for the rest.
func (r *Root) Path(abs string) (host string) {
	return filepath.Join(r.dir, path.Join("/", abs))
}

// Step is one change that a Root is about to make: the system call it stands
// for ("create", "write", "copy", "chmod", "chown", "sync", "rename", "exchange",
// "link", "symlink", "mkdir", "remove", "rmdir", "utimes") and the host path it is
// made on.
type Step struct{ Op, Path string }

// Before returns the same tree, but with f called ahead of every change. An
// error from f takes the place of the change, as if the system call had failed.
// That lets a test pull the plug at each step in turn: an f that fails once
// plays a full disk, and one that fails from then on plays a crash, because
// tidying up is a step too. CopyTree calls f from several goroutines.
func (r *Root) Before(f func(Step) error) *Root {
	return &Root{dir: r.dir, top: r.top, before: f}
}

// step asks whether the change op may be made on host.
func (r *Root) step(op, host string) error {
	if r.before == nil {
		return nil
	}
	if err := r.before(Step{Op: op, Path: host}); err != nil {
		return &fs.PathError{Op: op, Path: host, Err: err}
	}
	return nil
}
