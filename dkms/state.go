package dkms

import "path"

// State is how far a module has come for a kernel, or as a whole when no kernel is concerned.
type State int

// The states, in the order in which a module passes through them. A module without registration has none.
//
//	add         build       install
//	 ──▶ Added ──▶ Built ──▶ Installed
//	 ◀──       ◀──       ◀──
//	remove      unbuild     uninstall
const (
	None      State = iota
	Broken          // registered, but the source or the link to it is gone
	Added           // registered
	Built           // kernel objects exist for this kernel
	Installed       // they are the active ones in the kernel's module directory
)

// String returns the word that "dkms status" prints.
func (s State) String() string {
	return [...]string{"none", "broken", "added", "built", "installed"}[s]
}

// registration returns Broken, Added, or None where m is not registered.
func (t *Tree) registration(m Module) State {
	if m.Name == "" || m.Version == "" || !t.isDir(t.ModuleDir(m)) {
		return None
	}
	link := t.SourceLink(m)
	switch {
	case t.isLink(link) && t.isDir(link), t.BinariesOnly(m):
		return Added
	case t.isLink(link), t.isDir(t.SourceDir(m)):
		return Broken
	}
	return None
}

// Broken reports whether m is registered without usable source: its link dangles, or the link is missing although the
// sources are in the source tree (is_module_broken in dkms.in).
func (t *Tree) Broken(m Module) bool { return t.registration(m) == Broken }

// Added reports whether m is registered with a source that exists (is_module_added in dkms.in), or without sources.
func (t *Tree) Added(m Module) bool { return t.registration(m) == Added }

// Built reports whether i has a build result (is_module_built in dkms.in).
func (t *Tree) Built(i Instance) bool {
	return i.Kernel != "" && i.Arch != "" && t.isDir(path.Join(t.BaseDir(i), "module"))
}

// Active reports whether i is the version whose kernel objects are installed: the link T/M/kernel-K-A leads to its build
// result. Both ends are resolved before they are compared, so a dkms tree that is itself a symbolic link is no obstacle,
// as it is for _is_module_installed in dkms.in.
func (t *Tree) Active(i Instance) bool { return t.chosen(i) && t.isDir(t.BaseDir(i)) }

// chosen is Active for an instance whose build result exists.
func (t *Tree) chosen(i Instance) bool {
	target, err := t.root.Readlink(t.ActiveLink(i))
	switch {
	case err != nil:
		return false
	case target == path.Join(i.Version, i.Kernel, i.Arch): // as Install makes it
		return true
	}
	have, err := t.root.Follow(t.ActiveLink(i))
	if err != nil {
		return false
	}
	want, err := t.root.Follow(t.BaseDir(i))
	return err == nil && have == want
}

// Installed reports whether i is built and active (is_module_installed in dkms.in).
func (t *Tree) Installed(i Instance) bool { return t.Built(i) && t.Active(i) }

// State returns the state of i.
func (t *Tree) State(i Instance) State {
	switch {
	case t.Broken(i.Module):
		return Broken
	case !t.Added(i.Module):
		return None
	case !t.Built(i):
		return Added
	case t.Active(i):
		return Installed
	}
	return Built
}

// CheckRegistered returns an error of kind SourceBroken or NotAdded unless m is registered and usable.
func (t *Tree) CheckRegistered(m Module) error {
	if t.Broken(m) {
		return &Error{Kind: SourceBroken, Instance: Instance{Module: m}}
	}
	if !t.Added(m) {
		return &Error{Kind: NotAdded, Instance: Instance{Module: m}}
	}
	return nil
}
