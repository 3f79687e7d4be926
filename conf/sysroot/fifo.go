package sysroot

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// MkfifoTemp makes a new named pipe with mode 0600 in the directory dirAbs and
// returns its path inside the root. Its name comes from pattern as with
// MkdirTemp. Nothing is synced, and the caller removes it.
func (r *Root) MkfifoTemp(dirAbs, pattern string) (abs string, err error) {
	if strings.Contains(pattern, "/") {
		return "", &fs.PathError{Op: "mkfifotemp", Path: pattern, Err: errors.New("pattern contains a slash")}
	}
	dir, err := r.follow("mkfifotemp", dirAbs)
	if err != nil {
		return "", err
	}
	host, err := r.fresh(dir, pattern, "mkfifo", func(name string) error {
		if err := unix.Mkfifo(name, 0o600); err != nil {
			return &fs.PathError{Op: "mkfifo", Path: name, Err: err}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return path.Join("/", dirAbs, filepath.Base(host)), nil
}
