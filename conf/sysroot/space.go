package sysroot

import (
	"errors"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// Space is the room that is left in a file system.
type Space struct {
	Bytes uint64 // for users other than root, whose reserve is not counted
	Files uint64 // how many more files, directories and links; MaxUint64 where there is no limit
}

// Free returns the room in the file system that abs is in, or will be in: where
// abs does not exist, what counts is the nearest directory above it.
func (r *Root) Free(abs string) (Space, error) {
	inside, _, err := r.walk(abs, true)
	if err != nil {
		return Space{}, err
	}
	for {
		var s unix.Statfs_t
		err := unix.Statfs(r.Path(inside), &s)
		switch {
		case err == nil:
			space := Space{Bytes: s.Bavail * uint64(s.Bsize), Files: s.Ffree} //nolint:gosec // a block size is positive
			if s.Files == 0 {                                                 // btrfs and others make inodes as they need them
				space.Files = ^uint64(0)
			}
			return space, nil
		case errors.Is(err, unix.ENOENT) && inside != "/":
			inside = path.Dir(inside)
		default:
			return Space{}, &fs.PathError{Op: "statfs", Path: r.Path(inside), Err: err}
		}
	}
}
