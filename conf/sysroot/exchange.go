package sysroot

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// NoExchangeError says that a file system cannot exchange two names.
type NoExchangeError struct{ Err error }

// Error says why.
func (e *NoExchangeError) Error() string { return "names cannot be exchanged: " + e.Err.Error() }

// Unwrap returns the error of renameat2(2).
func (e *NoExchangeError) Unwrap() error { return e.Err }

// Exchange gives each of two files, links or directories the name of the other,
// in one step that cannot be seen half done (RENAME_EXCHANGE of renameat2(2)),
// and syncs their directories. Where the file system or the kernel cannot do
// that, or a and b are in different ones, the error is a *NoExchangeError.
func (r *Root) Exchange(aAbs, bAbs string) error {
	a, err := r.Resolve(aAbs)
	if err != nil {
		return err
	}
	b, err := r.Resolve(bAbs)
	if err != nil {
		return err
	}
	err = r.step("exchange", b)
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	}
	for _, cannot := range []error{unix.EINVAL, unix.ENOSYS, unix.EXDEV, unix.ENOTSUP} {
		if errors.Is(err, cannot) {
			return &NoExchangeError{Err: err}
		}
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	if err := r.syncDir(filepath.Dir(b)); err != nil {
		return err
	}
	if filepath.Dir(a) == filepath.Dir(b) {
		return nil
	}
	return r.syncDir(filepath.Dir(a))
}
