package dkms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"

	"dkms-go/conf/sysroot"
)

// Import copies a source tree into S/M-V, over what is there; with fresh, what is there goes first. The source lies in
// the root from, which may be another one than the tree's. Sources that already are the ones in S/M-V, or the registered
// ones, stay as they are: dkms 3.4 deletes them with --force before it looks (add_source_tree in dkms.in).
func (t *Tree) Import(ctx context.Context, from *sysroot.Root, src string, m Module, fresh bool, emit Emit) error {
	if err := m.Check(); err != nil {
		return err
	}
	if t.inPlace(from, src, m) {
		return nil
	}
	tmp, err := t.stageImport(ctx, from, src, m, fresh, emit)
	if err != nil {
		return err
	}
	defer t.root.RemoveAll(tmp) //nolint:errcheck // best effort: after success it is gone already
	if err := t.root.SyncTree(tmp); err != nil {
		return fmt.Errorf("copy %s: %w", src, err)
	}
	if err := t.swap(tmp, t.SourceDir(m)); err != nil {
		return fmt.Errorf("put %s in place: %w", t.SourceDir(m), err)
	}
	return nil
}

// stageImport copies a source tree beside S/M-V, over a copy of what is there unless fresh, and returns where it is.
func (t *Tree) stageImport(ctx context.Context, from *sysroot.Root, src string, m Module, fresh bool, emit Emit) (tmp string, err error) {
	dst := t.SourceDir(m)
	_, err = t.root.Lstat(dst)
	exists := err == nil
	if fresh && exists {
		emit(SourceReplaced{m})
	}
	if err := t.root.MkdirAll(t.opt.SourceTree, 0o755); err != nil {
		return "", fmt.Errorf("create the source tree: %w", err)
	}
	if tmp, err = t.root.MkdirTemp(t.opt.SourceTree, "."+path.Base(dst)+".*"); err != nil {
		return "", fmt.Errorf("copy %s: %w", src, err)
	}
	if exists && !fresh {
		err = t.root.CopyTree(ctx, dst, tmp)
	}
	if err == nil {
		err = t.root.CopyTreeFrom(ctx, from, src, tmp)
	}
	if err != nil {
		return "", fmt.Errorf("copy %s: %w", src, errors.Join(err, t.root.RemoveAll(tmp)))
	}
	return tmp, nil
}

// inPlace reports whether src is the source directory of m, or what its registration leads to.
func (t *Tree) inPlace(from *sysroot.Root, src string, m Module) bool {
	resolved, err := from.Follow(src)
	if err != nil {
		return false
	}
	for _, own := range []string{t.SourceDir(m), t.SourceLink(m), t.BuildDir(m)} {
		if p, err := t.root.Follow(own); err == nil && t.root.Path(p) == from.Path(resolved) {
			return true
		}
	}
	return false
}

// swap makes the directory tmp take the place of dst. What dst was is deleted last. If it fails, dst is what it was or what
// it was to become.
func (t *Tree) swap(tmp, dst string) error {
	old := tmp + ".old"
	err := t.root.Rename(dst, old)
	switch {
	case errors.Is(err, syscall.EXDEV): // a directory of a lower layer of a container's image
		err = t.root.RemoveAll(dst)
	case errors.Is(err, fs.ErrNotExist): // nothing there
		err = nil
	}
	if err == nil {
		err = t.root.Rename(tmp, dst)
	}
	if err == nil {
		return t.root.RemoveAll(old)
	}
	// A rename that reports failure may have happened.
	if _, there := t.root.Lstat(dst); errors.Is(there, fs.ErrNotExist) {
		return errors.Join(err, t.root.Rename(old, dst))
	}
	return errors.Join(err, t.root.RemoveAll(old))
}

// vanish deletes a directory after giving it a name that nobody sees, so that an interruption leaves no half of it visible.
func (t *Tree) vanish(dir, hidden string) error {
	if err := t.root.RemoveAll(hidden); err != nil {
		return err
	}
	err := t.root.Rename(dir, hidden)
	if errors.Is(err, syscall.EXDEV) { // as in swap
		return t.root.RemoveAll(dir)
	}
	return errors.Join(err, t.root.RemoveAll(hidden))
}

// CheckAdd returns the error that Add(m) would meet: AlreadyAdded or SourceMissing.
func (t *Tree) CheckAdd(m Module) error {
	if err := m.Check(); err != nil {
		return err
	}
	if t.Added(m) {
		return &Error{Kind: AlreadyAdded, Instance: Instance{Module: m}}
	}
	if src := t.SourceDir(m); !t.isDir(src) {
		return &Error{Kind: SourceMissing, Instance: Instance{Module: m}, Subject: src}
	}
	return nil
}

// Add registers m, whose sources are in S/M-V. The registration becomes visible as a whole.
func (t *Tree) Add(m Module, emit Emit) error {
	if err := t.CheckAdd(m); err != nil {
		return err
	}
	src, link := t.SourceDir(m), t.SourceLink(m)
	emit(SourceLinked{Link: link, Target: src})
	if t.isDir(t.ModuleDir(m)) { // what is left of an earlier registration
		if err := t.root.MkdirAll(t.BuildDir(m), 0o755); err != nil {
			return fmt.Errorf("register %s: %w", m, err)
		}
		if err := t.root.Symlink(src, link); err != nil {
			return fmt.Errorf("register %s: %w", m, err)
		}
		return nil
	}
	parent := path.Dir(t.ModuleDir(m))
	if err := t.root.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("register %s: %w", m, err)
	}
	err := t.fresh(parent, m.Version, t.ModuleDir(m), func(tmp string) error {
		if err := t.root.MkdirAll(path.Join(tmp, "build"), 0o755); err != nil {
			return err
		}
		return t.root.Symlink(src, path.Join(tmp, "source"))
	})
	if err != nil {
		return fmt.Errorf("register %s: %w", m, err)
	}
	return nil
}

// fresh makes the directory dst, which must not exist, appear with the content that fill gives it.
func (t *Tree) fresh(parent, name, dst string, fill func(tmp string) error) error {
	tmp, err := t.root.MkdirTemp(parent, ".tmp_"+name+"_*")
	if err != nil {
		return err
	}
	defer t.root.RemoveAll(tmp) //nolint:errcheck // best effort: after success it is gone already
	if err := fill(tmp); err != nil {
		return err
	}
	if err := t.root.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := t.root.SyncTree(tmp); err != nil {
		return err
	}
	return t.root.Rename(tmp, dst)
}
