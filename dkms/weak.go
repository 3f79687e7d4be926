package dkms

import (
	"path"
	"strings"
)

// WeakEntry is a module whose kernel objects, built for one kernel, another kernel uses through links in its weak-updates
// directory, as weak-modules makes them.
type WeakEntry struct {
	Instance Instance // Kernel is the one that uses them
	From     string   // the kernel that they were built for
}

// Weak returns the modules that are used in this way. All kernel objects of a module must be linked for it to count
// (module_status_weak in dkms.in, where it can never come to anything).
func (t *Tree) Weak(f Filter) []WeakEntry {
	var es []WeakEntry
	for _, user := range t.names(t.opt.InstallTree, f.Kernel) {
		linked := t.weakLinks(user)
		if len(linked) == 0 {
			continue
		}
		ms, err := t.Modules(Filter{Name: f.Name, Version: f.Version})
		if err != nil {
			return nil
		}
		for _, m := range ms {
			for _, i := range t.Instances(m, Filter{Arch: f.Arch}) {
				if t.Active(i) && t.allLinked(i, linked) {
					es = append(es, WeakEntry{Instance{m, user, i.Arch}, i.Kernel})
				}
			}
		}
	}
	return es
}

// weakLinks returns where the links in a kernel's weak-updates directory lead, by the names of the links.
func (t *Tree) weakLinks(release string) map[string]string {
	dir := path.Join(t.KernelDir(release), "weak-updates")
	links := map[string]string{}
	for _, name := range t.names(dir, "") {
		if abs := path.Join(dir, name); t.isLink(abs) {
			if target, err := t.root.Follow(abs); err == nil {
				links[name] = target
			}
		}
	}
	return links
}

// allLinked reports whether every kernel object of i is linked.
func (t *Tree) allLinked(i Instance, links map[string]string) bool {
	kernel, err := t.root.Follow(t.KernelDir(i.Kernel))
	if err != nil {
		return false
	}
	module := path.Join(t.BaseDir(i), "module")
	found := false
	for _, name := range t.names(module, "") {
		if moduleName(name) == "" {
			continue
		}
		target := links[name]
		if !strings.HasPrefix(target, kernel+"/") || !t.sameContent(path.Join(module, name), target) {
			return false
		}
		found = true
	}
	return found
}
