package dkms

import (
	"path"
	"strings"

	"dkms-go/conf"
)

// NewestVersion returns the newest registered version of the module called name, or "".
func (t *Tree) NewestVersion(name string) string {
	ms, err := t.Modules(Filter{Name: name})
	if err != nil {
		return ""
	}
	newest := ""
	for _, m := range ms {
		if (t.Added(m) || t.Broken(m)) && (newest == "" || conf.CompareVersions(m.Version, newest) > 0) {
			newest = m.Version
		}
	}
	return newest
}

// BuiltWith returns the version of the module called name that i was built with, or "" if that was not noted.
func (t *Tree) BuiltWith(i Instance, name string) string {
	text, err := t.root.ReadFile(path.Join(t.BaseDir(i), ".dep_"+name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// NoteBuiltWith notes in a build result below dir the version of the module called name that it was built with.
func (t *Tree) NoteBuiltWith(dir, name string) error {
	v := t.NewestVersion(name)
	if v == "" {
		return nil
	}
	return t.root.WriteFile(path.Join(dir, ".dep_"+name), []byte(v+"\n"), 0o644)
}

// Prune deletes the empty directories below a kernel's module directory, and that directory itself when nothing is left.
func (t *Tree) Prune(release string) error {
	if err := CheckName("kernel release", release); err != nil {
		return err
	}
	_, err := t.prune(t.KernelDir(release))
	return err
}

// prune reports whether dir is gone.
func (t *Tree) prune(dir string) (bool, error) {
	fi, err := t.root.Lstat(dir)
	if err != nil || !fi.IsDir() {
		return false, nil //nolint:nilerr // nothing there, nothing to prune
	}
	ents, err := t.root.ReadDir(dir)
	if err != nil {
		return false, err
	}
	left := len(ents)
	for _, e := range ents {
		if !e.IsDir() {
			continue
		}
		gone, err := t.prune(path.Join(dir, e.Name()))
		if err != nil {
			return false, err
		}
		if gone {
			left--
		}
	}
	if left > 0 {
		return false, nil
	}
	return true, t.root.Remove(dir)
}
