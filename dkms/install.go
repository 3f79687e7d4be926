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
	Replace      bool   // the files that are there now are those of an older build: only the kernel's own are compared with
	ObsoleteBy   string // OBSOLETE_BY of dkms.conf

	Leaving *Leaving // what is installed of the same instance counts as uninstalled; nil if it does not
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
// Files of the version that was active which i does not have go; dkms 3.4 leaves them in the kernel for ever.
//
// All files are written under names of their own and synced before the first of them takes its place; if one of them cannot,
// those before it are taken back. The kernel is marked, see MarkDirty: indexes and scripts are not this room's business. The
// caller holds KernelLock and shares ModuleLock and BuildLock.
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
	leaving, err := t.leaving(i, o.Leaving)
	if err != nil {
		return fmt.Errorf("look for what is installed of %s: %w", i, err)
	}
	x := &installation{
		transaction: t.newTransaction(KernelLock(i.Kernel), "installation of "+i.String()),
		i:           i, upgrade: leaving == nil && t.isLink(t.ActiveLink(i)), symlink: o.Symlink, leaving: leaving,
	}
	x.Kernel = i.Kernel
	for _, p := range ps {
		there := leaving.found(p.Name, found[p.Name])
		rival := t.rival(i, p, there, o)
		if refusal := t.refuse(i, p, rival, leaving.content(rival), o); refusal != nil {
			x.refused = append(x.refused, refusal)
			continue
		}
		f := x.place(p, there)
		f.before, x.refused = x.refused, nil
		x.files = append(x.files, f)
	}
	if len(ps) > 0 && len(x.files) == 0 {
		for _, refusal := range x.refused {
			emit(refusal)
		}
		return &Error{Kind: NothingInstalled, Instance: i}
	}
	if err := x.checkSpace(); err != nil {
		return err
	}
	if err := x.plan(ps, emit); err != nil {
		return x.error(err)
	}
	finished, err := x.run(func() error { return x.prepare(ctx) }, emit)
	switch {
	case err == nil:
		return nil
	case finished:
		return fmt.Errorf("after the installation of %s: %w", i, err)
	case ctx.Err() != nil:
		return &Error{Kind: Interrupted, Instance: i, Err: err}
	}
	return x.error(err)
}

// Refused reports whether Install would leave out every record.
func (t *Tree) Refused(i Instance, ps []Placement, find Find, o InstallOptions) bool {
	if len(ps) == 0 || o.Force || t.CheckBuilt(i, ps) != nil {
		return false
	}
	names := make([]string, len(ps))
	for n, p := range ps {
		names[n] = p.Name
	}
	found, err := find(names)
	return err == nil && !slices.ContainsFunc(ps, func(p Placement) bool {
		rival := t.rival(i, p, found[p.Name], o)
		return t.refuse(i, p, rival, rival, o) == nil
	})
}

// rival returns the file that the version of p is compared with, "" for none: the first of those found in the kernel. Where
// our own files are to be replaced it is the kernel's own that was archived for them.
func (t *Tree) rival(i Instance, p Placement, found []string, o InstallOptions) string {
	if o.Replace {
		if m, err := t.Manifest(i); err == nil && m != nil {
			found = slices.DeleteFunc(slices.Clone(found), func(abs string) bool {
				return slices.ContainsFunc(m.Installed, func(f InstalledFile) bool { return path.Join(t.KernelDir(i.Kernel), f.Path) == abs })
			})
		}
		if len(found) == 0 {
			return t.findFile(t.OriginalDir(i), p.Name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// installation is what Install is about to do.
type installation struct {
	*transaction
	i       Instance
	upgrade bool // another version is active: its files are ours to replace
	symlink bool
	leaving *afterwards
	files   []newFile
	refused []Event // of the records after the last of files
	list    Manifest
}

// newFile is a module file on its way into a kernel.
type newFile struct {
	name     string // of the module
	built    string
	tmp, dst string
	original string  // to be archived first; "" for none
	kept     bool    // an original was archived by an earlier installation
	before   []Event // records left out between the file before and this one
}

// place says where the file of p goes.
func (x *installation) place(p Placement, others []string) newFile {
	built := x.findFile(path.Join(x.BaseDir(x.i), "module"), p.Name)
	dst := path.Join(x.KernelDir(x.i.Kernel), p.Dest, path.Base(built))
	f := newFile{name: p.Name, built: built, dst: dst, tmp: beside(dst, ".dkms-new")}
	if x.upgrade {
		f.kept = x.findFile(x.OriginalDir(x.i), p.Name) != ""
	} else {
		f.original = x.originalFor(p, others)
	}
	return f
}

// archived returns where the original of f is archived, and the note of where it was.
func (x *installation) archived(f newFile) (file, note string) {
	file = path.Join(x.OriginalDir(x.i), path.Base(f.original))
	return file, file + ".origin"
}

// need returns how much room the new files take in the module directory.
func (x *installation) need() uint64 {
	need := uint64(SpaceForRecords)
	for _, f := range x.files {
		if !x.symlink {
			need += SizeOf(x.root, f.built)
		}
	}
	return need
}

// checkSpace sees to it that there is room, for new files in the kernel's directory, for archives and records in the tree.
func (x *installation) checkSpace() error {
	archives := uint64(SpaceForRecords)
	for _, f := range x.files {
		if f.original != "" {
			archives += SizeOf(x.root, x.leaving.content(f.original))
		}
	}
	if err := x.CheckSpace(x.i, x.KernelDir(x.i.Kernel), x.need()); err != nil {
		return err
	}
	return x.CheckSpace(x.i, x.opt.DKMSTree, archives)
}

// error lifts what went wrong with a file.
func (x *installation) error(err error) error {
	if IsFull(err) {
		return x.noSpace(x.i, path.Dir(x.failed), x.need(), err)
	}
	return &Error{Kind: CopyFailed, Instance: x.i, Subject: x.failed, Err: err}
}

// plan lists all changes, in the order in which they are told of.
func (x *installation) plan(ps []Placement, emit Emit) error {
	i, lib := x.i, x.KernelDir(x.i.Kernel)
	kept := map[string]bool{}
	for _, f := range x.files {
		x.failed = f.dst
		x.tell(f.before...)
		if f.kept {
			x.tell(OriginalKept{})
		}
		if f.original != "" {
			x.tell(OriginalArchived{Path: f.original})
			file, note := x.archived(f)
			kept[file], kept[note] = x.leaving.archived(f.original, file, note)
			for _, abs := range []string{note, file} {
				if kept[abs] {
					continue
				}
				if err := x.put(beside(abs, ".dkms-new"), abs); err != nil {
					return err
				}
			}
			x.prune(x.OriginalDir(i), path.Join(x.opt.DKMSTree, i.Name))
			x.list.Archived = append(x.list.Archived, ArchivedFile{Name: f.name, Path: strings.TrimPrefix(f.original, lib+"/"), Archive: path.Base(file)})
		}
		x.tell(FileInstalled{Path: f.dst})
		if err := x.put(f.tmp, f.dst); err != nil {
			return err
		}
		x.prune(path.Dir(f.dst), lib)
		if f.original != "" && f.original != f.dst {
			x.drop(f.original, beside(f.original, ".dkms-old"))
		}
	}
	x.tell(x.refused...)
	link, list := x.ActiveLink(i), x.manifestFile(i)
	x.failed = link
	before := x.activeVersion()
	if err := errors.Join(x.put(beside(link, ".dkms-new"), link), x.put(beside(list, ".dkms-new"), list)); err != nil {
		return err
	}
	x.orphans(before, ps, emit)
	return x.leave(kept)
}

// activeVersion returns the instance that is active before the installation, or none.
func (x *installation) activeVersion() Instance {
	target, err := x.root.Readlink(x.ActiveLink(x.i))
	if err != nil || !x.upgrade {
		return Instance{}
	}
	v := x.i
	v.Version, _, _ = strings.Cut(target, "/")
	return v
}

// orphans drops the files of the version that was active which the new one does not have. Those that the new one has, but
// which the kernel had in the same or a newer version, stay and are the new one's.
func (x *installation) orphans(before Instance, ps []Placement, emit Emit) {
	lib := x.KernelDir(x.i.Kernel)
	if before.Version == "" || len(x.files) == 0 {
		return
	}
	for _, f := range x.installedBy(before, emit) {
		abs := path.Join(lib, f.Path)
		placed := slices.ContainsFunc(x.files, func(n newFile) bool { return n.name == f.Name })
		wanted := slices.ContainsFunc(ps, func(p Placement) bool { return p.Name == f.Name })
		switch {
		case x.touches(abs):
		case wanted && !placed:
			x.list.Installed = append(x.list.Installed, f)
		default:
			x.tell(FileDeleted{Path: abs})
			x.drop(abs, beside(abs, ".dkms-old"))
		}
	}
}

// installedBy returns the files that a version has put into the kernel and that are still the ones there. Without a manifest
// that is every file beside the new ones which equals a built one.
func (x *installation) installedBy(v Instance, emit Emit) []InstalledFile {
	if m := x.manifest(v, emit); m != nil {
		x.list.Archived = slices.Concat(m.Archived, x.list.Archived)
		return slices.DeleteFunc(m.Installed, func(f InstalledFile) bool { return !x.stands(v.Kernel, f) })
	}
	var files []InstalledFile
	built, dir, lib := path.Join(x.BaseDir(v), "module"), path.Dir(x.files[0].dst), x.KernelDir(v.Kernel)
	for _, base := range x.names(built, "") {
		name := moduleName(base)
		if name == "" || !x.sameContent(path.Join(built, base), path.Join(dir, base)) {
			continue
		}
		if f, err := x.describe(path.Join(dir, base), strings.TrimPrefix(path.Join(dir, base), lib+"/"), name); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// prepare makes everything that is to be put in place.
func (x *installation) prepare(ctx context.Context) error {
	for _, f := range x.files {
		x.failed = f.dst
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.prepareFile(f); err != nil {
			return err
		}
	}
	if err := x.transaction.prepare(x.back); err != nil {
		return err
	}
	x.failed = x.ActiveLink(x.i)
	if err := x.root.PrepareLink(path.Join(x.i.Version, x.i.Kernel, x.i.Arch), beside(x.failed, ".dkms-new")); err != nil {
		return err
	}
	i := x.i
	x.list.Format, x.list.Module, x.list.Version, x.list.Kernel, x.list.Arch = manifestFormat, i.Name, i.Version, i.Kernel, i.Arch
	build, err := x.identity(path.Join(x.BaseDir(i), "module"))
	if err != nil {
		return err
	}
	x.list.Build = build
	text, err := x.list.encode()
	if err != nil {
		return err
	}
	return x.root.PrepareFile(beside(x.manifestFile(x.i), ".dkms-new"), text, 0o644)
}

func (x *installation) prepareFile(f newFile) error {
	if f.original != "" {
		if err := x.archive(f); err != nil {
			return err
		}
	}
	if err := x.root.MkdirAll(path.Dir(f.dst), 0o755); err != nil {
		return err
	}
	var err error
	if x.symlink {
		err = x.root.PrepareLink(f.built, f.tmp)
	} else {
		err = x.root.PrepareCopy(f.built, f.tmp, 0o644)
	}
	if err != nil {
		return err
	}
	entry, err := x.describe(f.tmp, strings.TrimPrefix(f.dst, x.KernelDir(x.i.Kernel)+"/"), f.name)
	x.list.Installed = append(x.list.Installed, entry)
	return err
}

// archive makes what archives the original of f, as far as it is not archived.
func (x *installation) archive(f newFile) error {
	file, note := x.archived(f)
	fileThere, noteThere := x.leaving.archived(f.original, file, note)
	if err := x.root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	if !noteThere {
		if err := x.root.PrepareFile(beside(note, ".dkms-new"), []byte(f.original+"\n"), 0o644); err != nil {
			return err
		}
	}
	if fileThere {
		return nil
	}
	return x.root.PrepareTwin(x.leaving.content(f.original), beside(file, ".dkms-new"))
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

// removeFile deletes a file that may not be there.
func (t *Tree) removeFile(abs string) error {
	err := t.root.Remove(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
