package kernel

import (
	"fmt"
	"path"
	"strings"
)

// NoHeadersError says that a kernel cannot be built for because its headers
// are not installed.
type NoHeadersError struct {
	Release string
	Looked  []string // directories, in the order upstream's message names them
	Package string   // distribution package that brings the headers; "" when not known
}

// Error names the kernel, the places and, where known, the package to install.
func (e *NoHeadersError) Error() string {
	text := fmt.Sprintf("headers for kernel %q not found at %s", e.Release, strings.Join(e.Looked, " or "))
	if e.Package != "" {
		text += ": install " + e.Package
	}
	return text
}

// CheckHeaders returns a *NoHeadersError unless the headers directory has an
// include directory (upstream's prepare_kernel). The places in the error are
// always INSTALL_TREE/RELEASE/build and source, as upstream's message, followed
// by an explicit --kernelsourcedir.
func (k *Kernel) CheckHeaders() error {
	if _, err := k.root.Stat(path.Join(k.Headers, "include")); err == nil {
		return nil
	}
	looked := []string{path.Join(k.ModuleDir, "build"), path.Join(k.ModuleDir, "source")}
	if k.Headers != looked[0] {
		looked = append(looked, k.Headers)
	}
	return &NoHeadersError{
		Release: k.Release,
		Looked:  looked,
		Package: headersPackage(k.distribution, k.Release),
	}
}

// headersPackage names the package with the headers of release. Flavours are
// read from the last part of the release, as the distributions append them.
func headersPackage(distribution, release string) string {
	flavour := release[strings.LastIndexByte(release, '-')+1:]
	if strings.Trim(flavour, "abcdefghijklmnopqrstuvwxyz") != "" {
		flavour = ""
	}
	is := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(distribution, p) {
				return true
			}
		}
		return false
	}
	switch {
	case is("debian", "ubuntu"):
		return "linux-headers-" + release
	case is("fedora", "rhel", "centos", "openEuler"):
		return develPackage(release)
	case is("azurelinux", "mariner"):
		return "kernel-devel"
	case is("sles", "suse", "opensuse"):
		if flavour == "" {
			flavour = "default"
		}
		return "kernel-" + flavour + "-devel"
	case is("arch"):
		if strings.HasSuffix(release, "-MANJARO") {
			return "linux" + strings.Join(series(release), "") + "-headers"
		}
		if flavour == "" {
			return "linux-headers"
		}
		return "linux-" + flavour + "-headers"
	case is("void"):
		return "linux" + strings.Join(series(release), ".") + "-headers"
	case is("alpine"):
		if flavour == "" {
			return ""
		}
		return "linux-" + flavour + "-dev"
	}
	return ""
}

// develPackage names the package of an rpm kernel. The variants are marked behind
// the release (5.14.0-503.el9.x86_64+rt) and, for Oracle's own, in it (el9uek).
func develPackage(release string) string {
	release, variant, _ := strings.Cut(release, "+")
	switch {
	case variant != "":
		return "kernel-" + variant + "-devel-" + release
	case strings.Contains(release, "uek."):
		return "kernel-uek-devel-" + release
	}
	return "kernel-devel-" + release
}

// series returns the first two numbers of a release.
func series(release string) []string {
	parts := strings.SplitN(release, ".", 3)
	return parts[:min(2, len(parts))]
}
