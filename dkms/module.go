package dkms

import (
	"fmt"
	"path"
	"strings"
	"unicode"
)

// Module is a package of module sources by name and version.
type Module struct {
	Name    string
	Version string
}

// String returns the form that users write: name/version.
func (m Module) String() string { return m.Name + "/" + m.Version }

// Instance is a module for one kernel release and one architecture.
type Instance struct {
	Module
	Kernel string
	Arch   string
}

// String returns the form that every message uses: name/version for kernel K (A).
func (i Instance) String() string {
	return fmt.Sprintf("%s for kernel %s (%s)", i.Module, i.Kernel, i.Arch)
}

// CheckName reports whether s may stand as one element of a path: a module name, a version, a kernel release or an
// architecture. what names it in the error, which is of kind BadName.
//
// Nothing that a shell or a path would read as more than a name passes: slashes, control characters, blanks, glob
// characters, a leading dot or dash. dkms 3.4 takes any text here and lets it reach "rm -rf".
func CheckName(what, s string) error {
	bad := func(why string) error {
		return &Error{Kind: BadName, Subject: fmt.Sprintf("%s %q", what, s), Detail: []string{why}}
	}
	switch {
	case s == "":
		return bad("it is empty")
	case s[0] == '.' || s[0] == '-':
		return bad(fmt.Sprintf("it begins with %q", s[0]))
	}
	for _, c := range s {
		if c == ' ' || unicode.IsControl(c) || c == unicode.ReplacementChar || strings.ContainsRune(`/\*?[]{}'"$`+"`;&|<>()!", c) {
			return bad(fmt.Sprintf("it contains %q", c))
		}
	}
	return nil
}

// CheckKernel reports whether release may stand as a kernel release: as CheckName, and T/M/V has no other use for the name.
func CheckKernel(release string) error {
	if err := CheckName("kernel release", release); err != nil {
		return err
	}
	switch release {
	case "source", "build", "tarball", "driver_disk", "rpm", "deb":
		return taken("kernel release", release)
	}
	return nil
}

// taken is the error about a name that means something else in the DKMS tree.
func taken(what, s string) error {
	return &Error{Kind: BadName, Subject: fmt.Sprintf("%s %q", what, s), Detail: []string{"it is taken"}}
}

// Check reports whether name and version of m may become parts of paths, and T/M has no other use for the version.
func (m Module) Check() error {
	if err := CheckName("module name", m.Name); err != nil {
		return err
	}
	if err := CheckName("module version", m.Version); err != nil {
		return err
	}
	if link, _ := path.Match("kernel-*-*", m.Version); link || m.Version == "original_module" {
		return taken("module version", m.Version)
	}
	return nil
}

// Check reports whether every part of i may become part of a path.
func (i Instance) Check() error {
	if err := i.Module.Check(); err != nil {
		return err
	}
	if err := CheckKernel(i.Kernel); err != nil {
		return err
	}
	return CheckName("architecture", i.Arch)
}
