package dkms

import (
	"path"
	"strings"

	"dkms-go/conf"
	"dkms-go/dkms/kmod"
)

// Placement is one record of a module on its way into a kernel.
type Placement struct {
	Record   int    // index in dkms.conf
	Name     string // module name without suffix
	Dest     string // where the distribution wants it, below the kernel's directory, such as /updates/dkms
	ConfDest string // where dkms.conf wants it
	Suffix   string // .ko and the kernel's compression
}

// Placements returns where the given records of m belong. suffix is the full suffix of module files of the kernel; it
// may be empty where only existing files are looked up.
func (t *Tree) Placements(m *conf.Module, records []int, suffix string) []Placement {
	ps := make([]Placement, 0, len(records))
	for _, n := range records {
		r := m.Records[n]
		ps = append(ps, Placement{n, r.DestName, t.Destination(r.DestLocation), r.DestLocation, suffix})
	}
	return ps
}

// Destination returns the directory below I/K that a module with the given DEST_MODULE_LOCATION goes to. Most
// distributions keep all modules that are not their own in one place, whatever dkms.conf says
// (override_dest_module_location in dkms.in).
func (t *Tree) Destination(location string) string {
	d := t.opt.Distribution
	switch {
	case strings.Contains(t.opt.AddonDir, ".."):
		return path.Clean("/" + t.opt.AddonDir) // not out of the kernel's directory
	case t.opt.AddonDir != "":
		return "/" + t.opt.AddonDir
	case d.Is("fedora", "centos", "rhel"):
		return "/extra"
	case d.Is("sles", "suse", "opensuse"):
		return "/updates"
	case d.Is("debian", "ubuntu", "arch"):
		return "/updates/dkms"
	}
	return location
}

// moduleSuffixes are the suffixes a module file may have, in the order in which they are looked for.
func moduleSuffixes() []string {
	return []string{".ko", ".ko" + kmod.Gzip.Suffix(), ".ko" + kmod.Xz.Suffix(), ".ko" + kmod.Zstd.Suffix()}
}

// findFile returns the module file called name, compressed or not, in dir; "" when there is none
// (compressed_or_uncompressed in dkms.in).
func (t *Tree) findFile(dir, name string) string { return firstFile(dir, name, t.isFile) }

func firstFile(dir, name string, isFile func(abs string) bool) string {
	for _, s := range moduleSuffixes() {
		if f := path.Join(dir, name+s); isFile(f) {
			return f
		}
	}
	return ""
}

// installedFile returns where the record p of the active instance i lies in the kernel's directory: the directory below
// I/K and the file. Both are empty when no file of the version that is active was found at either of the two places where
// it may be (find_actual_dest_module_location in dkms.in).
func (t *Tree) installedFile(i Instance, p Placement) (dir, file string) {
	ours := t.findFile(path.Join(t.ActiveLink(i), "module"), p.Name)
	for _, d := range p.dests() {
		f := t.findFile(path.Join(t.KernelDir(i.Kernel), d), p.Name)
		if f == "" {
			continue
		}
		if ours != "" && t.sameContent(ours, f) || t.moduleVersion(ours).Version == t.moduleVersion(f).Version {
			return d, f
		}
	}
	return "", ""
}

// placed reports whether the installed file of p is the built one, byte for byte.
func (t *Tree) placed(i Instance, p Placement, built string) bool {
	for _, d := range p.dests() {
		file := path.Join(t.KernelDir(i.Kernel), d, p.Name)
		for _, suffix := range moduleSuffixes() { // as findFile does, in fewer calls
			same, err := t.root.Same(file+suffix, built)
			if err == nil && same {
				return true
			}
			if err == nil {
				break
			}
		}
	}
	return false
}

// dests returns the places below I/K where the file of p may be.
func (p Placement) dests() []string {
	if strings.TrimSuffix(p.ConfDest, "/") == strings.TrimSuffix(p.Dest, "/") {
		return []string{p.Dest}
	}
	return []string{p.Dest, p.ConfDest}
}
