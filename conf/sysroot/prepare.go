package sysroot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// What a transaction prepares lies under names that it has written down before,
// so that whoever finds them after a crash knows what they are. Replace and its
// like choose names of their own. Whatever is at such a name, left by somebody
// who did not come to an end, is replaced, unless it is a directory. The result
// is durable.

// PrepareFile makes the file abs with the content data and exactly the mode
// perm.
func (r *Root) PrepareFile(abs string, data []byte, perm fs.FileMode) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	return r.prepareFile(host, perm, func(f *os.File) error {
		_, err := stepWriter{r, f}.Write(data)
		return err
	})
}

// PrepareCopy makes the file dstAbs with the content of the regular file srcAbs
// and exactly the mode perm. srcAbs is followed if it is a link.
func (r *Root) PrepareCopy(srcAbs, dstAbs string, perm fs.FileMode) error {
	src, err := r.Open(srcAbs)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return notRegular("copy", src.Name(), info.Mode())
	}
	host, err := r.Resolve(dstAbs)
	if err != nil {
		return err
	}
	return r.prepareFile(host, perm, func(f *os.File) error {
		if err := r.step("copy", host); err != nil {
			return err
		}
		return copyContent(f, src)
	})
}

// PrepareLink makes the symbolic link abs that holds target, word for word.
func (r *Root) PrepareLink(target, abs string) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	return r.prepareLink(target, host)
}

func (r *Root) prepareLink(target, host string) error {
	if err := r.prepareName(host); err != nil {
		return err
	}
	if err := r.step("symlink", host); err != nil {
		return err
	}
	if err := os.Symlink(target, host); err != nil {
		return err
	}
	return r.syncDir(filepath.Dir(host))
}

// PrepareTwin makes dstAbs what the regular file or link at srcAbs is: by a hard
// link where that is possible, otherwise by a copy with the same content, mode,
// owner and time.
func (r *Root) PrepareTwin(srcAbs, dstAbs string) error {
	src, err := r.Resolve(srcAbs)
	if err != nil {
		return err
	}
	dst, err := r.Resolve(dstAbs)
	if err != nil {
		return err
	}
	if err := r.prepareName(dst); err != nil {
		return err
	}
	info, err := os.Lstat(src)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return notRegular("copy", src, info.Mode())
	}
	if err = r.step("link", dst); err == nil {
		err = os.Link(src, dst)
	}
	switch {
	case err == nil:
		return r.syncDir(filepath.Dir(dst))
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS):
		return err
	case info.Mode().IsRegular():
		return r.twin(src, dst, info)
	}
	target, err := os.Readlink(src)
	if err != nil {
		return err
	}
	return r.prepareLink(target, dst)
}

// twin copies the regular file src with what belongs to it.
func (r *Root) twin(src, dst string, info fs.FileInfo) error {
	from, err := os.OpenFile(src, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	return r.prepareFile(dst, info.Mode(), func(f *os.File) error {
		if err := r.step("copy", dst); err != nil {
			return err
		}
		if err := copyContent(f, from); err != nil {
			return err
		}
		return copyAttributes(f, info)
	})
}

// prepareFile makes the regular file host. After a failure it is gone.
func (r *Root) prepareFile(host string, perm fs.FileMode, fill func(f *os.File) error) error {
	if err := r.prepareName(host); err != nil {
		return err
	}
	if err := r.step("create", host); err != nil {
		return err
	}
	f, err := os.OpenFile(host, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := r.complete(f, perm, durable, fill); err != nil {
		return errors.Join(err, r.discard(host))
	}
	return r.syncDir(filepath.Dir(host))
}

// prepareName takes away what somebody left at host.
func (r *Root) prepareName(host string) error {
	if _, err := os.Lstat(host); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := r.step("remove", host); err != nil {
		return err
	}
	return unlink(host)
}

// PrepareTree makes the directory dstAbs a copy of the directory srcAbs, with
// everything that CopyTree copies. A directory at dstAbs goes first.
func (r *Root) PrepareTree(srcAbs, dstAbs string) error {
	if err := r.RemoveAll(dstAbs); err != nil {
		return err
	}
	if err := r.CopyTree(context.Background(), srcAbs, dstAbs); err != nil {
		return errors.Join(err, r.RemoveAll(dstAbs))
	}
	return r.SyncTree(dstAbs)
}
