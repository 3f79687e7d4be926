package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Create opens the file at abs for reading and writing, empty and with exactly
// the mode perm. It is made if missing; anything there but a regular file,
// including a link, is an error. Nothing is synced.
func (r *Root) Create(abs string, perm fs.FileMode) (*os.File, error) {
	return r.openScratch(abs, os.O_RDWR|os.O_TRUNC, perm, true)
}

// Append opens the file at abs for writing at its end. A missing file is made
// with exactly the mode perm; an existing one keeps its mode, and must be a
// regular file and no link. Nothing is synced.
func (r *Root) Append(abs string, perm fs.FileMode) (*os.File, error) {
	return r.openScratch(abs, os.O_WRONLY|os.O_APPEND, perm, false)
}

// Chmod gives the file or directory at abs exactly the mode perm. A link there
// is an error (ELOOP), because links have no mode.
func (r *Root) Chmod(abs string, perm fs.FileMode) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	info, err := os.Lstat(host)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return &fs.PathError{Op: "chmod", Path: host, Err: syscall.ELOOP}
	}
	if err := r.step("chmod", host); err != nil {
		return err
	}
	return os.Chmod(host, perm)
}

// openScratch opens the regular file at abs, making it if it is missing. The
// mode is set on a new file, and on an old one when always is true.
func (r *Root) openScratch(abs string, flag int, perm fs.FileMode, always bool) (*os.File, error) {
	host, err := r.Resolve(abs)
	if err != nil {
		return nil, err
	}
	if err := r.step("create", host); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(host, flag|os.O_CREATE|os.O_EXCL, 0o600)
	fresh := err == nil
	if errors.Is(err, fs.ErrExist) {
		f, err = openRegular(host, flag)
	}
	if err != nil {
		return nil, err
	}
	if fresh || always {
		if err := r.chmod(f, perm); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// openRegular opens an existing regular file. O_NONBLOCK keeps a named pipe
// from holding the program up until it has been refused.
func openRegular(host string, flag int) (*os.File, error) {
	f, err := os.OpenFile(host, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular("open", host, info.Mode())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
