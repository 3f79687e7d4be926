package dkms

import (
	"path"
	"sync"
	"sync/atomic"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
)

// Options says where the three trees are, as paths inside the root.
type Options struct {
	DKMSTree    string // the registry, by default /var/lib/dkms
	SourceTree  string // module sources, by default /usr/src
	InstallTree string // kernel modules, by default /lib/modules

	Distribution conf.Distribution // decides where modules are installed, see Destination
	AddonDir     string            // ADDON_MODULES_DIR: overrides that place

	Command string // what others are told who wait for a lock that we hold
}

// Tree is the registry of one root. It may be used by several goroutines; what they change must be theirs by a Lock.
type Tree struct {
	root *sysroot.Root
	opt  Options

	mu    sync.Mutex
	marks map[string]mark // by kernel: see hold

	spent atomic.Bool // the reserve is used up, see withSpare
}

// Open returns the registry below root. Nothing is read and nothing need exist yet.
func Open(root *sysroot.Root, o Options) *Tree {
	o.DKMSTree, o.SourceTree, o.InstallTree = path.Clean(o.DKMSTree), path.Clean(o.SourceTree), path.Clean(o.InstallTree)
	return &Tree{root: root, opt: o}
}

// Root returns the root that the registry lies in.
func (t *Tree) Root() *sysroot.Root { return t.root }

// Options returns the places of the three trees.
func (t *Tree) Options() Options { return t.opt }

// SourceDir returns where the sources of m belong: S/M-V.
func (t *Tree) SourceDir(m Module) string { return path.Join(t.opt.SourceTree, m.Name+"-"+m.Version) }

// ModuleDir returns the registration of m: T/M/V.
func (t *Tree) ModuleDir(m Module) string { return path.Join(t.opt.DKMSTree, m.Name, m.Version) }

// SourceLink returns the link that makes m registered: T/M/V/source.
func (t *Tree) SourceLink(m Module) string { return path.Join(t.ModuleDir(m), "source") }

// BuildDir returns the directory that m is built in: T/M/V/build.
func (t *Tree) BuildDir(m Module) string { return path.Join(t.ModuleDir(m), "build") }

// BaseDir returns the build result of i: T/M/V/K/A.
func (t *Tree) BaseDir(i Instance) string { return path.Join(t.ModuleDir(i.Module), i.Kernel, i.Arch) }

// ActiveLink returns the link that says which version of a module is installed for a kernel: T/M/kernel-K-A.
func (t *Tree) ActiveLink(i Instance) string {
	return path.Join(t.opt.DKMSTree, i.Name, "kernel-"+i.Kernel+"-"+i.Arch)
}

// OriginalDir returns where originals are archived: T/M/original_module/K/A.
func (t *Tree) OriginalDir(i Instance) string {
	return path.Join(t.opt.DKMSTree, i.Name, "original_module", i.Kernel, i.Arch)
}

// KernelDir returns the directory of a kernel's modules: I/K.
func (t *Tree) KernelDir(release string) string { return path.Join(t.opt.InstallTree, release) }

// ConfFile returns the dkms.conf of a registered module: T/M/V/source/dkms.conf.
func (t *Tree) ConfFile(m Module) string { return path.Join(t.SourceLink(m), "dkms.conf") }

// isDir reports whether abs is a directory, links followed.
func (t *Tree) isDir(abs string) bool {
	fi, err := t.root.Stat(abs)
	return err == nil && fi.IsDir()
}

// isFile reports whether abs is a regular file, links followed.
func (t *Tree) isFile(abs string) bool {
	fi, err := t.root.Stat(abs)
	return err == nil && fi.Mode().IsRegular()
}

// isLink reports whether abs itself is a symbolic link.
func (t *Tree) isLink(abs string) bool {
	_, err := t.root.Readlink(abs)
	return err == nil
}
