package dkms

import "fmt"

// DirectoryLock is the lock of the directory that a module is built in, T/M/V/build, which its builds for all kernels take in
// turn.
func DirectoryLock(m Module) Lock {
	return newLock(rankDirectory, "the build directory of "+m.String(), "directory", m.Name, m.Version)
}

// Scratch notes that m is being built in T/M/V/build, until done is called: if that never happens, whoever comes next deletes
// the directory. The caller holds DirectoryLock(m).
func (t *Tree) Scratch(m Module) (done func() error, err error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	r := &record{
		Format: recordFormat, What: "build of " + m.String(), Under: DirectoryLock(m).name,
		Changes: []change{{Path: t.SourceLink(m), New: t.BuildDir(m)}}, // to be prepared, and never put anywhere
	}
	if err := t.write(r, begun); err != nil {
		return nil, fmt.Errorf("note that %s is being built: %w", m, err)
	}
	return func() error { return t.strike(r, begun) }, nil
}
