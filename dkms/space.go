package dkms

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"dkms-go/conf/sysroot"
)

// SpaceForRecords is what the journal, notes and directory entries of one change need at most, generously.
const SpaceForRecords = 64 << 10

// CheckSpace returns an error of kind NoSpace unless the file system of a directory, which need not exist yet, has room for
// so many bytes. i is what they are for. Where that cannot be found out, there is room.
func (t *Tree) CheckSpace(i Instance, dir string, need uint64) error {
	space, err := t.root.Free(dir)
	if err != nil {
		return nil //nolint:nilerr // whoever writes there will hear of it
	}
	if space.Bytes >= need && space.Files > 0 {
		return nil
	}
	return t.noSpace(i, dir, need, nil)
}

// CheckBuildSpace returns an error of kind NoSpace unless there is room in the dkms tree to build i: for a copy of the
// sources, and for a result as large as the one before.
func (t *Tree) CheckBuildSpace(i Instance) error {
	return t.CheckSpace(i, t.ModuleDir(i.Module), t.BuildSpace(i))
}

// BuildSpace is how many bytes a build of i takes in the dkms tree, as far as that is known before.
func (t *Tree) BuildSpace(i Instance) uint64 {
	return SpaceForRecords + SizeOf(t.root, t.SourceLink(i.Module)) + SizeOf(t.root, t.BaseDir(i))
}

// Full makes an error of kind NoSpace of one that says that a file system is full, whatever was being written: it names the
// place, and how many bytes what is to be done takes. An error of another kind keeps it, and says so in its cause. All other
// errors, nil among them, come back as they are.
func (t *Tree) Full(i Instance, need uint64, err error) error {
	if !IsFull(err) {
		return err
	}
	var e *Error
	switch {
	case !errors.As(err, &e):
		return t.noSpace(i, "", need, err)
	case e.Kind == NoSpace && len(e.Detail) == 0:
		e.Detail = []string{BytesText(need)}
	case e.Kind != NoSpace && IsFull(e.Err):
		e.Err = t.Full(i, need, e.Err)
	}
	return err
}

// fullDir returns the directory in which something could not be written, and not one that only the program knows.
func (t *Tree) fullDir(err error) string {
	var (
		file *fs.PathError
		link *os.LinkError
	)
	host := ""
	switch {
	case errors.As(err, &file):
		host = path.Dir(file.Path)
	case errors.As(err, &link):
		host = path.Dir(link.New)
	}
	dir, inside := strings.CutPrefix(path.Clean("/"+host), strings.TrimSuffix(t.root.Dir(), "/"))
	if host == "" || !inside {
		return t.opt.DKMSTree
	}
	if n := strings.Index(dir, "/."); n >= 0 {
		dir = dir[:n]
	}
	return path.Clean("/" + dir)
}

// noSpace is the error that says that there is no room in dir, or where err says, because of err if that is known.
func (t *Tree) noSpace(i Instance, dir string, need uint64, err error) error {
	if !path.IsAbs(dir) {
		dir = t.fullDir(err)
	}
	e := &Error{Kind: NoSpace, Instance: i, Subject: dir, Err: err}
	if need > 0 {
		e.Detail = []string{BytesText(need)}
	}
	if space, err := t.root.Free(dir); err == nil {
		e.Remedy = fmt.Sprintf("make room there: %s are free; then type it again", BytesText(space.Bytes))
		if space.Files == 0 {
			e.Remedy = "make room there: no file can be made; then type it again"
		}
	}
	return e
}

// IsFull reports whether an error says that a file system, or the user's share of it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// SizeOf returns how many bytes the files below a directory have, or the file at its place, links followed.
func SizeOf(root *sysroot.Root, abs string) uint64 {
	resolved, err := root.Follow(abs)
	if err != nil {
		return 0
	}
	fi, err := root.Lstat(resolved)
	if err != nil {
		return 0
	}
	var sum uint64
	add := func(_ string, fi fs.FileInfo) error {
		if fi.Mode().IsRegular() {
			sum += uint64(max(0, fi.Size()))
		}
		return nil
	}
	if !fi.IsDir() {
		_ = add("", fi)
		return sum
	}
	_ = eachBelow(root, resolved, "", add) // as far as it can be read
	return sum
}

// BytesText returns a number of bytes for people.
func BytesText(n uint64) string {
	const kilo, mega, giga = 1 << 10, 1 << 20, 1 << 30
	switch {
	case n >= giga:
		return fmt.Sprintf("%.1f GiB", float64(n)/giga)
	case n >= mega:
		return fmt.Sprintf("%.1f MiB", float64(n)/mega)
	}
	return fmt.Sprintf("%d KiB", (n+kilo-1)/kilo)
}
