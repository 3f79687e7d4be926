package dkms

import (
	"fmt"
	"path"
)

// Stage is a build result that nobody sees yet: a directory beside its final place.
type Stage struct {
	tree *Tree
	i    Instance
	dir  string
}

// Stage begins a build result for i. It ends with Commit or Discard.
func (t *Tree) Stage(i Instance) (*Stage, error) {
	if err := i.Check(); err != nil {
		return nil, err
	}
	parent := path.Dir(t.BaseDir(i))
	if err := t.root.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("stage %s: %w", i, err)
	}
	dir, err := t.root.MkdirTemp(parent, ".tmp_"+i.Arch+"_*")
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", i, err)
	}
	s := &Stage{tree: t, i: i, dir: dir}
	for _, sub := range []string{"log", "module"} {
		if err := t.root.MkdirAll(path.Join(dir, sub), 0o755); err != nil {
			s.Discard()
			return nil, fmt.Errorf("stage %s: %w", i, err)
		}
	}
	return s, nil
}

// Dir returns the directory to fill: it has the subdirectories module and log.
func (s *Stage) Dir() string { return s.dir }

// Commit makes the result the build result of its instance, in place of an older one. One rename makes it visible.
func (s *Stage) Commit() error {
	r := s.tree.root
	if err := r.Chmod(s.dir, 0o755); err != nil {
		return s.failed(err)
	}
	if err := r.SyncTree(s.dir); err != nil {
		return s.failed(err)
	}
	if err := s.tree.swap(s.dir, s.tree.BaseDir(s.i)); err != nil {
		return s.failed(err)
	}
	return nil
}

func (s *Stage) failed(err error) error {
	s.Discard()
	return &Error{Kind: StageFailed, Instance: s.i, Subject: s.tree.BaseDir(s.i), Err: err}
}

// Discard deletes the result. The kernel's directory in the registry goes too when nothing else is in it.
func (s *Stage) Discard() {
	_ = s.tree.root.RemoveAll(s.dir)
	_ = s.tree.root.RemoveEmpty(path.Dir(s.dir), s.tree.ModuleDir(s.i.Module))
}

// Unbuild deletes the build result of i.
func (t *Tree) Unbuild(i Instance) error {
	if err := i.Check(); err != nil {
		return err
	}
	base := t.BaseDir(i)
	if err := t.vanish(base, path.Join(path.Dir(base), ".tmp_"+i.Arch+"_unbuild")); err != nil {
		return fmt.Errorf("delete the build of %s: %w", i, err)
	}
	if kernel := path.Dir(base); !t.hasDirs(kernel) {
		if err := t.root.RemoveAll(kernel); err != nil {
			return fmt.Errorf("delete the build of %s: %w", i, err)
		}
	}
	return nil
}

// hasDirs reports whether a directory has visible subdirectories.
func (t *Tree) hasDirs(dir string) bool {
	for _, n := range t.names(dir, "") {
		if fi, err := t.root.Lstat(path.Join(dir, n)); err == nil && fi.IsDir() {
			return true
		}
	}
	return false
}
