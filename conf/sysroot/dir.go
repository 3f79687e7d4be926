package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Dir is an open directory, for those who look at thousands of files: nothing on
// the way to them is looked up again.
type Dir struct {
	root *Root
	abs  string
	f    *os.File
}

// OpenDir opens the directory at abs. Links are followed as if chrooted.
func (r *Root) OpenDir(abs string) (*Dir, error) {
	f, err := r.open("open", abs, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return &Dir{root: r, abs: abs, f: f}, nil
}

// Close closes the directory. Files opened from it stay open.
func (d *Dir) Close() error { return d.f.Close() }

// Open opens the file of that name, which is one element of a path, for reading.
// A link is followed as if chrooted. A named pipe is not waited for.
func (d *Dir) Open(name string) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(d.f.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), d.root.Path(path.Join(d.abs, name))), nil
		case errors.Is(err, unix.ELOOP):
			return d.root.open("open", path.Join(d.abs, name), unix.O_RDONLY|unix.O_NONBLOCK)
		case !errors.Is(err, unix.EINTR):
			return nil, &fs.PathError{Op: "open", Path: d.root.Path(path.Join(d.abs, name)), Err: err}
		}
	}
}

// Stat describes the file of that name in the words of stat(2). A link is followed
// as if chrooted.
func (d *Dir) Stat(name string) (unix.Stat_t, error) {
	var s unix.Stat_t
	err := unix.Fstatat(int(d.f.Fd()), name, &s, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return s, &fs.PathError{Op: "stat", Path: d.root.Path(path.Join(d.abs, name)), Err: err}
	}
	if s.Mode&unix.S_IFMT != unix.S_IFLNK {
		return s, nil
	}
	f, err := d.root.open("stat", path.Join(d.abs, name), unix.O_PATH)
	if err != nil {
		return s, err
	}
	defer f.Close()
	return s, unix.Fstat(int(f.Fd()), &s)
}
