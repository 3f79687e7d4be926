package sysroot

import (
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

// Close closes the directory.
func (d *Dir) Close() { _ = d.f.Close() }

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
