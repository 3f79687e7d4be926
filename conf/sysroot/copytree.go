package sysroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// CopyTree copies everything in the directory srcAbs, hidden files included,
// into the directory dstAbs, as cp -a src/. dst/ does: modes with the setuid
// bits, times to the nanosecond, owners when run by root, links word for word
// even when they dangle, empty directories. The destination gets the attributes
// of the source itself; it is made if missing, and merged into if not, where
// files and links are replaced and directories are kept. Hard links become
// separate files, and extended attributes are not copied.
//
// srcAbs may be a link to a directory. A socket, device or named pipe, a
// directory in the way of a file or a file in the way of a directory, and a
// destination inside the source are errors. After an error or the end of ctx
// the destination is incomplete. Nothing is synced; blocks are shared with the
// source where the file system can do that.
func (r *Root) CopyTree(ctx context.Context, srcAbs, dstAbs string) error {
	return r.CopyTreeFrom(ctx, r, srcAbs, dstAbs)
}

// CopyTreeFrom is CopyTree with a source in another root: srcAbs is a path
// inside from.
func (r *Root) CopyTreeFrom(ctx context.Context, from *Root, srcAbs, dstAbs string) error {
	src, err := from.follow("copy", srcAbs)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(src); err != nil {
		return err
	} else if !info.IsDir() {
		return &fs.PathError{Op: "copy", Path: src, Err: syscall.ENOTDIR}
	}
	inside, _, err := r.walk(dstAbs, true)
	if err != nil {
		return err
	}
	dst := r.Path(inside)
	if below, err := filepath.Rel(src, dst); err == nil && filepath.IsLocal(below) {
		return fmt.Errorf("copy %q: destination %q is inside it", src, dst)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	job := &treeCopy{root: r, src: src, dst: dst, files: group}
	walked := filepath.WalkDir(src, func(from string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return job.visit(ctx, from, entry)
	})
	// A failed file ends the walk through ctx, and is what the walk's error
	// is about.
	if err := group.Wait(); err != nil {
		return err
	}
	if walked != nil {
		return walked
	}
	return job.finish()
}

// treeCopy is one run of CopyTree. The walk makes directories and links by
// itself and leaves the content of files to a few goroutines.
type treeCopy struct {
	root     *Root
	src, dst string
	files    *errgroup.Group
	dirs     []copiedDir
}

// copiedDir is a directory of the destination that awaits its attributes.
type copiedDir struct {
	host string
	info fs.FileInfo
}

// visit copies one file, link or directory without what is in it.
func (c *treeCopy) visit(ctx context.Context, from string, entry fs.DirEntry) error {
	to := filepath.Join(c.dst, strings.TrimPrefix(from, c.src))
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		c.dirs = append(c.dirs, copiedDir{to, info})
		return c.mkdir(to)
	case info.Mode().IsRegular():
		c.files.Go(func() error { return c.file(ctx, from, to, info) })
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return c.link(from, to, info)
	}
	return notRegular("copy", from, info.Mode())
}

// mkdir makes one directory of the destination, writable for the time being,
// unless it is there.
func (c *treeCopy) mkdir(to string) error {
	if err := c.root.step("mkdir", to); err != nil {
		return err
	}
	err := os.Mkdir(to, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(to)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "copy", Path: to, Err: syscall.ENOTDIR}
	}
	if info.Mode()&0o700 == 0o700 {
		return nil
	}
	return os.Chmod(to, info.Mode()|0o700)
}

// file copies one regular file.
func (c *treeCopy) file(ctx context.Context, from, to string, info fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.root.step("copy", to); err != nil {
		return err
	}
	src, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := createOver(to)
	if err != nil {
		return err
	}
	err = copyContentUntil(ctx, dst, src)
	if err == nil {
		err = copyAttributes(dst, info)
	}
	if closed := dst.Close(); err == nil {
		err = closed
	}
	return err
}

// link copies one symbolic link.
func (c *treeCopy) link(from, to string, info fs.FileInfo) error {
	if err := c.root.step("symlink", to); err != nil {
		return err
	}
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	err = os.Symlink(target, to)
	if errors.Is(err, fs.ErrExist) {
		if err := unlink(to); err != nil {
			return err
		}
		err = os.Symlink(target, to)
	}
	if err != nil {
		return err
	}
	if err := lchown(to, info); err != nil {
		return err
	}
	return setTimes(to, info)
}

// finish gives the directories their attributes, the deepest first, because
// filling a directory changes its time and a read-only one cannot be filled.
func (c *treeCopy) finish() error {
	for i := len(c.dirs) - 1; i >= 0; i-- {
		dir := c.dirs[i]
		if err := c.root.step("utimes", dir.host); err != nil {
			return err
		}
		if err := lchown(dir.host, dir.info); err != nil {
			return err
		}
		if err := os.Chmod(dir.host, dir.info.Mode()); err != nil {
			return err
		}
		if err := setTimes(dir.host, dir.info); err != nil {
			return err
		}
	}
	return nil
}

// createOver makes a new file at host in place of a file or link.
func createOver(host string) (*os.File, error) {
	const flag = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := os.OpenFile(host, flag, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := unlink(host); err != nil {
		return nil, err
	}
	return os.OpenFile(host, flag, 0o600)
}

// unlink removes what is at host unless it is a directory.
func unlink(host string) error {
	if err := syscall.Unlink(host); err != nil {
		return &fs.PathError{Op: "unlink", Path: host, Err: err}
	}
	return nil
}

// copyContent copies all of src to the empty file dst, by sharing blocks
// (FICLONE), inside the kernel (copy_file_range(2)) or through memory, whatever
// the file system can do.
func copyContent(dst, src *os.File) error {
	return copyContentUntil(context.Background(), dst, src)
}

// copyContentUntil is copyContent that looks at ctx now and then.
func copyContentUntil(ctx context.Context, dst, src *os.File) error {
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil {
		return nil
	}
	const piece = 64 << 20
	for {
		n, err := io.CopyN(dst, src, piece)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("copy %q: %w", src.Name(), err)
		}
		if n < piece {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// copyAttributes gives dst the owner, mode and times that info describes. The
// owner comes first, because changing it takes setuid bits away.
func copyAttributes(dst *os.File, info fs.FileInfo) error {
	if stat := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		if err := dst.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	if err := dst.Chmod(info.Mode()); err != nil {
		return err
	}
	return setTimes(dst.Name(), info)
}

// lchown gives the file, directory or link at host the owner that info
// describes, when run by root.
func lchown(host string, info fs.FileInfo) error {
	if os.Geteuid() != 0 {
		return nil
	}
	stat := info.Sys().(*syscall.Stat_t)
	return os.Lchown(host, int(stat.Uid), int(stat.Gid))
}

// setTimes gives the file, directory or link at host the times that info
// describes.
func setTimes(host string, info fs.FileInfo) error {
	stat := info.Sys().(*syscall.Stat_t)
	times := []unix.Timespec{
		{Sec: stat.Atim.Sec, Nsec: stat.Atim.Nsec},
		{Sec: stat.Mtim.Sec, Nsec: stat.Mtim.Nsec},
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, host, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "utimes", Path: host, Err: err}
	}
	return nil
}
