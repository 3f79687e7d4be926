package dkms

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"

	"dkms-go/conf/sysroot"
)

// transaction is a change of several files on its way through the journal. The caller holds its lock, alone, from
// the first call to the last.
type transaction struct {
	*Tree
	record
	phase  phase           // of the record
	marked bool            // the indexes of the kernel were up to date before
	before map[int][]Event // events to be told of ahead of a change; those of len(Changes) come last
	failed string          // path of the change that failed
	back   []restoration   // originals that are put back
}

// newTransaction begins a transaction under a lock. what is its name for people.
func (t *Tree) newTransaction(l Lock, what string) *transaction {
	return &transaction{
		Tree: t, record: record{Format: recordFormat, What: what, Under: l.name}, before: map[int][]Event{},
	}
}

// put adds the change that what will be at tmp takes the place of abs.
func (x *transaction) put(tmp, abs string) error {
	was, err := x.identity(abs)
	x.Changes = append(x.Changes, change{Path: abs, New: tmp, Was: was})
	return err
}

// drop adds the change that abs goes away. hidden is beside it.
func (x *transaction) drop(abs, hidden string) {
	x.Changes = append(x.Changes, change{Path: abs, Old: hidden})
}

// tell adds events, to be told when everything added so far is done.
func (x *transaction) tell(events ...Event) {
	n := len(x.Changes)
	x.before[n] = append(x.before[n], events...)
}

// prune adds a directory that goes in the end if it is empty, whether the transaction succeeds or not.
func (x *transaction) prune(dir, stop string) { x.Empty = append(x.Empty, empty{dir, stop}) }

// touches reports whether a change of abs was added.
func (x *transaction) touches(abs string) bool {
	return slices.ContainsFunc(x.Changes, func(c change) bool { return c.Path == abs })
}

// run makes the changes. prepare makes what is to be put; it may be nil when all of that is there and on disk.
//
// With an error nothing has changed, unless finished tells otherwise: then everything is changed, and what is left over
// could not be deleted.
func (x *transaction) run(prepare func() error, emit Emit) (finished bool, err error) {
	x.phase = doing
	if prepare != nil {
		x.phase = begun
	}
	spare := func(f func() error) error { return f() }
	if x.deletes() {
		spare = x.withSpare
	}
	if err := spare(x.mark); err != nil {
		return false, err
	}
	if err := spare(func() error { return x.write(&x.record, x.phase) }); err != nil {
		return false, errors.Join(err, x.unmark())
	}
	if prepare != nil {
		err := spare(prepare)
		if err == nil {
			err = x.reach(doing)
		}
		if err != nil {
			return false, errors.Join(err, x.abandon())
		}
	}
	for n, c := range x.Changes {
		x.say(n, emit)
		x.failed = c.Path
		if err := x.apply(c); err != nil {
			return false, errors.Join(err, x.rollback())
		}
	}
	x.say(len(x.Changes), emit)
	return true, x.settle(&x.record, x.phase)
}

// deletes reports whether a transaction makes room: all that it puts in place is originals, which only move.
func (x *transaction) deletes() bool {
	puts := 0
	for _, c := range x.Changes {
		if c.New != "" {
			puts++
		}
	}
	return puts == len(x.back)
}

func (x *transaction) say(n int, emit Emit) {
	for _, e := range x.before[n] {
		emit(e)
	}
}

// reach gives the record the name of a phase. A rename that reports failure may have happened.
func (x *transaction) reach(p phase) error {
	if x.phase == p {
		return nil
	}
	from, to := x.recordFile(x.Under, x.phase), x.recordFile(x.Under, p)
	err := x.root.Rename(from, to)
	if err == nil || !x.present(from) {
		x.phase = p
	}
	return err
}

// abandon deletes what was prepared.
func (x *transaction) abandon() error {
	if err := x.reach(begun); x.phase != begun {
		return err
	}
	return errors.Join(x.settle(&x.record, begun), x.unmark())
}

// rollback takes everything back. If that fails too, the journal remembers what is left to be done: to take it back, or,
// if it cannot even be told that, to go on.
func (x *transaction) rollback() error {
	if err := x.reach(undoing); x.phase != undoing {
		return err
	}
	if err := x.takeBack(&x.record); err != nil {
		return err
	}
	return errors.Join(x.settle(&x.record, undoing), x.unmark())
}

// mark notes that the indexes of the kernel are going to be out of date.
func (x *transaction) mark() error {
	if x.Kernel == "" {
		return nil
	}
	x.marked = !x.dirty(x.Kernel)
	return x.MarkDirty(x.Kernel)
}

// unmark takes back what mark did.
func (x *transaction) unmark() error {
	if x.Kernel == "" || !x.marked {
		return nil
	}
	return x.ClearDirty(x.Kernel)
}

// present reports whether there is anything at abs.
func (t *Tree) present(abs string) bool {
	_, err := t.root.Lstat(abs)
	return !errors.Is(err, fs.ErrNotExist)
}

// aside is where what was at the place of a put waits when names cannot be exchanged.
func (c change) aside() string { return c.New + ".old" }

// half is what becomes aside when it is complete.
func (c change) half() string { return c.New + ".half" }

// apply makes a change, if it is not made.
func (t *Tree) apply(c change) error {
	switch {
	case c.Old != "":
		return t.hide(c)
	case !t.present(c.New):
		return nil
	case t.present(c.aside()):
		if err := t.clear(c.Path); err != nil {
			return err
		}
		return t.root.Rename(c.New, c.Path)
	case c.Was == "":
		return t.root.Rename(c.New, c.Path)
	}
	at, err := t.identity(c.New)
	if err != nil || at == c.Was {
		return err
	}
	if !t.present(c.Path) { // whoever took it away, this is its place
		return t.root.Rename(c.New, c.Path)
	}
	err = t.root.Exchange(c.New, c.Path)
	var cannot *sysroot.NoExchangeError
	if errors.As(err, &cannot) {
		return t.replace(c)
	}
	return err
}

// hide makes a take. A directory that cannot be renamed stays for settle to delete.
func (t *Tree) hide(c change) error {
	if !t.present(c.Path) {
		return nil
	}
	if err := t.root.RemoveAll(c.Old); err != nil {
		return err
	}
	err := t.root.Rename(c.Path, c.Old)
	if errors.Is(err, syscall.EXDEV) {
		return nil
	}
	return err
}

// replace makes a put without exchange.
func (t *Tree) replace(c change) error {
	if t.realDir(c.Path) {
		err := t.root.Rename(c.Path, c.aside())
		if errors.Is(err, syscall.EXDEV) {
			err = t.copyAside(c)
		}
		if err != nil {
			return err
		}
		return t.apply(c)
	}
	if err := t.root.PrepareTwin(c.Path, c.half()); err != nil {
		return err
	}
	if err := t.root.Rename(c.half(), c.aside()); err != nil {
		return err
	}
	return t.root.Rename(c.New, c.Path)
}

// copyAside makes a copy of a directory that cannot be renamed.
func (t *Tree) copyAside(c change) error {
	if err := t.root.PrepareTree(c.Path, c.half()); err != nil {
		return err
	}
	return t.root.Rename(c.half(), c.aside())
}

// clear deletes a directory, or what is left of it, from where another is to be. A file is replaced without that.
func (t *Tree) clear(abs string) error {
	if !t.realDir(abs) {
		return nil
	}
	return t.root.RemoveAll(abs)
}

// takeBack takes back the changes of a record, the last one first.
func (t *Tree) takeBack(r *record) error {
	var errs []error
	for _, c := range slices.Backward(r.Changes) {
		errs = append(errs, t.revoke(c))
	}
	return errors.Join(errs...)
}

// revoke takes a change back, if it is made.
func (t *Tree) revoke(c change) error {
	switch {
	case c.Old != "":
		if !t.present(c.Old) || t.present(c.Path) {
			return nil
		}
		return t.root.Rename(c.Old, c.Path)
	case t.present(c.aside()):
		if err := t.clear(c.Path); err != nil {
			return err
		}
		return t.root.Rename(c.aside(), c.Path)
	case c.Was == "":
		if t.present(c.New) || !t.present(c.Path) {
			return nil
		}
		return t.root.Rename(c.Path, c.New)
	case !t.present(c.New):
		return nil
	}
	at, err := t.identity(c.New)
	if err != nil || at != c.Was {
		return err
	}
	if now, err := t.identity(c.Path); err != nil || now == c.Was {
		return err
	}
	return t.root.Exchange(c.New, c.Path)
}

// settle deletes what a transaction leaves over, and its record last.
func (t *Tree) settle(r *record, p phase) error {
	var errs []error
	for _, c := range r.Changes {
		switch {
		case c.New != "":
			if p == doing && t.realDir(c.New) { // half deleted it would not be what it was, and apply would put it back
				errs = append(errs, t.root.Rename(c.New, c.aside()))
			}
			errs = append(errs, t.root.RemoveAll(c.New), t.root.RemoveAll(c.aside()), t.root.RemoveAll(c.half()))
		case p == doing:
			errs = append(errs, t.root.RemoveAll(c.Path), t.root.RemoveAll(c.Old))
		case t.present(c.Path):
			errs = append(errs, t.root.RemoveAll(c.Old))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete what is left over: %w", err)
	}
	for _, w := range r.Empty {
		errs = append(errs, t.root.RemoveEmpty(w.Dir, w.Stop))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("delete empty directories: %w", err)
	}
	t.keepSpare()
	return t.strike(r, p)
}

// realDir reports whether abs is a directory and no link to one.
func (t *Tree) realDir(abs string) bool {
	fi, err := t.root.Lstat(abs)
	return err == nil && fi.IsDir()
}

// beside returns a hidden name for what belongs to the place of abs.
func beside(abs, ending string) string { return path.Join(path.Dir(abs), "."+path.Base(abs)+ending) }
