package dkms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// InstallOptions says how an instance is installed.
type InstallOptions struct {
	Force        bool   // install even what the kernel has in the same or a newer version
	ForceVersion bool   // do not compare versions, but keep the other checks
	Symlink      bool   // install links into the registry instead of copies
	ObsoleteBy   string // OBSOLETE_BY of dkms.conf
}

// Find returns, for each module name, the files of that name below a kernel's directory.
type Find func(names []string) (map[string][]string, error)

// CheckBuilt returns an error of kind KernelDirMissing or BuiltFileMissing unless i can be installed.
func (t *Tree) CheckBuilt(i Instance, ps []Placement) error {
	if lib := t.KernelDir(i.Kernel); !t.exists(lib) {
		return &Error{Kind: KernelDirMissing, Instance: i, Subject: lib}
	}
	dir := path.Join(t.BaseDir(i), "module")
	for _, p := range ps {
		if t.findFile(dir, p.Name) == "" {
			return &Error{Kind: BuiltFileMissing, Instance: i, Subject: p.Name, Detail: []string{dir}}
		}
	}
	return nil
}

func (t *Tree) exists(abs string) bool {
	_, err := t.root.Stat(abs)
	return err == nil
}

// Install puts the build result of i in place and makes i the active version for its kernel. Module files that are there
// already are archived, unless another version of the same module put them there. A record that the kernel has in the
// same or a newer version is left out; when that leaves nothing of several records the error is of kind NothingInstalled.
//
// All files are written under names of their own and synced before the first of them is moved to its place; if one of
// the moves fails, those before it are undone. Indexes and scripts are not this room's business.
func (t *Tree) Install(ctx context.Context, i Instance, ps []Placement, find Find, o InstallOptions, emit Emit) error {
	if err := i.Check(); err != nil {
		return err
	}
	if err := t.CheckBuilt(i, ps); err != nil {
		return err
	}
	names := make([]string, len(ps))
	for n, p := range ps {
		names[n] = p.Name
	}
	found, err := find(names)
	if err != nil {
		return fmt.Errorf("look for installed modules of kernel %s: %w", i.Kernel, err)
	}
	x := &installation{tree: t, i: i, upgrade: t.isLink(t.ActiveLink(i)), symlink: o.Symlink}
	if before, err := t.root.Follow(t.ActiveLink(i)); err == nil {
		x.before = before
	}
	for _, p := range ps {
		if refusal := t.refuse(i, p, first(found[p.Name]), o); refusal != nil {
			emit(refusal)
			continue
		}
		if err := x.prepare(p, found[p.Name]); err != nil {
			x.discard()
			return &Error{Kind: CopyFailed, Instance: i, Subject: p.Name + p.Suffix, Err: err}
		}
	}
	if len(ps) > 0 && len(x.files) == 0 {
		return &Error{Kind: NothingInstalled, Instance: i}
	}
	if err := ctx.Err(); err != nil {
		x.discard()
		return &Error{Kind: Interrupted, Instance: i, Err: err}
	}
	if err := x.commit(emit); err != nil {
		return &Error{Kind: CopyFailed, Instance: i, Subject: x.failed, Err: errors.Join(err, x.undo())}
	}
	for _, f := range x.files {
		x.forget(f)
	}
	return x.removeOrphans(ps, emit)
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}

// installation is what Install is about to do, and has done.
type installation struct {
	tree    *Tree
	i       Instance
	upgrade bool // another version is active: its files are ours to replace
	symlink bool
	files   []newFile
	tried   int    // files whose move was begun
	link    string // the active link before it was touched; "" when there was none, or when it was not touched
	before  string // build result of the version that was active
	linked  bool   // the active link was touched
	failed  string // the file whose move failed
}

type newFile struct {
	tmp, dst string
	original string // to be archived first; "" for none
	kept     bool   // an original was archived by an earlier installation
	backup   string // copy of what is at dst, for files that nobody else has a copy of; "" for none
}

// prepare writes the file of p beside its place.
func (x *installation) prepare(p Placement, others []string) error {
	t := x.tree
	built := t.findFile(path.Join(t.BaseDir(x.i), "module"), p.Name)
	dir, base := path.Join(t.KernelDir(x.i.Kernel), p.Dest), path.Base(built)
	f := newFile{dst: path.Join(dir, base), tmp: path.Join(dir, "."+base+".dkms-new")}
	if x.upgrade {
		f.kept = t.findFile(t.OriginalDir(x.i), p.Name) != ""
	} else {
		f.original = t.originalFor(x.i, p, others)
	}
	if t.isFile(f.dst) && f.original != f.dst && !t.sameContent(f.dst, x.active(f)) {
		f.backup = path.Join(dir, "."+base+".dkms-old")
	}
	x.files = append(x.files, f)
	if err := t.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if f.backup != "" {
		if err := t.root.Copy(f.dst, f.backup, 0o644); err != nil {
			return err
		}
	}
	if x.symlink {
		return t.root.Symlink(built, f.tmp)
	}
	return t.root.Copy(built, f.tmp, 0o644)
}

// active returns where the registry has the file that the active version put at the place of f.
func (x *installation) active(f newFile) string {
	return path.Join(x.tree.ActiveLink(x.i), "module", path.Base(f.dst))
}

// commit moves everything to its place.
func (x *installation) commit(emit Emit) error {
	t := x.tree
	for _, f := range x.files {
		x.failed = f.dst
		x.tried++
		switch {
		case f.kept:
			emit(OriginalKept{})
		case f.original != "":
			emit(OriginalArchived{Path: f.original})
			if err := t.archive(x.i, f.original); err != nil {
				return err
			}
		}
		emit(FileInstalled{Path: f.dst})
		if err := t.root.Rename(f.tmp, f.dst); err != nil {
			return err
		}
	}
	x.failed, x.linked = t.ActiveLink(x.i), true
	x.link, _ = t.root.Readlink(x.failed)
	return t.root.Symlink(path.Join(x.i.Version, x.i.Kernel, x.i.Arch), x.failed)
}

// removeOrphans deletes the files of the version that was active before which the new one does not have. dkms 3.4 leaves
// them in the kernel for ever.
func (x *installation) removeOrphans(ps []Placement, emit Emit) error {
	t := x.tree
	if x.before == "" || len(x.files) == 0 {
		return nil
	}
	dir := path.Dir(x.files[0].dst)
	for _, name := range t.names(path.Join(x.before, "module"), "") {
		old, placed := path.Join(x.before, "module", name), path.Join(dir, name)
		current := slices.ContainsFunc(ps, func(p Placement) bool { return p.Name == moduleName(name) })
		if moduleName(name) == "" || current || !t.sameContent(old, placed) {
			continue
		}
		emit(FileDeleted{Path: placed})
		if err := t.removeFile(placed); err != nil {
			return fmt.Errorf("delete %s of the previous version: %w", placed, err)
		}
	}
	return nil
}

// moduleName returns the name of a module file without its suffix, or "" if it is no module file.
func moduleName(file string) string {
	for _, s := range moduleSuffixes() {
		if name, ok := strings.CutSuffix(file, s); ok {
			return name
		}
	}
	return ""
}

// undo takes back what commit did. A step that failed may have happened all the same, because the last thing that can fail
// is to make it durable; so nothing here relies on what was done, only on what is there.
func (x *installation) undo() error {
	t := x.tree
	var errs []error
	if x.linked && x.link != "" {
		errs = append(errs, t.root.Symlink(x.link, t.ActiveLink(x.i)))
	} else if x.linked {
		errs = append(errs, t.removeFile(t.ActiveLink(x.i)))
	}
	for _, f := range slices.Backward(x.files[:x.tried]) {
		switch {
		case f.backup != "":
			errs = append(errs, t.root.Rename(f.backup, f.dst))
		case x.upgrade && t.isFile(x.active(f)):
			errs = append(errs, t.root.Copy(x.active(f), f.dst, 0o644))
		default:
			errs = append(errs, t.removeFile(f.dst))
		}
		if f.original != "" {
			errs = append(errs, t.unarchive(x.i, f.original))
		}
	}
	x.discard()
	return errors.Join(errs...)
}

// discard deletes what prepare wrote.
func (x *installation) discard() {
	t := x.tree
	for _, f := range x.files {
		_ = t.removeFile(f.tmp)
		x.forget(f)
		_ = t.root.RemoveEmpty(path.Dir(f.dst), t.KernelDir(x.i.Kernel))
	}
}

// forget deletes the backup of f, once it is not needed any more.
func (x *installation) forget(f newFile) {
	if f.backup != "" {
		_ = x.tree.removeFile(f.backup)
	}
}

// removeFile deletes a file that may not be there.
func (t *Tree) removeFile(abs string) error {
	err := t.root.Remove(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
