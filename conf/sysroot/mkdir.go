package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// MkdirAll makes the directory abs and those above it that are missing, each
// with exactly the mode perm whatever the umask, and syncs the directories they
// are made in. Existing ones keep their mode. Links are followed as if
// chrooted, also the last one and also when they dangle: the directory they
// name is made.
func (r *Root) MkdirAll(abs string, perm fs.FileMode) error {
	inside, _, err := r.walk(abs, true)
	if err != nil {
		return err
	}
	return r.mkdirAll(inside, perm)
}

// mkdirAll is MkdirAll for a path inside the root that holds no links.
func (r *Root) mkdirAll(inside string, perm fs.FileMode) error {
	host := r.Path(inside)
	info, err := os.Stat(host)
	if err == nil {
		if info.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: host, Err: syscall.ENOTDIR}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.mkdirAll(path.Dir(inside), perm); err != nil {
		return err
	}
	return r.mkdir(host, perm)
}

// mkdir makes one directory and syncs its parent. Somebody else who makes it at
// the same time is welcome.
func (r *Root) mkdir(host string, perm fs.FileMode) error {
	if err := r.step("mkdir", host); err != nil {
		return err
	}
	err := os.Mkdir(host, perm)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(host, perm); err != nil {
		return err
	}
	return r.syncDir(filepath.Dir(host))
}

// MkdirFor makes the directory abs as MkdirAll does and calls f, which makes
// something in it. Others may remove abs whenever it is empty; when they do so
// meanwhile, both are done again. f tells that by an error that is fs.ErrNotExist.
func (r *Root) MkdirFor(abs string, perm fs.FileMode, f func() error) error {
	const most = 1000 // it may never be there, as behind a link that leads nowhere
	for n := 1; ; n++ {
		err := r.MkdirAll(abs, perm)
		if err == nil {
			err = f()
		}
		if n == most || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// MkdirTemp makes a new directory with mode 0700 in the directory dirAbs and
// returns its path inside the root. Its name is pattern with the last "*", or
// the end if there is none, replaced by six random letters and digits, as
// mktemp(1) does. The caller removes it.
func (r *Root) MkdirTemp(dirAbs, pattern string) (abs string, err error) {
	if strings.Contains(pattern, "/") {
		return "", &fs.PathError{Op: "mkdirtemp", Path: pattern, Err: errors.New("pattern contains a slash")}
	}
	dir, err := r.follow("mkdirtemp", dirAbs)
	if err != nil {
		return "", err
	}
	host, err := r.fresh(dir, pattern, "mkdir", func(name string) error { return os.Mkdir(name, 0o700) })
	if err != nil {
		return "", err
	}
	return path.Join("/", dirAbs, filepath.Base(host)), nil
}
