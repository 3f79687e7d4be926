package dkms

import (
	"fmt"
	"path"
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
// it is. It may be called for an instance that is not the active one: then only left-over archives are cleaned up.
//
// Indexes and scripts are not this room's business: between Uninstall and Cleanup they have their turn.
func (t *Tree) Uninstall(i Instance, ps []Placement, o UninstallOptions, emit Emit) (wasActive bool, err error) {
	if err := i.Check(); err != nil {
		return false, err
	}
	wasActive = t.Active(i)
	emit(UninstallState{Active: wasActive})
	if !wasActive {
		return false, nil
	}
	if o.Before != nil {
		o.Before()
	}
	for _, p := range ps {
		if err := t.uninstallRecord(i, p, o.Owned, emit); err != nil {
			return true, err
		}
	}
	if err := t.root.Remove(t.ActiveLink(i)); err != nil {
		return true, fmt.Errorf("uninstall %s: %w", i, err)
	}
	return true, nil
}

// Cleanup ends an uninstallation: what is left in the archive of originals goes.
func (t *Tree) Cleanup(i Instance, wasActive bool, emit Emit) error {
	return t.dropOriginals(i, wasActive, emit)
}

func (t *Tree) uninstallRecord(i Instance, p Placement, owned func(string) bool, emit Emit) error {
	lib := t.KernelDir(i.Kernel)
	dest, file := t.installedFile(i, p)
	if file == "" {
		emit(FileNotFound{Name: p.Name + p.Suffix, Dir: lib})
		return t.restore(i, p, emit)
	}
	dir := path.Join(lib, dest)
	emit(FileDeleted{Path: path.Join(dir, p.Name+p.Suffix)})
	for _, s := range moduleSuffixes() {
		if err := t.removeFile(path.Join(dir, p.Name+s)); err != nil {
			return fmt.Errorf("uninstall %s: %w", i, err)
		}
	}
	if owned == nil || !owned(dir) {
		if err := t.root.RemoveEmpty(dir, lib); err != nil {
			return fmt.Errorf("uninstall %s: %w", i, err)
		}
	}
	return t.restore(i, p, emit)
}
