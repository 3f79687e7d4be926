package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Rename gives the file or directory at oldAbs the name newAbs, atomically, and
// syncs both directories. Neither last element is followed. An existing file
// at newAbs is replaced; an existing directory there is an error (EEXIST).
//
// Between file systems rename(2) cannot work. A regular file or a link is then
// copied under the rules of Replace, with its owner, mode and time, and removed
// afterwards; anything else stays the error EXDEV.
func (r *Root) Rename(oldAbs, newAbs string) error {
	from, err := r.Resolve(oldAbs)
	if err != nil {
		return err
	}
	to, err := r.Resolve(newAbs)
	if err != nil {
		return err
	}
	if err := r.step("rename", to); err != nil {
		if errors.Is(err, syscall.EXDEV) {
			return r.moveAcross(from, to)
		}
		return err
	}
	if err := os.Rename(from, to); err != nil {
		if errors.Is(err, syscall.EXDEV) {
			return r.moveAcross(from, to)
		}
		return err
	}
	if err := r.syncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return r.syncDir(filepath.Dir(from))
}

// moveAcross moves a regular file or a link to another file system.
func (r *Root) moveAcross(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		err = r.copyLink(from, to)
	case info.Mode().IsRegular():
		err = r.copyAcross(from, to, info)
	default:
		err = &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EXDEV}
	}
	if err != nil {
		return err
	}
	return r.remove(from)
}

// copyAcross makes to a durable copy of the regular file from.
func (r *Root) copyAcross(from, to string, info fs.FileInfo) error {
	src, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	return r.replace(to, info.Mode(), durable, func(dst *os.File) error {
		if err := r.step("copy", to); err != nil {
			return err
		}
		if err := copyContent(dst, src); err != nil {
			return err
		}
		return copyAttributes(dst, info)
	})
}

// copyLink makes to a durable copy of the link from.
func (r *Root) copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	temp, err := r.newName(to, "symlink", func(name string) error { return os.Symlink(target, name) })
	if err != nil {
		return err
	}
	return r.publish(temp, to, durable)
}

// Remove removes the file, link or empty directory at abs and syncs its
// directory. A missing one is the error fs.ErrNotExist.
func (r *Root) Remove(abs string) error {
	host, err := r.removable(abs)
	if err != nil {
		return err
	}
	return r.remove(host)
}

// RemoveAll removes whatever is at abs with everything below it and syncs its
// directory. A missing one is no error. Links are removed, never followed.
func (r *Root) RemoveAll(abs string) error {
	host, err := r.removable(abs)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(host); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := r.stepsBelow(host); err != nil {
		return err
	}
	if err := r.step("remove", host); err != nil {
		return err
	}
	if err := os.RemoveAll(host); err != nil {
		return err
	}
	return r.syncRemoval(host)
}

// stepsBelow removes what is below a directory one by one where each change is
// asked for: a directory half removed is a state that a crash can leave.
func (r *Root) stepsBelow(host string) error {
	if r.before == nil {
		return nil
	}
	if fi, err := os.Lstat(host); err != nil || !fi.IsDir() {
		return err
	}
	ents, err := os.ReadDir(host)
	for _, e := range ents {
		name := filepath.Join(host, e.Name())
		err = errors.Join(err, r.stepsBelow(name))
		if err == nil {
			err = r.step("remove", name)
		}
		if err == nil {
			err = os.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// RemoveEmpty removes the directory at abs if it is empty, then its parents as
// long as they are empty, up to but not including stop, which must be abs or
// lie above it. A directory that is missing counts as removed, and one that is
// not empty ends the work without an error.
func (r *Root) RemoveEmpty(abs, stop string) error {
	last := r.Path(stop)
	for {
		host := r.Path(abs)
		if host == last {
			return nil
		}
		below, err := filepath.Rel(last, host)
		if err != nil || !filepath.IsLocal(below) {
			return fmt.Errorf("remove empty directories: %q is not below %q", abs, stop)
		}
		removed, err := r.rmdir(abs)
		if err != nil || !removed {
			return err
		}
		abs = filepath.Dir(filepath.Join("/", abs))
	}
}

// rmdir removes the directory at abs if it is empty and tells whether it is
// gone.
func (r *Root) rmdir(abs string) (gone bool, err error) {
	host, err := r.removable(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(host); errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err := r.step("rmdir", host); err != nil {
		return false, err
	}
	// A directory that something is mounted on is in use, like a full one.
	err = syscall.Rmdir(host)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.EBUSY) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody else was faster
		return false, &fs.PathError{Op: "rmdir", Path: host, Err: err}
	}
	return true, r.syncRemoval(host)
}

// removable resolves abs, which must not be the root itself.
func (r *Root) removable(abs string) (host string, err error) {
	host, err = r.Resolve(abs)
	if err == nil && host == r.dir {
		err = &fs.PathError{Op: "remove", Path: host, Err: errors.New("is the root directory")}
	}
	return host, err
}

// remove removes one file, link or empty directory and syncs its directory.
func (r *Root) remove(host string) error {
	if err := r.step("remove", host); err != nil {
		return err
	}
	if err := os.Remove(host); err != nil {
		return err
	}
	return r.syncRemoval(host)
}

// syncRemoval syncs the directory that something was removed from, unless it has
// been removed itself meanwhile.
func (r *Root) syncRemoval(host string) error {
	err := r.syncDir(filepath.Dir(host))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
