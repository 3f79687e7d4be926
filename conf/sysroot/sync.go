package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// SyncTree makes everything at and below abs durable: the content of every
// regular file and the entries of every directory. Links have no content of
// their own and are covered by their directory. abs itself is followed as if
// chrooted; its name in its parent directory is made durable by Rename.
func (r *Root) SyncTree(abs string) error {
	top, err := r.follow("sync", abs)
	if err != nil {
		return err
	}
	return filepath.WalkDir(top, func(host string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return r.syncDir(host)
		case entry.Type().IsRegular():
			return r.syncFile(host)
		}
		return nil
	})
}

// SyncDir makes the entries of the directory abs durable. abs is followed as if
// chrooted.
func (r *Root) SyncDir(abs string) error {
	host, err := r.follow("sync", abs)
	if err != nil {
		return err
	}
	return r.syncDir(host)
}

// syncFile syncs the regular file at host.
func (r *Root) syncFile(host string) error {
	f, err := os.OpenFile(host, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.sync(f)
}

// syncDir syncs the entries of the directory at host. File systems that have
// no such notion say EINVAL or ENOTSUP, which is as good as done.
func (r *Root) syncDir(host string) error {
	f, err := os.OpenFile(host, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	err = r.sync(f)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// sync syncs the open file or directory f.
func (r *Root) sync(f *os.File) error {
	if err := r.step("sync", f.Name()); err != nil {
		return err
	}
	return f.Sync()
}
