package sysroot

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Flock takes the lock of the file or directory at abs (flock(2)), waiting for
// whoever has it until ctx ends, and returns what lets go of it again. The lock
// is between processes, and between calls in one of them; it ends with the
// process. Nothing is written, so a directory that only root may write to serves
// as well as one on a read-only file system.
func (r *Root) Flock(ctx context.Context, abs string) (unlock func(), err error) {
	f, err := r.Open(abs)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		}
	}
}
