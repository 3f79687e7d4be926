package sysroot

import (
	"bytes"
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// Same reports whether the regular files at a and b have the same bytes. Links
// are followed as if chrooted. A file that is not there, or is no regular one,
// is an error; a is looked at first. Like stat it works without an os.File: this
// is what status does for every module file.
func (r *Root) Same(a, b string) (bool, error) {
	fa, ia, err := r.regular(a)
	if err != nil {
		return false, err
	}
	defer unix.Close(fa)
	fb, ib, err := r.regular(b)
	if err != nil {
		return false, err
	}
	defer unix.Close(fb)
	switch {
	case ia.Size != ib.Size:
		return false, nil
	case ia.Dev == ib.Dev && ia.Ino == ib.Ino:
		return true, nil
	}
	return sameBytes(fa, fb, ia.Size)
}

// regular opens a regular file. It does not wait for the other end of a pipe.
func (r *Root) regular(abs string) (int, *unix.Stat_t, error) {
	fd, err := r.descriptor("open", abs, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return -1, nil, err
	}
	var stat unix.Stat_t
	if err = unix.Fstat(fd, &stat); err == nil && stat.Mode&unix.S_IFMT != unix.S_IFREG {
		err = fs.ErrInvalid
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, &fs.PathError{Op: "open", Path: r.Path(abs), Err: err}
	}
	return fd, &stat, nil
}

// sameBytes compares the first size bytes of two files, which must have them.
func sameBytes(a, b int, size int64) (bool, error) {
	buffers := blocks.Get().(*[2][64 << 10]byte)
	defer blocks.Put(buffers)
	for size > 0 {
		n := int(min(size, int64(len(buffers[0]))))
		for i, fd := range []int{a, b} {
			if err := readFull(fd, buffers[i][:n]); err != nil {
				return false, err
			}
		}
		if !bytes.Equal(buffers[0][:n], buffers[1][:n]) {
			return false, nil
		}
		size -= int64(n)
	}
	return true, nil
}

// blocks are for comparing files.
var blocks = sync.Pool{New: func() any { return new([2][64 << 10]byte) }} //nolint:gochecknoglobals // a pool has no state to speak of

// readFull reads as many bytes as p holds.
func readFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Read(fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0: // has become shorter just now
			return fs.ErrInvalid
		}
		p = p[n:]
	}
	return nil
}
