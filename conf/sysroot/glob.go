package sysroot

import (
	"path"
	"slices"
	"strings"
)

// Glob returns the paths inside the root that match pattern, sorted bytewise
// and without duplicates. The syntax is that of path.Match, and the result is
// that of filepath.Glob in a chroot: "*" matches names that begin with a dot,
// links to directories are entered, a dangling link matches, and directories
// that cannot be read count as empty. The only error is path.ErrBadPattern.
func (r *Root) Glob(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, err
	}
	found := []string{"/"}
	for _, element := range elements(pattern) {
		var next []string
		for _, dir := range found {
			next = append(next, r.expand(dir, element)...)
		}
		found = next
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// expand returns the paths of dir's entries that match one element of a pattern.
func (r *Root) expand(dir, element string) []string {
	if !strings.ContainsAny(element, `*?[\`) {
		abs := path.Join(dir, element)
		if _, err := r.Lstat(abs); err != nil {
			return nil
		}
		return []string{abs}
	}
	entries, err := r.ReadDir(dir)
	if err != nil {
		return nil
	}
	var matches []string
	for _, entry := range entries {
		if ok, err := path.Match(element, entry.Name()); err == nil && ok {
			matches = append(matches, path.Join(dir, entry.Name()))
		}
	}
	return matches
}
