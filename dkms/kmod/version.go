package kmod

import (
	"strings"
)

// Version is what tells two builds of a module apart without looking at their code.
type Version struct {
	Version    string // first word of MODULE_VERSION
	Checksum   string // its second word: the checksum that kernels before 2.6.12 put there
	SrcVersion string // srcversion, the checksum of the sources that modpost computes for modules with a version
}

// Identity is the srcversion, or the older checksum where there is none
// (get_module_verinfo in dkms.in). Two modules of one version with different
// identities were built from different sources.
func (v Version) Identity() string {
	if v.SrcVersion != "" {
		return v.SrcVersion
	}
	return v.Checksum
}

// Version is read as dkms reads modinfo's output: in words, and with the last
// field winning where a module has several. Modules without a version have the
// zero Version.
func (o *Object) Version() Version {
	var v Version
	for _, f := range o.modinfo {
		switch f.Key {
		case "version":
			words := firstLineWords(f.Value)
			v.Version, v.Checksum = word(words, 0), word(words, 1)
		case "srcversion":
			v.SrcVersion = word(firstLineWords(f.Value), 0)
		}
	}
	return v
}

// ReadVersion is the version of the module in a file.
func ReadVersion(path string) (Version, error) {
	o, err := Open(path)
	if err != nil {
		return Version{}, err
	}
	return o.Version(), nil
}

// firstLineWords splits the first line of s at blanks and tabs, as the shell does.
func firstLineWords(s string) []string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
}

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}
