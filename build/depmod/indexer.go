package depmod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"dkms-go/conf/sysroot"
)

// Indexer writes the indexes of kernels in one install tree.
type Indexer struct {
	Root        *sysroot.Root
	InstallTree string // inside the root, normally /lib/modules
	Cache       string // see Options
	Tell        func(Message)
}

// Outcome is what Index has done.
type Outcome int

// The outcomes of Index that are no errors.
const (
	Indexed Outcome = iota // the indexes are up to date
	Skipped                // there is no modules.dep: the kernel itself is not installed
	Cleaned                // no module is left, so the indexes are gone
)

// Result tells what Index has done.
type Result struct {
	Outcome    Outcome
	ModulesDep string // INSTALL_TREE/RELEASE/modules.dep
	RemovedDir string // the kernel's module directory, when it was empty after Cleaned; else ""
}

// Index brings the indexes of release up to date (do_depmod). A kernel without
// modules.dep is left alone: it has been removed, or its image is not installed
// yet. When modules.dep is empty afterwards the last module is gone; then the
// indexes are removed, and the directory if nothing else is in it. Where there is
// no modules.weakdep beside modules.dep, none is written.
//
// dkms passes the kernel's System.map, which without -e makes no difference.
func (x *Indexer) Index(ctx context.Context, release string) (Result, error) {
	dir := path.Join(x.InstallTree, release)
	result := Result{ModulesDep: path.Join(dir, "modules.dep")}
	if !x.isRegular(result.ModulesDep) {
		result.Outcome = Skipped
		return result, nil
	}
	index, err := Scan(ctx, x.Root, Options{Release: release, Dir: dir, Cache: x.Cache, Earlier: true, Tell: x.Tell, Kmod: x.beside(dir)})
	if err == nil {
		err = index.Publish(ctx)
	}
	if err != nil {
		return result, fmt.Errorf("index modules of kernel %q: %w", release, err)
	}
	if info, err := x.Root.Stat(result.ModulesDep); err != nil || info.Size() > 0 {
		return result, err
	}
	result.Outcome = Cleaned
	result.RemovedDir, err = x.clean(dir)
	return result, err
}

// Forget deletes what is cached about the modules of a kernel.
func (x *Indexer) Forget(release string) error {
	if x.Cache == "" {
		return nil
	}
	return x.Root.RemoveAll(path.Join(x.Cache, release))
}

// beside returns the version of kmod whose files lie in a kernel's directory, to write the same ones: packages of kernels
// delete those that their distribution's depmod writes, and no others.
func (x *Indexer) beside(dir string) KmodVersion {
	if x.isRegular(path.Join(dir, "modules.weakdep")) {
		return 0
	}
	return 30
}

func (x *Indexer) isRegular(abs string) bool {
	info, err := x.Root.Stat(abs)
	return err == nil && info.Mode().IsRegular()
}

// clean removes the indexes that depmod writes, and dir itself if nothing is
// left in it. It returns dir when that is gone. modules.dep is the last to go:
// while it is there, who comes after an interruption does the rest.
func (x *Indexer) clean(dir string) (removed string, err error) {
	entries, err := x.Root.ReadDir(dir)
	if err != nil {
		return "", err
	}
	left := 0
	var errs []error
	last := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "modules.dep" })
	if last >= 0 {
		entries = append(slices.Delete(slices.Clone(entries), last, last+1), entries[last])
	}
	for _, e := range entries {
		if !isIndex(e.Name()) {
			left++
			continue
		}
		errs = append(errs, x.Root.Remove(path.Join(dir, e.Name())))
	}
	if err := errors.Join(errs...); err != nil || left > 0 {
		return "", err
	}
	return dir, x.Root.Remove(dir)
}

// isIndex recognises the files upstream removes. modules.order and
// modules.builtin* without .bin come with the kernel and stay.
func isIndex(name string) bool {
	kind, ok := strings.CutPrefix(name, "modules.")
	if !ok {
		return false
	}
	switch kind {
	case "alias", "dep", "devname", "softdep", "symbols", "weakdep":
		return true
	}
	return strings.HasSuffix(kind, ".bin")
}
