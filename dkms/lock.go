package dkms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"dkms-go/conf/sysroot"
)

// Lock is one of the locks that keep runs of this program, and the steps of one run, out of each other's way. There are four
// sorts, in the order in which they are taken; those of one sort are taken in the order of their names:
//
//  1. one for each registration (M, V): taken alone to change it (Import, Load, Add, Clean, Forget), shared by whoever relies
//     on it (builds, installations);
//  2. one for the directory that a module is built in (M, V): taken alone from the first copied file to the last;
//  3. one for each instance (M, V, K, A): taken alone to make or delete its build result (Stage to Commit, Unbuild), shared by
//     whoever installs it;
//  4. one for each kernel K: taken alone to change its module directory, what is noted about it, or its indexes (Install,
//     Uninstall, Cleanup, Prune, MarkDirty, ClearDirty).
//
// Nobody who holds a lock asks for one that comes before it; so nobody waits in a circle. Who has waited looks again at what
// there is, and often finds the work done. Reading (status) takes no lock: every change becomes visible in one step.
//
// A lock is a flock(2) on a file in T/.lock. That is where everybody meets who changes the same tree: on another root, in a
// chroot, in a container that shares it, where /run would be another one. dkms 3.4 does not look at names that begin with a
// dot. The file says who holds the lock, and is gone when nobody does.
type Lock struct {
	rank   rank
	name   string // of the file, and of the record in the journal
	what   string // for people
	shared bool
}

// rank is the place of a sort of locks in the order.
type rank int

const (
	rankModule rank = 1 + iota
	rankDirectory
	rankBuild
	rankKernel
	rankIndexes // see dirtyLock
)

// ModuleLock is the lock of the registration of m.
func ModuleLock(m Module) Lock { return newLock(rankModule, m.String(), "module", m.Name, m.Version) }

// BuildLock is the lock of the build result of i.
func BuildLock(i Instance) Lock {
	return newLock(rankBuild, i.String(), "build", i.Name, i.Version, i.Kernel, i.Arch)
}

// KernelLock is the lock of the modules of a kernel.
func KernelLock(release string) Lock {
	return newLock(rankKernel, "kernel "+release, "kernel", release)
}

// newLock joins names with the one character that none of them has, as sysfs does.
func newLock(r rank, what string, names ...string) Lock {
	return Lock{rank: r, what: what, name: strings.Join(names, "!")}
}

// Shared returns the same lock, to be held together with others that share it.
func (l Lock) Shared() Lock {
	l.shared = true
	return l
}

// String names what is locked, as users know it.
func (l Lock) String() string { return l.what }

// Held is what Lock has taken.
type Held struct {
	tree  *Tree
	locks []*sysroot.Lock
}

// Unlock gives everything back. A second call does nothing.
func (h *Held) Unlock() {
	for _, l := range slices.Backward(h.locks) {
		_ = l.Unlock() // a file that stays does no harm
	}
	if len(h.locks) > 0 {
		_ = h.tree.root.RemoveEmpty(h.tree.lockDir(), h.tree.opt.DKMSTree)
	}
	if h.tree.spent.Load() {
		h.tree.keepSpare()
	}
	h.locks = nil
}

// Lock takes locks, in their order, whatever the order here. Where somebody else has one, it says so through an event, once,
// and waits until ctx ends. What a run that is no more left undone under a lock is completed or taken back first.
func (t *Tree) Lock(ctx context.Context, emit Emit, locks ...Lock) (*Held, error) {
	locks = slices.Clone(locks)
	slices.SortFunc(locks, func(a, b Lock) int { return cmp.Or(cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name)) })
	h := &Held{tree: t}
	for n, l := range locks {
		if n > 0 && locks[n-1].name == l.name {
			continue
		}
		taken, err := t.acquire(ctx, emit, l)
		if err != nil {
			h.Unlock()
			return nil, fmt.Errorf("lock %s: %w", l, err)
		}
		h.locks = append(h.locks, taken)
	}
	return h, nil
}

// acquire takes one lock, with nothing left undone under it. Recovery needs the lock for itself alone.
func (t *Tree) acquire(ctx context.Context, emit Emit, l Lock) (*sysroot.Lock, error) {
	for {
		taken, err := t.wait(ctx, emit, l)
		if err != nil {
			return nil, err
		}
		if l.shared && t.undone(l) {
			alone := l
			alone.shared = false
			_ = taken.Unlock()
			if taken, err = t.wait(ctx, emit, alone); err != nil {
				return nil, err
			}
			err = t.recoverLocked(l, emit)
			_ = taken.Unlock()
			if err != nil {
				return nil, err
			}
			continue
		}
		if !l.shared {
			if err := errors.Join(t.recoverLocked(l, emit), t.sweep(l)); err != nil {
				_ = taken.Unlock()
				return nil, err
			}
		}
		return taken, nil
	}
}

// wait takes a lock when it can be had. flock(2) itself cannot be told to stop waiting, so it is asked again and again.
func (t *Tree) wait(ctx context.Context, emit Emit, l Lock) (*sysroot.Lock, error) {
	const first, longest = 2 * time.Millisecond, 100 * time.Millisecond
	told := false
	for pause := first; ; pause = min(2*pause, longest) {
		taken, err := t.tryLock(l)
		var held *sysroot.HeldError
		if err == nil || !errors.As(err, &held) {
			return taken, err
		}
		if !told && pause > 8*first { // what is over at once is not worth a word
			emit(LockAwaited{What: l.what, Holder: held.Note})
			told = true
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, &Error{Kind: Interrupted, Err: ctx.Err()}
		case <-timer.C:
		}
	}
}

// tryLock takes a lock or fails with a *sysroot.HeldError.
func (t *Tree) tryLock(l Lock) (taken *sysroot.Lock, err error) {
	err = t.withSpare(func() (err error) {
		taken, err = t.lockFile(l)
		return err
	})
	return taken, err
}

func (t *Tree) lockFile(l Lock) (taken *sysroot.Lock, err error) {
	note := fmt.Sprintf("%d %s", syscall.Getpid(), t.opt.Command)
	err = t.root.MkdirFor(t.lockDir(), 0o755, func() (err error) {
		taken, err = t.root.TryLock(path.Join(t.lockDir(), l.file()), l.shared, strings.TrimSpace(note))
		return err
	})
	return taken, err
}

// file returns a file name for the lock, which may be made of four names as long as a file name can be.
func (l Lock) file() string { return fileName(l.name) }

func (t *Tree) lockDir() string { return path.Join(t.opt.DKMSTree, ".lock") }
