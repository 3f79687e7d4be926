package dkms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"dkms-go/conf/sysroot"
)

// Recover completes or takes back what runs that are no more have left undone, and says so through events. What belongs to a
// run that is still at work is left alone, and so is what cannot be known to be dead: everything here happens under a lock
// that could be had at once. Lock does the same for what it locks, so nobody builds upon a half-done change.
//
// Indexes are not this room's business: Dirty names the kernels whose indexes have to be written.
func (t *Tree) Recover(ctx context.Context, emit Emit) error {
	locks := t.abandonedLocks()
	var errs []error
	for _, l := range locks {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, &Error{Kind: Interrupted, Err: err})...)
		}
		errs = append(errs, t.tryAlone(l, func() error { return errors.Join(t.recoverLocked(l, emit), t.sweep(l)) }))
	}
	for _, dir := range []string{t.journalDir(), t.lockDir()} {
		if t.present(dir) {
			_ = t.root.RemoveEmpty(dir, t.opt.DKMSTree) // it is for looks
		}
	}
	return errors.Join(errs...)
}

// Unfinished is a change that a run which is no more has left in the journal.
type Unfinished struct {
	What     string // for people, such as "installation of M/V for kernel K (A)"
	Complete bool   // Recover is going to complete it; otherwise to take it back
}

// Unfinished returns what Recover would complete or take back.
func (t *Tree) Unfinished() ([]Unfinished, error) {
	var (
		all  []Unfinished
		errs []error
	)
	for _, l := range t.abandonedLocks() {
		errs = append(errs, t.tryAlone(l, func() error {
			for _, p := range []phase{begun, doing, undoing} {
				if !t.present(t.recordFile(l.name, p)) {
					continue
				}
				if r, err := t.read(l.name, p); err == nil { // Recover puts others aside
					all = append(all, Unfinished{What: r.What, Complete: p == doing})
				}
			}
			return nil
		}))
	}
	return all, errors.Join(errs...)
}

// Sweep deletes what runs that are no more have left in the registry and the source tree beside the place where it was to
// be: sources and build results that were never finished. Lock does so for what it locks. Where there is nothing of that
// sort, which is nearly always, it only looks: a lock is a file made, written and deleted.
func (t *Tree) Sweep(ctx context.Context) error {
	ms, err := t.Modules(Filter{})
	if err != nil {
		return err
	}
	sources, _ := t.root.ReadDir(t.opt.SourceTree) // there may be none
	var errs []error
	for _, m := range ms {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, &Error{Kind: Interrupted, Err: err})...)
		}
		if t.littered(m, sources) {
			errs = append(errs, t.tryAlone(ModuleLock(m), func() error { return errors.Join(t.sweep(ModuleLock(m)), t.Clean(m)) }))
		}
	}
	return errors.Join(errs...)
}

// littered reports whether sweep or Clean may find something of m to delete; sources are the entries of the source tree.
func (t *Tree) littered(m Module, sources []fs.DirEntry) bool {
	dir := t.ModuleDir(m)
	begins := func(ents []fs.DirEntry, prefix string) bool {
		return slices.ContainsFunc(ents, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), prefix) })
	}
	versions, _ := t.root.ReadDir(path.Dir(dir))
	kernels, _ := t.root.ReadDir(dir)
	return begins(sources, "."+path.Base(t.SourceDir(m))+".") || begins(versions, ".tmp_"+m.Version+"_") || begins(kernels, ".tmp_") ||
		slices.ContainsFunc(kernels, func(e fs.DirEntry) bool {
			if !e.IsDir() {
				return false
			}
			ents, err := t.root.ReadDir(path.Join(dir, e.Name()))
			return err != nil || len(ents) == 0 || begins(ents, ".tmp_")
		})
}

// tryAlone calls f with a lock, unless somebody has it.
func (t *Tree) tryAlone(l Lock, f func() error) error {
	taken, err := t.tryLock(l)
	var held *sysroot.HeldError
	if errors.As(err, &held) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", l, err)
	}
	h := &Held{tree: t, locks: []*sysroot.Lock{taken}}
	defer h.Unlock()
	return f()
}

// Undone reports whether somebody is at work, or has left something undone.
func (t *Tree) Undone() bool { return t.present(t.journalDir()) || t.present(t.lockDir()) }

// abandonedLocks returns the locks under which there are records, and those that there are files for.
func (t *Tree) abandonedLocks() []Lock {
	var locks []Lock
	add := func(name string) {
		l := Lock{name: name, what: strings.ReplaceAll(name, "!", " ")}
		if !slices.Contains(locks, l) {
			locks = append(locks, l)
		}
	}
	records, err := t.root.ReadDir(t.journalDir())
	for _, e := range records {
		if name, p := splitPhase(e.Name()); err == nil && p != "" && p != unusable {
			add(name)
		}
	}
	files, err := t.root.ReadDir(t.lockDir())
	for _, e := range files {
		if err == nil {
			add(e.Name())
		}
	}
	return locks
}

// splitPhase splits the name of a record.
func splitPhase(file string) (lock string, p phase) {
	for _, p := range []phase{begun, doing, undoing, fresh, unusable} {
		if lock, ok := strings.CutSuffix(file, string(p)); ok {
			return lock, p
		}
	}
	return "", ""
}

// undone reports whether there is a record for a lock.
func (t *Tree) undone(l Lock) bool {
	return slices.ContainsFunc([]phase{begun, doing, undoing}, func(p phase) bool { return t.present(t.recordFile(l.name, p)) })
}

// recoverLocked completes or takes back what the record of a lock says. The caller holds the lock alone.
func (t *Tree) recoverLocked(l Lock, emit Emit) error {
	if !t.present(t.journalDir()) {
		return nil
	}
	if f := t.recordFile(l.name, fresh); t.present(f) { // of somebody who had not begun
		if err := t.strike(&record{Under: l.name}, fresh); err != nil {
			return err
		}
	}
	for _, p := range []phase{begun, doing, undoing} {
		if !t.present(t.recordFile(l.name, p)) {
			continue
		}
		r, err := t.read(l.name, p)
		if err != nil {
			emit(RecordUnusable{File: t.recordFile(l.name, unusable), Err: err})
			return t.root.Rename(t.recordFile(l.name, p), t.recordFile(l.name, unusable))
		}
		if err := t.resume(r, p); err != nil {
			return fmt.Errorf("recover %s: %w", r.What, err)
		}
		emit(Recovered{What: r.What, Completed: p == doing})
	}
	return nil
}

// resume goes on with a record, in the direction that its phase gives.
func (t *Tree) resume(r *record, p phase) error {
	switch p {
	case doing:
		for _, c := range r.Changes {
			if err := t.apply(c); err != nil {
				return err
			}
		}
	case undoing:
		if err := t.takeBack(r); err != nil {
			return err
		}
	}
	return t.settle(r, p)
}

// sweep deletes what those who had a lock before have left beside the place where it was to be. The caller holds it alone.
func (t *Tree) sweep(l Lock) error {
	names := strings.Split(l.name, "!")
	switch {
	case names[0] == "module" && len(names) == 3:
		m := Module{names[1], names[2]}
		var errs []error // nobody builds: who does shares this lock
		for _, kernel := range t.names(t.ModuleDir(m), "") {
			errs = append(errs, t.sweepDir(path.Join(t.ModuleDir(m), kernel), ".tmp_"))
		}
		return errors.Join(
			errors.Join(errs...),
			t.sweepDir(path.Dir(t.ModuleDir(m)), ".tmp_"+m.Version+"_"),
			t.sweepDir(t.ModuleDir(m), ".tmp_source_"),
			t.sweepDir(path.Join(t.ModuleDir(m), "tarball"), "."), // who writes one shares this lock too
			t.sweepDir(t.opt.SourceTree, "."+path.Base(t.SourceDir(m))+"."),
		)
	case names[0] == "directory" && len(names) == 5: // of a private build
		m := Module{names[1], names[2]}
		return t.tryAlone(DirectoryLock(m), func() error { return t.sweepPoint(m) })
	case names[0] == "build" && len(names) == 5:
		i := Instance{Module{names[1], names[2]}, names[3], names[4]}
		return errors.Join(
			t.sweepDir(path.Dir(t.BaseDir(i)), ".tmp_"+i.Arch+"_"),
			t.sweepDir(t.BaseDir(i), "."+inputsFile+"."),
			t.sweepDir(path.Join(t.BaseDir(i), "log"), ".make.log."),
			t.sweepDir(path.Dir(t.failureFile(i)), "."+path.Base(t.failureFile(i))+"."),
		)
	}
	return nil
}

// sweepPoint deletes an empty T/M/V/build, over which private builds were laid that are no more. Nobody builds m.
func (t *Tree) sweepPoint(m Module) error {
	if ents, err := t.root.ReadDir(t.BuildDir(m)); err != nil || len(ents) > 0 {
		return nil //nolint:nilerr // there is none
	}
	return t.root.Remove(t.BuildDir(m))
}

// sweepDir deletes the entries of a directory that begin with prefix and go on like a temporary name: six letters and digits,
// and perhaps .old.
func (t *Tree) sweepDir(dir, prefix string) error {
	ents, err := t.root.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range ents {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok && temporary(rest) {
			errs = append(errs, t.root.RemoveAll(path.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// temporary reports whether the last part of a name is one that nobody chose.
func temporary(s string) bool {
	s = strings.TrimSuffix(s, ".old")
	s = s[strings.LastIndexAny(s, "._")+1:]
	return len(s) == 6 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}
