package hooks

import (
	"context"
	"path"
	"strings"
)

// newest returns the newest kernel that is installed, by what the package manager knows; "" where it knows of none that has
// a directory in the install tree.
func (s *System) newest(ctx context.Context) string {
	var newest string
	if s.exists("/usr/bin/dpkg") { // first: a system with dpkg may have rpm as well
		newest = s.newestOnDebian()
	} else {
		newest = s.RPMKernel(ctx)
	}
	if newest == "" || !s.exists(s.Tree.KernelDir(newest)) {
		return ""
	}
	return newest
}

// newestOnDebian returns the newest kernel with a configuration in /boot that is no older than the running one, or "".
// Compared are version and ABI as Debian does (_get_newest_kernel_debian of common.postinst); of equal ones the last counts.
func (s *System) newestOnDebian() string {
	configs, err := s.Root.Glob("/boot/config-*")
	if err != nil {
		return ""
	}
	found, least := "", debianVersion(s.Running)
	for _, abs := range configs {
		kernel := strings.TrimPrefix(path.Base(abs), "config-")
		if v := debianVersion(kernel); s.isFile(abs) && compareDebian(v, least) >= 0 {
			found, least = kernel, v
		}
	}
	return found
}

// debianVersion returns version and ABI of a kernel as the version of a package: 6.1.0-56 of 6.1.0-56-amd64.
func debianVersion(release string) string {
	version, rest, ok := strings.Cut(release, "-")
	if !ok {
		rest = release
	}
	abi, _, _ := strings.Cut(rest, "-")
	return version + "-" + abi
}
