package dkms

import (
	"errors"
	"fmt"
	"path"
	"slices"
)

// UninstallOptions says how an instance is uninstalled. Both functions may be nil.
type UninstallOptions struct {
	Owned  func(dir string) bool // reports whether a package owns a directory, which then stays even when it is empty
	Before func()                // called before the first file goes
}

// InstalledFiles returns the files of the active instance i in its kernel.
func (t *Tree) InstalledFiles(i Instance, ps []Placement) []string {
	var files []string
	for _, p := range ps {
		if _, f := t.installedFile(i, p); f != "" {
			files = append(files, f)
		}
	}
	return files
}

// Uninstall takes the kernel objects of i out of its kernel, puts archived originals back, and leaves the build result as
// it is: those that its manifest lists, whatever dkms.conf says by now, and those of the records ps as far as they can be
// found. It may be called for an instance that is not the active one: then only left-over archives are cleaned up.
//
// All of it happens or nothing. The kernel is marked, see MarkDirty: indexes and scripts are not this room's business, and
// have their turn between Uninstall and Cleanup. The caller holds KernelLock and shares ModuleLock.
func (t *Tree) Uninstall(i Instance, ps []Placement, o UninstallOptions, emit Emit) (wasActive bool, err error) {
	x, err := t.leave(i, ps, o, emit)
	if x == nil {
		return false, err
	}
	if err == nil {
		_, err = x.run(func() error { return x.prepare(x.back) }, emit)
	}
	switch {
	case IsFull(err):
		return true, t.noSpace(i, path.Dir(x.failed), 0, err)
	case err != nil:
		return true, fmt.Errorf("uninstall %s: %w", i, err)
	}
	return true, nil
}

// leave plans the uninstallation of i. Without one i is not the active version, or no name of a module.
func (t *Tree) leave(i Instance, ps []Placement, o UninstallOptions, emit Emit) (*uninstallation, error) {
	if err := i.Check(); err != nil {
		return nil, err
	}
	active := t.Active(i)
	emit(UninstallState{Active: active})
	if !active {
		return nil, nil //nolint:nilnil // there is nothing to be planned
	}
	if o.Before != nil {
		o.Before()
	}
	x := &uninstallation{
		transaction: t.newTransaction(KernelLock(i.Kernel), "uninstallation of "+i.String()),
		i:           i, list: t.manifest(i, emit), owned: o.Owned,
	}
	x.Kernel = i.Kernel
	return x, x.plan(ps)
}

// Cleanup ends an uninstallation: what is left in the archive of originals goes. The caller holds KernelLock.
func (t *Tree) Cleanup(i Instance, wasActive bool, emit Emit) error {
	return t.dropOriginals(i, wasActive, emit)
}

// uninstallation is what Uninstall is about to do.
type uninstallation struct {
	*transaction
	i     Instance
	list  *Manifest // nil if there is none
	owned func(dir string) bool
}

// plan lists all changes, in the order in which they are told of.
func (x *uninstallation) plan(ps []Placement) error {
	ps = slices.Concat(ps, x.unlisted(ps))
	returning := map[string]bool{} // places where an original is to be
	for _, p := range ps {
		rs, _, err := x.restorations(x.i, p)
		if err != nil {
			return err
		}
		for _, r := range rs {
			returning[r.to] = true
		}
	}
	for _, p := range ps {
		x.remove(p, returning)
		if err := x.restore(p); err != nil {
			return err
		}
	}
	link, list := x.ActiveLink(x.i), x.manifestFile(x.i)
	x.drop(link, beside(link, ".dkms-old"))
	if x.present(list) {
		x.drop(list, beside(list, ".dkms-old"))
	}
	x.prune(x.OriginalDir(x.i), path.Join(x.opt.DKMSTree, x.i.Name))
	return nil
}

// unlisted returns placements for files that were installed and are not those of ps.
func (x *uninstallation) unlisted(ps []Placement) []Placement {
	if x.list == nil {
		return nil
	}
	var more []Placement
	for _, f := range x.list.Installed {
		if !slices.ContainsFunc(ps, func(p Placement) bool { return p.Name == f.Name }) {
			dir := path.Join("/", path.Dir(f.Path))
			more = append(more, Placement{Record: -1, Name: f.Name, Dest: dir, ConfDest: dir, Suffix: path.Base(f.Path)[len(f.Name):]})
		}
	}
	return more
}

// remove drops the files of p, but for those whose place an original takes.
func (x *uninstallation) remove(p Placement, returning map[string]bool) {
	lib := x.KernelDir(x.i.Kernel)
	dest, file := x.list.file(x.Tree, p.Name)
	if file == "" {
		dest, file = x.installedFile(x.i, p)
	}
	if file == "" {
		x.tell(FileNotFound{Name: p.Name + p.Suffix, Dir: lib})
		return
	}
	dir := path.Join(lib, dest)
	x.tell(FileDeleted{Path: path.Join(dir, p.Name+p.Suffix)})
	for _, s := range moduleSuffixes() {
		f := path.Join(dir, p.Name+s)
		if x.present(f) && !returning[f] && !x.touches(f) {
			x.drop(f, beside(f, ".dkms-old"))
		}
	}
	if x.owned == nil || !x.owned(dir) {
		x.prune(dir, lib)
	}
}

// restore puts the archived originals of p back.
func (x *uninstallation) restore(p Placement) error {
	rs, events, err := x.restorations(x.i, p)
	if err != nil {
		return err
	}
	x.tell(events...)
	for _, r := range rs {
		if x.touches(r.to) {
			continue
		}
		x.tell(r.told)
		if err := x.put(beside(r.to, ".dkms-new"), r.to); err != nil {
			return err
		}
		x.drop(r.archived, beside(r.archived, ".dkms-old"))
		if r.note != "" {
			x.drop(r.note, beside(r.note, ".dkms-old"))
		}
		x.back = append(x.back, r)
	}
	return nil
}

// prepare makes copies of originals that go back where they belong.
func (x *transaction) prepare(back []restoration) error {
	for _, r := range back {
		x.failed = r.to
		err := x.root.MkdirAll(path.Dir(r.to), 0o755)
		if err = errors.Join(err, x.root.PrepareTwin(r.archived, beside(r.to, ".dkms-new"))); err != nil {
			return err
		}
	}
	return nil
}
