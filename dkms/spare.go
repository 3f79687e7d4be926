package dkms

import (
	"path"
	"slices"
)

// Who deletes something to make room must not need room for that. So the tree keeps a file in reserve, T/.spare, as large as what
// is written for a deletion: locks, its record, a mark. It goes when such a thing finds the disk full, and is back when a
// transaction ends and there is room again. A tree without modules has none.

func (t *Tree) spareFile() string { return path.Join(t.opt.DKMSTree, ".spare") }

// withSpare calls f, and if it finds the disk full once more without the reserve.
func (t *Tree) withSpare(f func() error) error {
	err := f()
	if !IsFull(err) || t.root.Remove(t.spareFile()) != nil {
		return err
	}
	t.spent.Store(true)
	return f()
}

// keepSpare sees to it that there is a reserve where one is wanted. Where there is no room for it there is none.
func (t *Tree) keepSpare() {
	modules := slices.ContainsFunc(t.names(t.opt.DKMSTree, ""), func(name string) bool { return t.realDir(path.Join(t.opt.DKMSTree, name)) })
	fi, err := t.root.Lstat(t.spareFile())
	switch {
	case !modules && err == nil:
		_ = t.root.Remove(t.spareFile())
	case modules && (err != nil || fi.Mode().IsRegular() && fi.Size() < SpaceForRecords):
		if t.root.PrepareFile(t.spareFile(), make([]byte, SpaceForRecords), 0o600) != nil {
			_ = t.removeFile(t.spareFile())
		}
	}
	t.spent.Store(false)
}
