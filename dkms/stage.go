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
	var dir string
	err := t.root.MkdirFor(parent, 0o755, func() (err error) {
		dir, err = t.root.MkdirTemp(parent, ".tmp_"+i.Arch+"_*")
		return err
	})
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

// Commit makes the result the build result of its instance, in place of an older one, in one step. The caller holds
// BuildLock and shares ModuleLock.
func (s *Stage) Commit() error {
	r := s.tree.root
	if err := r.Chmod(s.dir, 0o755); err != nil {
		return s.failed(err)
	}
	if err := r.SyncTree(s.dir); err != nil {
		return s.failed(err)
	}
	x := s.tree.newTransaction(BuildLock(s.i), "build of "+s.i.String())
	err := x.put(s.dir, s.tree.BaseDir(s.i))
	if err != nil {
		return s.failed(err)
	}
	if finished, err := x.run(nil, func(Event) {}); err != nil && !finished {
		return s.failed(err)
	}
	return nil // what could not be deleted is in the journal
}

func (s *Stage) failed(err error) error {
	s.Discard()
	if IsFull(err) {
		return s.tree.noSpace(s.i, path.Dir(s.dir), 0, err)
	}
	return &Error{Kind: StageFailed, Instance: s.i, Subject: s.tree.BaseDir(s.i), Err: err}
}

// Discard deletes the result. The kernel's directory in the registry goes too when nothing else is in it.
func (s *Stage) Discard() {
	_ = s.tree.root.RemoveAll(s.dir)
	_ = s.tree.root.RemoveEmpty(path.Dir(s.dir), s.tree.ModuleDir(s.i.Module))
}

// Unbuild deletes the build result of i. The caller holds BuildLock and shares ModuleLock.
func (t *Tree) Unbuild(i Instance) error {
	if err := i.Check(); err != nil {
		return err
	}
	base := t.BaseDir(i)
	x := t.newTransaction(BuildLock(i), "removal of the build of "+i.String())
	x.drop(base, path.Join(path.Dir(base), ".tmp_"+i.Arch+"_unbuild"))
	x.prune(path.Dir(base), t.ModuleDir(i.Module))
	if _, err := x.run(nil, func(Event) {}); err != nil {
		return fmt.Errorf("delete the build of %s: %w", i, err)
	}
	return nil
}
