package dkms

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"dkms-go/conf/sysroot"
)

// A kernel is dirty from the first change of its modules until its indexes say so: T/.journal/index!K is there. The run that
// is going to write them holds a lock on that name, shared with others that have changed the same kernel; so a mark whose
// lock can be had alone was left by a run that is no more.

// mark is this run's part in the mark of a kernel.
type mark struct {
	held      *Held
	inherited bool // the kernel was marked before
}

// MarkDirty notes that the indexes of a kernel do not say what there is. Install and Uninstall do so. The caller holds
// KernelLock(release).
func (t *Tree) MarkDirty(release string) error {
	if err := CheckName("kernel release", release); err != nil {
		return err
	}
	if err := t.hold(release); err != nil {
		return fmt.Errorf("note that indexes of kernel %s are out of date: %w", release, err)
	}
	if t.dirty(release) {
		return nil
	}
	if err := t.journalFile(t.dirtyFile(release), nil); err != nil {
		return fmt.Errorf("note that indexes of kernel %s are out of date: %w", release, err)
	}
	return nil
}

// ClearDirty notes that the indexes of a kernel say what there is, or that the user sees to it. The caller holds
// KernelLock(release).
func (t *Tree) ClearDirty(release string) error {
	if err := CheckName("kernel release", release); err != nil {
		return err
	}
	err := t.root.SyncDir(t.KernelDir(release)) // what was deleted there without haste
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = t.removeFile(t.dirtyFile(release))
	}
	t.release(release)
	if err != nil {
		return fmt.Errorf("note that indexes of kernel %s are up to date: %w", release, err)
	}
	_ = t.root.RemoveEmpty(t.journalDir(), t.opt.DKMSTree) // it is for looks
	return nil
}

// Abandon leaves the mark of a kernel to the next run: its indexes could not be written, and not everything is as it was.
func (t *Tree) Abandon(release string) { t.release(release) }

// Unmark takes back what MarkDirty did in this run, because everything is as it was. A mark that was there before stays, and so
// does one that others rely on. The caller holds KernelLock(release).
func (t *Tree) Unmark(release string) error {
	t.mu.Lock()
	m, ok := t.marks[release]
	t.mu.Unlock()
	t.release(release)
	if !ok || m.inherited || !t.orphaned(release) {
		return nil
	}
	return t.ClearDirty(release)
}

// Dirty returns the kernels whose indexes nobody is going to write, because whoever was is no more, in the order of names.
func (t *Tree) Dirty() []string {
	ents, err := t.root.ReadDir(t.journalDir())
	if err != nil {
		return nil
	}
	var releases []string
	for _, e := range ents {
		if k, ok := strings.CutPrefix(e.Name(), "index!"); ok && CheckName("kernel release", k) == nil && t.orphaned(k) {
			releases = append(releases, k)
		}
	}
	return releases
}

// dirty reports whether a kernel is marked, by whomever.
func (t *Tree) dirty(release string) bool { return t.present(t.dirtyFile(release)) }

func (t *Tree) dirtyFile(release string) string { return path.Join(t.journalDir(), "index!"+release) }

// dirtyLock is the lock of those who are going to write the indexes of a kernel. Nobody waits for it.
func dirtyLock(release string) Lock {
	return newLock(rankIndexes, "indexes of kernel "+release, "index", release).Shared()
}

// hold takes the lock of the mark, until ClearDirty or the end of the process. If somebody looks just now whether it can be
// had, it is left to them: then they may write the indexes too, which does no harm.
func (t *Tree) hold(release string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.marks[release]; ok {
		return nil
	}
	taken, err := t.tryLock(dirtyLock(release))
	var held *sysroot.HeldError
	if errors.As(err, &held) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.marks == nil {
		t.marks = map[string]mark{}
	}
	t.marks[release] = mark{&Held{tree: t, locks: []*sysroot.Lock{taken}}, t.dirty(release)}
	return nil
}

func (t *Tree) release(release string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m, ok := t.marks[release]; ok {
		m.held.Unlock()
		delete(t.marks, release)
	}
}

// orphaned reports whether nobody holds the lock of a mark.
func (t *Tree) orphaned(release string) bool {
	alone := dirtyLock(release)
	alone.shared = false
	taken, err := t.tryLock(alone)
	if err == nil {
		h := &Held{tree: t, locks: []*sysroot.Lock{taken}}
		h.Unlock()
	}
	var held *sysroot.HeldError
	return !errors.As(err, &held)
}

// SweepIndexes deletes indexes that a run which is no more has not finished writing. The caller holds KernelLock(release).
func (t *Tree) SweepIndexes(release string) error {
	if err := CheckName("kernel release", release); err != nil {
		return err
	}
	return t.sweepDir(t.KernelDir(release), ".modules.")
}

// DropStale deletes the archives of originals for a kernel that no version is active on any more: an uninstallation was
// cut off before it could do so. The caller holds KernelLock(release).
func (t *Tree) DropStale(release string, emit Emit) error {
	if err := CheckName("kernel release", release); err != nil {
		return err
	}
	var errs []error
	for _, name := range t.names(t.opt.DKMSTree, "") {
		for _, arch := range t.names(path.Join(t.opt.DKMSTree, name, "original_module", release), "") {
			i := Instance{Module: Module{Name: name}, Kernel: release, Arch: arch}
			if !t.isLink(t.ActiveLink(i)) {
				errs = append(errs, t.dropOriginals(i, true, emit))
			}
		}
	}
	return errors.Join(errs...)
}
