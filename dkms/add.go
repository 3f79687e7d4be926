package dkms

import (
	"context"
	"errors"
	"fmt"
	"path"

	"dkms-go/conf/sysroot"
)

// Import copies a source tree into S/M-V, over what is there; with fresh, what is there goes first. The source lies in
// the root from, which may be another one than the tree's. Sources that already are the ones in S/M-V, or the registered
// ones, stay as they are: dkms 3.4 deletes them with --force before it looks (add_source_tree in dkms.in). The caller holds ModuleLock.
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
	x := t.newTransaction(ModuleLock(m), "import of the sources of "+m.String())
	err = x.put(tmp, t.SourceDir(m))
	if err == nil {
		_, err = x.run(nil, emit)
	}
	if err != nil {
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
	if err := t.CheckSpace(Instance{Module: m}, t.opt.SourceTree, SizeOf(from, src)+SpaceForRecords); err != nil {
		return "", err
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

// Add registers m, whose sources are in S/M-V. The registration becomes visible as a whole. The caller holds ModuleLock.
func (t *Tree) Add(m Module, emit Emit) error {
	if err := t.CheckAdd(m); err != nil {
		return err
	}
	src, link := t.SourceDir(m), t.SourceLink(m)
	place := t.ModuleDir(m)
	if t.isDir(place) { // what is left of an earlier registration
		place = link
	}
	x := t.newTransaction(ModuleLock(m), "registration of "+m.String())
	tmp := beside(place, ".dkms-new")
	x.tell(SourceLinked{Link: link, Target: src})
	x.prune(path.Dir(t.ModuleDir(m)), t.opt.DKMSTree)
	err := x.put(tmp, place)
	if err == nil {
		_, err = x.run(func() error {
			if place == link {
				return errors.Join(t.root.MkdirAll(t.BuildDir(m), 0o755), t.root.PrepareLink(src, tmp))
			}
			return t.prepareRegistration(tmp, src)
		}, emit)
	}
	switch {
	case IsFull(err):
		return t.noSpace(Instance{Module: m}, t.opt.DKMSTree, 0, err)
	case err != nil:
		return fmt.Errorf("register %s: %w", m, err)
	}
	return nil
}

// prepareRegistration makes the directory of a registration.
func (t *Tree) prepareRegistration(tmp, src string) error {
	if err := t.root.RemoveAll(tmp); err != nil {
		return err
	}
	if err := t.root.MkdirAll(path.Join(tmp, "build"), 0o755); err != nil {
		return err
	}
	return t.root.PrepareLink(src, path.Join(tmp, "source"))
}
