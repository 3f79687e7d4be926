package dkms

import "fmt"

// DirectoryLock is the lock of the directory that a module is built in, T/M/V/build, which its builds for all kernels take in
// turn.
func DirectoryLock(m Module) Lock {
	return newLock(rankDirectory, "the build directory of "+m.String(), "directory", m.Name, m.Version)
}

// PrivateDirectoryLock is the lock of the directory that one instance is built in where builds are private. Who has it also
// shares DirectoryLock of the module: builds that are not private need T/M/V/build for themselves.
func PrivateDirectoryLock(i Instance) Lock {
	return newLock(rankDirectory, "the build directory of "+i.String(), "directory", i.Name, i.Version, i.Kernel, i.Arch)
}

// Scratch notes that m is being built in T/M/V/build, until done is called: if that never happens, whoever comes next deletes
// the directory. The caller holds DirectoryLock(m).
func (t *Tree) Scratch(m Module) (done func() error, err error) {
	return t.scratch(m, DirectoryLock(m), t.BuildDir(m))
}

// PrivateScratch is Scratch for a build in a directory of its own. The caller holds PrivateDirectoryLock(i).
func (t *Tree) PrivateScratch(i Instance, dir string) (done func() error, err error) {
	return t.scratch(i.Module, PrivateDirectoryLock(i), dir)
}

func (t *Tree) scratch(m Module, under Lock, dir string) (done func() error, err error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	r := &record{
		Format: recordFormat, What: "build of " + m.String(), Under: under.name,
		Changes: []change{{Path: t.SourceLink(m), New: dir}}, // to be prepared, and never put anywhere
	}
	if err := t.write(r, begun); err != nil {
		return nil, fmt.Errorf("note that %s is being built: %w", m, err)
	}
	return func() error { return t.strike(r, begun) }, nil
}
