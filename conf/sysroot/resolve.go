package sysroot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// maxLinks is how many links one path may lead through. The kernel stops at 40
// (path_resolution(7)); a tree that is merely mounted somewhere may be deeper,
// so the number only has to end a loop.
const maxLinks = 255

// Resolve returns the host path of abs, with every link on the way followed as
// if chrooted into the root. The last element is not followed, so the result
// may itself be a link; a trailing slash does not change that. Elements that do
// not exist are kept as they are. A loop is ELOOP, and a file where a directory
// should be is ENOTDIR.
func (r *Root) Resolve(abs string) (host string, err error) {
	inside, _, err := r.walk(abs, false)
	if err != nil {
		return "", err
	}
	return r.Path(inside), nil
}

// Follow returns the path inside the root that abs leads to when every link,
// including the last element, is followed as if chrooted: what realpath(1)
// prints there. The path must exist, and the error is fs.ErrNotExist otherwise.
func (r *Root) Follow(abs string) (absOut string, err error) {
	inside, missing, err := r.walk(abs, true)
	if err != nil {
		return "", err
	}
	if missing {
		return "", &fs.PathError{Op: "follow", Path: r.Path(abs), Err: syscall.ENOENT}
	}
	return inside, nil
}

// follow is Follow with a host path as the result and op in its error.
func (r *Root) follow(op, abs string) (host string, err error) {
	inside, err := r.Follow(abs)
	if err != nil {
		var failed *fs.PathError
		if errors.As(err, &failed) {
			failed.Op = op
		}
		return "", err
	}
	return r.Path(inside), nil
}

// walk resolves abs one element at a time and returns a path inside the root
// that holds no links, but for the last element when last is false. Behind an
// element that does not exist the walk goes on as realpath -m does, because a
// later ".." may lead back to links that do exist and must not be left to the
// kernel: it would follow them out of the root.
func (r *Root) walk(abs string, last bool) (inside string, missing bool, err error) {
	inside = "/"
	links := 0
	for todo := elements(abs); len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == "." {
			continue
		}
		if name == ".." {
			inside = path.Dir(inside)
			continue
		}
		next := path.Join(inside, name)
		if len(todo) == 0 && !last {
			return next, missing, nil
		}
		target, kind, err := r.look(next)
		if err != nil {
			return "", false, err
		}
		switch {
		case kind == kindLink:
			if links++; links > maxLinks {
				return "", false, &fs.PathError{Op: "resolve", Path: r.Path(abs), Err: syscall.ELOOP}
			}
			if path.IsAbs(target) {
				inside = "/"
			}
			todo = slices.Concat(elements(target), todo)
			continue
		case kind == kindFile && len(todo) > 0:
			return "", false, &fs.PathError{Op: "resolve", Path: r.Path(next), Err: syscall.ENOTDIR}
		case kind == kindMissing:
			missing = true
		}
		inside = next
	}
	return inside, missing, nil
}

// kind is what walk needs to know about one element.
type kind int

const (
	kindMissing kind = iota
	kindFile
	kindDir
	kindLink
)

// look tells what lies at inside, a path without links but for its last
// element, and where it points to if it is a link.
func (r *Root) look(inside string) (target string, _ kind, err error) {
	host := r.Path(inside)
	info, err := os.Lstat(host)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", kindMissing, nil
	case err != nil:
		return "", kindMissing, err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err = os.Readlink(host)
		return target, kindLink, err
	case info.IsDir():
		return "", kindDir, nil
	}
	return "", kindFile, nil
}

// elements splits a path at its slashes.
func elements(p string) []string {
	return strings.FieldsFunc(p, func(c rune) bool { return c == '/' })
}
