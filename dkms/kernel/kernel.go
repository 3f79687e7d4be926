package kernel

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"dkms-go/conf/sysroot"
)

// Options say where kernels are and what the user has overridden.
type Options struct {
	InstallTree  string // where module directories are, normally /lib/modules
	SourceDir    string // --kernelsourcedir: used instead of INSTALL_TREE/RELEASE/build; "" when not given
	Config       string // --config: used instead of the headers' own configuration; "" when not given
	Distribution string // distribution class (conf.Distribution), for the package name in NoHeadersError
}

// Kernel is one kernel on disk. It is a description: nothing has been checked
// when Find returns it. The configuration is read at most once, when first
// asked for; all methods may be called concurrently.
type Kernel struct {
	Release   string
	Arch      string
	ModuleDir string // INSTALL_TREE/RELEASE
	Headers   string // as make -C is given it; often a symbolic link
	Config    string // may not exist

	root         *sysroot.Root
	distribution string
	config       func() *configuration
}

// Find describes the kernel release for arch. It fails only when the release
// cannot be the name of a directory; use CheckHeaders to learn whether the
// kernel can be built for. It mirrors set_kernel_source_dir_and_kconfig.
func Find(root *sysroot.Root, o Options, release, arch string) (*Kernel, error) {
	if release == "" || release == "." || release == ".." || strings.Contains(release, "/") {
		return nil, fmt.Errorf("%q is not a kernel release", release)
	}
	k := &Kernel{
		Release:      release,
		Arch:         arch,
		ModuleDir:    path.Join(o.InstallTree, release),
		Headers:      o.SourceDir,
		Config:       o.Config,
		root:         root,
		distribution: o.Distribution,
	}
	if k.Headers == "" {
		k.Headers = path.Join(k.ModuleDir, "build")
	}
	if k.Config == "" {
		k.Config = k.Headers + "/include/config/auto.conf"
		if _, err := root.Stat(k.Config); err != nil {
			k.Config = k.Headers + "/.config"
		}
	}
	k.config = sync.OnceValue(func() *configuration { return readConfiguration(root, k.Config) })
	return k, nil
}

// List returns the releases that have a directory (or a link to one) in
// installTree, sorted bytewise. Names that begin with a dot are left out. A
// missing installTree has no kernels; that is not an error.
func List(root *sysroot.Root, installTree string) ([]string, error) {
	if _, err := root.Stat(installTree); err != nil {
		return nil, nil //nolint:nilerr // no install tree, no kernels
	}
	entries, err := root.ReadDir(installTree)
	if err != nil {
		return nil, fmt.Errorf("list kernels: %w", err)
	}
	var releases []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := root.Stat(path.Join(installTree, e.Name())); err == nil && info.IsDir() {
			releases = append(releases, e.Name())
		}
	}
	slices.Sort(releases)
	return releases, nil
}
