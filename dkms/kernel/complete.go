package kernel

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// IncompleteError says that the headers of a kernel are there in part: a package manager is at work on them, or somebody
// who copies them. Missing is what was looked for first and not found.
type IncompleteError struct {
	Release string
	Missing string
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("headers for kernel %q are not complete: %s", e.Release, e.Missing)
}

// CheckComplete returns an error unless everything is there that a module is built with: a *NoHeadersError when there is
// nothing at all, an *IncompleteError when it is not all of it.
//
// dpkg shows a directory of headers under its name while it is still empty, and its files under theirs one by one, so that
// the directory alone means nothing. What it writes it calls X.dpkg-new until it is whole, rpm X;0123abcd.
func (k *Kernel) CheckComplete() error {
	if _, err := k.root.Stat(k.Headers); err != nil {
		return k.CheckHeaders()
	}
	missing := k.incomplete()
	if missing == "" {
		return nil
	}
	return &IncompleteError{Release: k.Release, Missing: missing}
}

// incomplete names the first thing that is not as it should be; "" when all is.
func (k *Kernel) incomplete() string {
	for _, dir := range k.headerTrees() {
		if name := k.unfinished(dir); name != "" {
			return name
		}
	}
	at := func(name string) string { return path.Join(k.Headers, name) }
	for _, name := range []string{"Makefile", "include/generated/autoconf.h"} {
		if k.file(at(name)) == nil {
			return at(name)
		}
	}
	for _, either := range [][]string{{"include/config/auto.conf", ".config"}, {"Module.symvers", "vmlinux.symvers"}} {
		if k.file(at(either[0])) == nil && k.file(at(either[1])) == nil {
			return at(either[0])
		}
	}
	if modpost := k.file(at("scripts/mod/modpost")); modpost == nil || modpost.Mode()&0o111 == 0 {
		return at("scripts/mod/modpost")
	}
	return k.otherRelease(at("include/generated/utsrelease.h"))
}

// headerTrees returns the directories that headers consist of: that for the kernel, and, as Debian and SUSE have it, that
// which several kernels share.
func (k *Kernel) headerTrees() []string {
	trees := []string{k.Headers}
	common := path.Join(k.ModuleDir, "source")
	if info, err := k.root.Lstat(common); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		trees = append(trees, common)
	}
	return trees
}

// temporary is how package managers call files that are not whole yet.
var temporary = regexp.MustCompile(`\.dpkg-(new|tmp)$|;[0-9a-f]{8}$`)

// unfinished names what is being written in the top levels of a tree, or what is not there of it; "" for nothing.
func (k *Kernel) unfinished(dir string) string {
	for _, sub := range []string{"", "include", "include/generated", "include/config", "scripts", "scripts/mod"} {
		entries, err := k.root.ReadDir(path.Join(dir, sub))
		if err != nil && (sub == "" || sub == "include" || sub == "scripts") {
			return path.Join(dir, sub)
		}
		for _, e := range entries {
			if temporary.MatchString(e.Name()) {
				return path.Join(dir, sub, e.Name())
			}
		}
	}
	if dir != k.Headers && k.file(path.Join(dir, "Makefile")) == nil {
		return path.Join(dir, "Makefile")
	}
	return ""
}

func (k *Kernel) file(abs string) fs.FileInfo {
	info, err := k.root.Stat(abs)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 && path.Base(abs) != "Module.symvers" {
		return nil
	}
	return info
}

// release is what a kernel calls itself in the file that its version comes from. include/config/kernel.release is not that:
// Debian's holds the version without what the package appends.
var release = regexp.MustCompile(`(?m)^#define\s+UTS_RELEASE\s+"([^"]*)"`)

// otherRelease says that the headers are those of another kernel; "" when they are ours.
func (k *Kernel) otherRelease(abs string) string {
	text, err := k.root.ReadFile(abs)
	found := release.FindSubmatch(text)
	switch {
	case err != nil || found == nil:
		return abs
	case string(found[1]) != k.Release:
		return fmt.Sprintf("%s is of kernel %s", abs, strings.TrimSpace(string(found[1])))
	}
	return ""
}
