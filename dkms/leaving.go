package dkms

import (
	"path"
	"slices"
	"strings"
)

// Leaving is what is installed of an instance that is installed again: it counts as uninstalled, and stays until the new files
// take its place.
type Leaving struct {
	Placements []Placement           // as of Uninstall
	Owned      func(dir string) bool // as of UninstallOptions
}

// TellUninstall tells of what Uninstall does, and changes nothing: that is left to an Install with Leaving. tidied is what
// Cleanup would tell of. The caller holds what Uninstall wants.
func (t *Tree) TellUninstall(i Instance, ps []Placement, o UninstallOptions, emit Emit) (tidied []Event, err error) {
	x, err := t.leave(i, ps, o, emit)
	if x == nil || err != nil {
		return nil, err
	}
	for n := range len(x.Changes) + 1 {
		x.say(n, emit)
	}
	if len(x.after().rest) > 0 {
		tidied = append(tidied, OriginalsDropped{Kernel: i.Kernel, Arch: i.Arch})
	}
	return tidied, nil
}

// leaving returns what there is for the installation of i once it is uninstalled; nil if it is not installed.
func (t *Tree) leaving(i Instance, l *Leaving) (*afterwards, error) {
	if l == nil || !t.Active(i) {
		return nil, nil //nolint:nilnil // then everything is what it looks like
	}
	silent := func(Event) {}
	x, err := t.leave(i, l.Placements, UninstallOptions{Owned: l.Owned}, silent)
	if x == nil || err != nil {
		return nil, err
	}
	return x.after(), nil
}

// afterwards is what there is when an uninstallation and its cleanup are done. A nil one is what there is now.
type afterwards struct {
	*uninstallation
	gone map[string]bool
	from map[string]restoration // by where an original is then
	rest []string               // what is in the archive of originals beside those that go back
}

// after returns what there is when x is done.
func (x *uninstallation) after() *afterwards {
	a := &afterwards{uninstallation: x, gone: map[string]bool{}, from: map[string]restoration{}}
	for _, c := range x.Changes {
		a.gone[c.Path] = c.Old != ""
	}
	for _, r := range x.back {
		a.from[r.to] = r
	}
	for _, f := range x.filesBelow(x.OriginalDir(x.i)) {
		if !a.gone[f] {
			a.rest = append(a.rest, f)
		}
	}
	return a
}

// filesBelow lists what is below a directory but directories.
func (t *Tree) filesBelow(dir string) []string {
	ents, err := t.root.ReadDir(dir)
	if err != nil {
		return nil
	}
	var files []string
	for _, e := range ents {
		if abs := path.Join(dir, e.Name()); e.IsDir() {
			files = append(files, t.filesBelow(abs)...)
		} else {
			files = append(files, abs)
		}
	}
	return files
}

// content returns where the content of what is at abs then is now.
func (a *afterwards) content(abs string) string {
	if a == nil {
		return abs
	}
	if r, ok := a.from[abs]; ok {
		return r.archived
	}
	return abs
}

// found returns which of the files of a module there are in the kernel then, when now there are these.
func (a *afterwards) found(name string, now []string) []string {
	if a == nil {
		return now
	}
	files := slices.DeleteFunc(slices.Clone(now), func(abs string) bool { return a.gone[abs] })
	for to := range a.from {
		if moduleName(path.Base(to)) == name && !slices.Contains(files, to) {
			files = append(files, to)
		}
	}
	slices.Sort(files)
	return files
}

// findFile is Tree.findFile.
func (a *afterwards) findFile(t *Tree, dir, name string) string {
	return firstFile(dir, name, func(abs string) bool {
		if a == nil {
			return t.isFile(abs)
		}
		_, back := a.from[abs]
		return back || !a.gone[abs] && t.isFile(abs)
	})
}

// archived reports whether an original, and the note of where it was, already are where they are to be archived.
func (a *afterwards) archived(original, file, note string) (fileThere, noteThere bool) {
	if a == nil {
		return false, false
	}
	r, ok := a.from[original]
	return ok && r.archived == file, ok && r.note == note
}

// leave adds what is left to be done of the uninstallation that is part of an installation: originals whose place nothing
// takes go back, and what nothing has replaced goes. kept are files that stay.
func (x *installation) leave(kept map[string]bool) error {
	a := x.leaving
	if a == nil {
		return nil
	}
	for _, r := range a.back {
		again := slices.ContainsFunc(x.files, func(f newFile) bool { return f.original == r.to })
		if again || x.touches(r.to) {
			continue
		}
		x.failed = r.to
		if err := x.put(beside(r.to, ".dkms-new"), r.to); err != nil {
			return err
		}
		x.back = append(x.back, r)
	}
	for abs := range a.gone {
		if a.gone[abs] {
			a.rest = append(a.rest, abs)
		}
	}
	slices.Sort(a.rest)
	for _, abs := range a.rest {
		if !kept[abs] && !x.touches(abs) {
			x.drop(abs, beside(abs, ".dkms-old"))
		}
	}
	top := path.Join(x.opt.DKMSTree, x.i.Name)
	for _, abs := range a.rest {
		if strings.HasPrefix(abs, x.OriginalDir(x.i)+"/") {
			x.prune(path.Dir(abs), top)
		}
	}
	x.Empty = append(x.Empty, a.Empty...)
	return nil
}
