package dkms

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"dkms-go/conf/sysroot"
)

// spaceForRecords is what the journal, notes and directory entries of one change need at most, generously.
const spaceForRecords = 64 << 10

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
	need := uint64(spaceForRecords)
	for _, dir := range []string{t.SourceLink(i.Module), t.BaseDir(i)} {
		need += sizeOf(t.root, dir)
	}
	return t.CheckSpace(i, t.ModuleDir(i.Module), need)
}

// noSpace is the error that says that there is no room in dir, because of err if that is known.
func (t *Tree) noSpace(i Instance, dir string, need uint64, err error) error {
	e := &Error{Kind: NoSpace, Instance: i, Subject: dir, Err: err}
	if need > 0 {
		e.Detail = []string{bytesText(need)}
	}
	if space, err := t.root.Free(dir); err == nil {
		e.Remedy = fmt.Sprintf("make room there: %s are free; then type it again", bytesText(space.Bytes))
		if space.Files == 0 {
			e.Remedy = "make room there: no file can be made; then type it again"
		}
	}
	return e
}

// IsFull reports whether an error says that a file system, or the user's share of it, is full.
func IsFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// sizeOf returns how many bytes the files below a directory have, or the file at its place, links followed.
func sizeOf(root *sysroot.Root, abs string) uint64 {
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

// bytesText is a number of bytes for people.
func bytesText(n uint64) string {
	const kilo, mega, giga = 1 << 10, 1 << 20, 1 << 30
	switch {
	case n >= giga:
		return fmt.Sprintf("%.1f GiB", float64(n)/giga)
	case n >= mega:
		return fmt.Sprintf("%.1f MiB", float64(n)/mega)
	}
	return fmt.Sprintf("%d KiB", (n+kilo-1)/kilo)
}
