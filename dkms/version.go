package dkms

import (
	"bytes"

	"dkms-go/conf"
	"dkms-go/dkms/kmod"
)

// moduleVersion is what a module file says about its version (get_module_verinfo in dkms.in).
type moduleVersion struct {
	Version  string // first word of the version field
	Identity string // srcversion, or the checksum that old kernels wrote as second word of version
}

// moduleVersion reads the version of a module file. A file that is missing or no module has none.
func (t *Tree) moduleVersion(abs string) moduleVersion {
	if abs == "" {
		return moduleVersion{}
	}
	host, err := t.root.Follow(abs)
	if err != nil {
		return moduleVersion{}
	}
	v, err := kmod.ReadVersion(t.root.Path(host))
	if err != nil {
		return moduleVersion{}
	}
	return moduleVersion{v.Version, v.Identity()}
}

// sameContent reports whether two files have the same bytes. An unreadable file equals none.
func (t *Tree) sameContent(a, b string) bool {
	same, err := t.root.Same(a, b)
	return err == nil && same
}

// refuse says whether the record p must not be installed because the kernel already has the same or a newer module,
// found at the path found ("" when there is none), with the content of the file at. It returns the event that tells so, or nil.
// The rules are those of check_version_sanity in dkms.in.
func (t *Tree) refuse(i Instance, p Placement, found, at string, o InstallOptions) Event {
	if o.Force {
		return nil
	}
	if o.ObsoleteBy != "" && obsolete(i.Kernel, o.ObsoleteBy) {
		return RecordObsolete{By: o.ObsoleteBy}
	}
	if found == "" || o.ForceVersion {
		return nil
	}
	built := t.findFile(t.BaseDir(i)+"/module", p.Name)
	theirs, ours := t.moduleVersion(at), t.moduleVersion(built)
	r := RecordRefused{Name: p.Name + p.Suffix, Kernel: i.Kernel, Found: found, Version: ours.Version, Theirs: theirs.Version}
	switch {
	case theirs == ours:
		if ours == (moduleVersion{}) && !t.sameContent(at, built) {
			return nil
		}
		return r
	case theirs.Version == ours.Version:
		return nil
	case conf.CompareVersions(theirs.Version, ours.Version) > 0:
		r.Newer = true
		return r
	}
	return nil
}

// obsolete reports whether OBSOLETE_BY=by covers the kernel release: everything before the first dash counts first, then
// the rest, as far as by has one.
func obsolete(release, by string) bool {
	rel, relRest := cutDash(release)
	obs, obsRest := cutDash(by)
	switch c := conf.CompareVersions(rel, obs); {
	case c != 0:
		return c > 0
	case obsRest == "":
		return true
	default:
		return conf.CompareVersions(relRest, obsRest) >= 0
	}
}

func cutDash(s string) (before, after string) {
	if n := bytes.IndexByte([]byte(s), '-'); n >= 0 {
		return s[:n], s[n+1:]
	}
	return s, ""
}
