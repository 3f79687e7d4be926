package sysroot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// WriteFile makes data the content of the file at abs, atomically and durably.
// See Replace for the rules.
func (r *Root) WriteFile(abs string, data []byte, perm fs.FileMode) error {
	return r.Replace(abs, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Replace makes what fill writes the content of the file at abs, atomically and
// durably. The file gets exactly the mode perm, whatever the umask. When fill
// or anything after it fails, the old file stays as it was and nothing else
// remains.
//
// The directory must exist. A link at abs is replaced, not followed. Anything
// else there that is not a regular file (a directory, a device, a socket) is
// an error.
func (r *Root) Replace(abs string, perm fs.FileMode, fill func(w io.Writer) error) error {
	return r.fill(abs, perm, durable, fill)
}

// Rewrite is Replace for scratch work: atomic, but durable only after SyncTree.
func (r *Root) Rewrite(abs string, perm fs.FileMode, fill func(w io.Writer) error) error {
	return r.fill(abs, perm, scratch, fill)
}

// WriteNew is WriteFile for a name that must be free. When anything has it, a
// dangling link included, that stays and the error is fs.ErrExist.
func (r *Root) WriteNew(abs string, data []byte, perm fs.FileMode) error {
	return r.fill(abs, perm, fresh, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// manner is how a file comes to its name.
type manner int

const (
	durable manner = iota // in place of another one
	fresh                 // durable as well, but only if the name is free
	scratch               // in place of another one, and not synced
)

func (r *Root) fill(abs string, perm fs.FileMode, how manner, fill func(w io.Writer) error) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	return r.replace(host, perm, how, func(f *os.File) error {
		w := bufio.NewWriterSize(stepWriter{r, f}, 64<<10)
		if err := fill(w); err != nil {
			return err
		}
		return w.Flush()
	})
}

// Copy makes the content of the regular file at srcAbs the content of the file
// at dstAbs, under the rules of Replace. srcAbs is followed if it is a link.
// Where the file system can share blocks between files, nothing is copied.
func (r *Root) Copy(srcAbs, dstAbs string, perm fs.FileMode) error {
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
	return r.replace(host, perm, durable, func(dst *os.File) error {
		if err := r.step("copy", dst.Name()); err != nil {
			return err
		}
		return copyContent(dst, src)
	})
}

// Symlink makes abs a link that holds target, word for word, atomically and
// durably. Whatever was there is replaced, unless it is a directory.
func (r *Root) Symlink(target, abs string) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	if info, err := os.Lstat(host); err == nil && info.IsDir() {
		return &os.LinkError{Op: "symlink", Old: target, New: host, Err: syscall.EISDIR}
	}
	temp, err := r.newName(host, "symlink", func(name string) error { return os.Symlink(target, name) })
	if err != nil {
		return err
	}
	return r.publish(temp, host, durable)
}

// replace puts a new regular file with the mode perm and the content that fill
// writes at host. Every error names host, because nobody knows the temporary
// file.
func (r *Root) replace(host string, perm fs.FileMode, how manner, fill func(f *os.File) error) (err error) {
	if err := replaceable(host); err != nil && how != fresh {
		return err
	}
	var f *os.File
	temp, err := r.newName(host, "create", func(name string) (err error) {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	published := false
	defer func() { // also when fill panics
		if !published {
			err = errors.Join(err, r.discard(temp))
		}
	}()
	if err := r.complete(f, perm, how, fill); err != nil {
		return fmt.Errorf("replace %q: %w", host, err)
	}
	published = true
	return r.publish(temp, host, how)
}

// complete fills the new file f, gives it its mode, syncs and closes it.
func (r *Root) complete(f *os.File, perm fs.FileMode, how manner, fill func(f *os.File) error) error {
	defer f.Close() // again, and in vain, but for the failures before
	if err := fill(f); err != nil {
		return err
	}
	if err := r.chmod(f, perm); err != nil {
		return err
	}
	if how == scratch {
		return f.Close()
	}
	if err := r.sync(f); err != nil {
		return err
	}
	return f.Close()
}

// publish gives the complete file temp its final name and syncs the directory.
// On failure temp is gone.
func (r *Root) publish(temp, host string, how manner) error {
	err := r.step("rename", host)
	switch {
	case err != nil:
	case how == fresh:
		err = renameNew(temp, host)
	default:
		err = os.Rename(temp, host)
	}
	if err != nil {
		return errors.Join(err, r.discard(temp))
	}
	if how == scratch {
		return nil
	}
	return r.syncDir(filepath.Dir(host))
}

// renameNew renames a file unless the new name is taken. Where the file system
// cannot do that in one step (renameat2(2)), a second name and the end of the
// first have the same effect.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		if err = os.Link(from, to); err == nil {
			err = os.Remove(from)
		}
	case err != nil:
		err = &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return err
}

// discard removes a temporary file after a failure. Only its own failure is an
// error; the reason for discarding is the caller's.
func (r *Root) discard(temp string) error {
	if err := r.step("remove", temp); err != nil {
		return err
	}
	return os.Remove(temp)
}

// replaceable returns nil when host may be replaced by a regular file: when it
// does not exist, is a regular file or is a link.
func replaceable(host string) error {
	info, err := os.Lstat(host)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() || info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return notRegular("replace", host, info.Mode())
}

// notRegular is the error for a file of the wrong kind.
func notRegular(op, host string, mode fs.FileMode) error {
	if mode.IsDir() {
		return &fs.PathError{Op: op, Path: host, Err: syscall.EISDIR}
	}
	return &fs.PathError{Op: op, Path: host, Err: fmt.Errorf("not a regular file (%s)", kindName(mode))}
}

// kindName says in words what sort of special file mode describes.
func kindName(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file"
}

// chmod gives the open file f exactly the mode perm.
func (r *Root) chmod(f *os.File, perm fs.FileMode) error {
	if err := r.step("chmod", f.Name()); err != nil {
		return err
	}
	return f.Chmod(perm)
}

// stepWriter announces every write to the file.
type stepWriter struct {
	root *Root
	f    *os.File
}

// Write implements io.Writer.
func (w stepWriter) Write(p []byte) (int, error) {
	if err := w.root.step("write", w.f.Name()); err != nil {
		return 0, err
	}
	return w.f.Write(p)
}
