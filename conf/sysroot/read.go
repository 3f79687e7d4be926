package sysroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open opens the file at abs for reading. Links are followed as if chrooted.
func (r *Root) Open(abs string) (*os.File, error) {
	return r.open("open", abs, unix.O_RDONLY)
}

// OpenNonblock is Open for a file that may turn out to be a named pipe or a
// device, which is not waited for.
func (r *Root) OpenNonblock(abs string) (*os.File, error) {
	return r.open("open", abs, unix.O_RDONLY|unix.O_NONBLOCK)
}

// ReadFile returns the content of the file at abs. Links are followed as if
// chrooted.
func (r *Root) ReadFile(abs string) ([]byte, error) {
	f, err := r.open("open", abs, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// ReadDir returns the entries of the directory at abs, sorted bytewise. Links
// to the directory are followed as if chrooted; its entries are not.
func (r *Root) ReadDir(abs string) ([]fs.DirEntry, error) {
	f, err := r.open("open", abs, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat describes what abs leads to when every link is followed as if chrooted.
// Its Name is the last element of abs.
func (r *Root) Stat(abs string) (fs.FileInfo, error) {
	return r.stat("stat", abs, unix.O_PATH)
}

// Lstat describes the file at abs, which may be a link. Links on the way to it
// are followed as if chrooted.
func (r *Root) Lstat(abs string) (fs.FileInfo, error) {
	return r.stat("lstat", strings.TrimRight(abs, "/"), unix.O_PATH|unix.O_NOFOLLOW)
}

// Readlink returns what the link at abs holds, word for word. Links on the way
// to it are followed as if chrooted.
func (r *Root) Readlink(abs string) (string, error) {
	abs = strings.TrimRight(abs, "/")
	fd, err := r.descriptor("readlink", abs, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	for size := 256; ; size *= 2 {
		target := make([]byte, size)
		n, err := unix.Readlinkat(fd, "", target)
		switch {
		case errors.Is(err, unix.ENOENT): // this descriptor is no link
			return "", &fs.PathError{Op: "readlink", Path: r.Path(abs), Err: unix.EINVAL}
		case err != nil:
			return "", &fs.PathError{Op: "readlink", Path: r.Path(abs), Err: err}
		case n < size:
			return string(target[:n]), nil
		}
	}
}

// stat works without an os.File, which would cost further calls: most of what
// status does is to look whether something is there.
func (r *Root) stat(op, abs string, flags int) (fs.FileInfo, error) {
	fd, err := r.descriptor(op, abs, flags)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return nil, &fs.PathError{Op: op, Path: r.Path(abs), Err: err}
	}
	return newInfo(path.Base(abs), &stat), nil
}

func (r *Root) open(op, abs string, flags int) (*os.File, error) {
	fd, err := r.descriptor(op, abs, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), r.Path(abs)), nil
}

// descriptor opens abs with the flags of open(2). The kernel itself can resolve a path
// as if chrooted (RESOLVE_IN_ROOT of openat2(2), Linux 5.6), in one call where
// walk needs one for every element. Where it cannot, or gives up, walk does it:
// the kernel may be older or a container may forbid the call, and a path may
// lead through more links than the kernel follows, or through /proc/PID/fd.
func (r *Root) descriptor(op, abs string, flags int) (int, error) {
	fd, err := r.openInRoot(abs, flags)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EACCES):
		return -1, &fs.PathError{Op: op, Path: r.Path(abs), Err: err}
	}
	return r.openWalking(op, abs, flags)
}

// openWalking is descriptor without the kernel's help.
func (r *Root) openWalking(op, abs string, flags int) (int, error) {
	follow := flags&unix.O_NOFOLLOW == 0
	inside, missing, err := r.walk(abs, follow)
	if err != nil {
		return -1, err
	}
	if missing {
		return -1, &fs.PathError{Op: op, Path: r.Path(abs), Err: unix.ENOENT}
	}
	if follow && strings.HasSuffix(abs, "/") {
		flags |= unix.O_DIRECTORY
	}
	host := r.Path(inside)
	fd, err := unix.Open(host, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: op, Path: host, Err: err}
	}
	return fd, nil
}

func (r *Root) openInRoot(abs string, flags int) (int, error) {
	if r.top == nil {
		return -1, unix.ENOSYS
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT,
	}
	for {
		fd, err := unix.Openat2(int(r.top.Fd()), "/"+abs, &how)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
