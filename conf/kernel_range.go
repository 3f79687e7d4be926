package conf

import (
	"fmt"
	"regexp"
	"strings"

	version "github.com/hashicorp/go-version"
)

// KernelRange is a set of kernels, written as conditions on the number of their release: ">= 6.1, < 6.13". The zero value
// has all kernels.
//
// Only the number counts that a release begins with: 6.12.107+deb13-amd64 is 6.12.107 to it, and 5.14.0-427.el9.x86_64 is
// 5.14.0. What distributions append has no order that holds for all of them.
type KernelRange struct {
	text        string
	constraints version.Constraints
}

// condition is one condition: an operator, none for "=", and a number.
var condition = regexp.MustCompile(`^\s*(=|!=|>=|<=|~>|>|<)?\s*\d+(\.\d+)*\s*$`)

// releaseNumber is the number at the beginning of a release.
var releaseNumber = regexp.MustCompile(`^\d+(\.\d+)*`)

// ParseKernelRange reads conditions, all of which a kernel has to satisfy: =, !=, >, >=, <, <= and ~>, which lets the last of
// its numbers grow: ~> 6.1 is any 6.x from 6.1 on.
func ParseKernelRange(text string) (KernelRange, error) {
	for part := range strings.SplitSeq(text, ",") {
		if !condition.MatchString(part) {
			return KernelRange{}, fmt.Errorf("%q is no condition on a kernel such as \">= 6.1\"", strings.TrimSpace(part))
		}
	}
	c, err := version.NewConstraint(text)
	if err != nil {
		return KernelRange{}, fmt.Errorf("%q is no condition on a kernel: %w", text, err)
	}
	return KernelRange{strings.TrimSpace(text), c}, nil
}

// IsKernelRange reports whether a word that names a kernel is meant as conditions: it begins like one that no release can
// begin like.
func IsKernelRange(word string) bool {
	return word != "" && strings.ContainsRune("<>=!~", rune(word[0]))
}

// UnmarshalText reads a range.
func (r *KernelRange) UnmarshalText(text []byte) (err error) {
	*r, err = ParseKernelRange(string(text))
	return err
}

// String returns the conditions as they were written.
func (r KernelRange) String() string { return r.text }

// Equal reports whether two ranges are written alike.
func (r KernelRange) Equal(other KernelRange) bool { return r.text == other.text }

// Has reports whether a kernel is in the range. A release that begins with no number is in the zero value only.
func (r KernelRange) Has(release string) bool {
	if r.constraints == nil {
		return true
	}
	v, err := version.NewVersion(releaseNumber.FindString(release))
	return err == nil && r.constraints.Check(v)
}
