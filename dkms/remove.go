package dkms

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Clean deletes what interrupted builds of m left behind: temporary directories, and kernel directories without content.
func (t *Tree) Clean(m Module) error {
	var errs []error
	dir := t.ModuleDir(m)
	for _, n := range t.names(dir, "") {
		sub := path.Join(dir, n)
		if fi, err := t.root.Lstat(sub); err != nil || !fi.IsDir() {
			continue
		}
		ents, err := t.root.ReadDir(sub)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		left := len(ents)
		for _, e := range ents {
			if strings.HasPrefix(e.Name(), ".tmp_") {
				errs = append(errs, t.root.RemoveAll(path.Join(sub, e.Name())))
				left--
			}
		}
		if left == 0 {
			errs = append(errs, t.root.Remove(sub))
		}
	}
	return errors.Join(errs...)
}

// Forget deletes the registration of m if no build of it is left, and the directory of its name if no version is. The
// sources in S stay. The caller holds ModuleLock.
func (t *Tree) Forget(m Module, emit Emit) error {
	if err := m.Check(); err != nil {
		return err
	}
	dir := t.ModuleDir(m)
	name := path.Dir(dir)
	x := t.newTransaction(ModuleLock(m), "removal of "+m.String())
	if !t.hasBuilds(m) {
		x.tell(ModuleDeleted{m})
		x.drop(dir, path.Join(name, ".tmp_"+m.Version+"_remove"))
	}
	if others := t.names(name, ""); len(others) == 0 || len(others) == 1 && others[0] == m.Version {
		t.dropManifests(x, name)
	}
	x.prune(name, t.opt.DKMSTree)
	if _, err := x.run(nil, emit); err != nil {
		return fmt.Errorf("delete the registration of %s: %w", m, err)
	}
	return nil
}

// dropManifests drops the manifests that dkms 3.4 has left behind, which deletes what they are about without knowing of them.
func (t *Tree) dropManifests(x *transaction, name string) {
	ents, err := t.root.ReadDir(name)
	if err != nil {
		return
	}
	for _, e := range ents {
		if strings.HasPrefix(e.Name(), ".kernel-") && strings.HasSuffix(e.Name(), ".manifest") {
			x.drop(path.Join(name, e.Name()), path.Join(name, e.Name()+".dkms-old"))
		}
	}
}

// hasBuilds reports whether T/M/V has a subdirectory that is not one of those that every registration may have.
func (t *Tree) hasBuilds(m Module) bool {
	dir := t.ModuleDir(m)
	for _, n := range t.names(dir, "") {
		if fi, err := t.root.Lstat(path.Join(dir, n)); err != nil || !fi.IsDir() {
			continue
		}
		own := false
		for _, s := range []string{"build", "tarball", "driver_disk", "rpm", "deb", "source"} {
			own = own || strings.HasSuffix(n, s)
		}
		if !own {
			return true
		}
	}
	return false
}
