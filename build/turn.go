package build

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dkms-go/build/depmod"
	"dkms-go/build/jobserver"
	"dkms-go/build/kbuild"
	"dkms-go/dkms"
)

// Every step takes the locks of what it changes before it looks at it for the last time, and gives them back when it is done:
// dkms/lock.go says which there are. Scripts of modules run without those of kernels, and without that of their own
// registration being held alone: they may call dkms themselves.

// holding calls f with locks held.
func (w *work) holding(ctx context.Context, f func() error, locks ...dkms.Lock) error {
	h, err := w.Tree.Lock(ctx, w.Emit, locks...)
	if err != nil {
		return err
	}
	defer h.Unlock()
	return f()
}

// doneMeanwhileError says that somebody else has done what a step was to do, between the plan and its turn.
type doneMeanwhileError struct{ why Reason }

func (e *doneMeanwhileError) Error() string { return e.why.String() }

// take does a step in its turn.
func (w *work) take(ctx context.Context, s Step) error {
	i := s.Instance
	registration := dkms.ModuleLock(i.Module)
	switch s.Action {
	case Import, Remove:
		return w.holding(ctx, func() error { return w.do(ctx, s) }, registration)
	case Build:
		return w.holding(ctx, func() error {
			if !s.Replace && w.Tree.Built(i) || w.renewedMeanwhile(ctx, s) {
				return &doneMeanwhileError{AlreadyBuilt}
			}
			if err := w.Tree.CheckBuildSpace(i); err != nil {
				return err
			}
			done, err := w.scratch(i)
			if err != nil {
				return err
			}
			return errors.Join(w.do(ctx, s), done())
		}, append(w.directoryLocks(i), registration.Shared(), dkms.BuildLock(i))...)
	case Unbuild:
		return w.holding(ctx, func() error { return w.do(ctx, s) }, registration.Shared(), dkms.BuildLock(i))
	case Index, Prune:
		return w.holding(context.WithoutCancel(ctx), func() error { return w.do(ctx, s) }, dkms.KernelLock(i.Kernel))
	}
	return w.do(ctx, s)
}

// directoryLocks are the locks of the directory that i is built in.
func (w *work) directoryLocks(i dkms.Instance) []dkms.Lock {
	if w.workshop.private {
		return []dkms.Lock{dkms.DirectoryLock(i.Module).Shared(), dkms.PrivateDirectoryLock(i)}
	}
	return []dkms.Lock{dkms.DirectoryLock(i.Module)}
}

// scratch notes where i is being built.
func (w *work) scratch(i dkms.Instance) (done func() error, err error) {
	if w.workshop.private {
		return w.Tree.PrivateScratch(i, kbuild.PrivateDir(w.Tree.BuildDir(i.Module), i.Kernel, i.Arch))
	}
	return w.Tree.Scratch(i.Module)
}

// register adds a module that is not added. That somebody else has just done so is as good, unless the user asked for it by
// name.
func (w *work) register(ctx context.Context, s Step) error {
	m := s.Instance.Module
	return w.holding(ctx, func() error {
		if s.Implied && w.Tree.Added(m) {
			return &doneMeanwhileError{Needed}
		}
		return w.Tree.Add(m, w.Emit)
	}, dkms.ModuleLock(m))
}

// place installs an instance, unless somebody else has.
func (w *work) place(ctx context.Context, s Step, ps []dkms.Placement, find dkms.Find, o dkms.InstallOptions) error {
	i := s.Instance
	return w.holding(ctx, func() error {
		if w.installedMeanwhile(s, o) {
			return &doneMeanwhileError{AlreadyInstalled}
		}
		return w.Tree.Install(ctx, i, ps, find, o, w.Emit)
	}, dkms.ModuleLock(i.Module).Shared(), dkms.BuildLock(i).Shared(), dkms.KernelLock(i.Kernel))
}

// installedMeanwhile reports whether somebody else has installed an instance since the plan was made, as it is built now.
func (w *work) installedMeanwhile(s Step, o dkms.InstallOptions) bool {
	insists := s.Replace && w.plan.Request.Goal != Sync
	return !insists && !o.Force && w.Tree.Current(s.Instance)
}

// renewedMeanwhile reports whether somebody else has built a stale instance again since the plan was made, from what there
// is now.
func (w *work) renewedMeanwhile(ctx context.Context, s Step) bool {
	if s.Part < 0 || len(w.plan.Parts[s.Part].Stale) == 0 {
		return false
	}
	then, ok := w.Tree.Inputs(s.Instance)
	if !ok || then == w.plan.Parts[s.Part].Made {
		return false
	}
	names, _, err := w.Builder.changed(ctx, s.Instance, then)
	return err == nil && len(names) == 0
}

// confirm notes that a build is up to date. Without that it would only take longer to see so the next time.
func (b *Builder) confirm(ctx context.Context, f Fresh) {
	h, err := b.Tree.Lock(ctx, b.Emit, dkms.BuildLock(f.Instance))
	if err != nil {
		return
	}
	defer h.Unlock()
	_ = b.Tree.UpdateInputs(f.Instance, f.Inputs)
}

// Recover completes or takes back what runs that are no more have left undone, removes the pipes that they have left, and writes
// the indexes that they owe. Run it before anything is planned that changes something: a plan should begin with what there is.
func (b *Builder) Recover(ctx context.Context) error {
	swept := jobserver.Sweep(b.Root, b.Tree.Options().DKMSTree)
	if !b.Tree.Undone() {
		return swept
	}
	errs := []error{swept, b.Tree.Recover(ctx, b.Emit)}
	for _, release := range b.Tree.Dirty() {
		errs = append(errs, b.indexAbandoned(ctx, release))
	}
	return b.Tree.Full(dkms.Instance{}, dkms.SpaceForRecords, errors.Join(errs...))
}

// indexer returns what writes indexes here.
func (b *Builder) indexer() *depmod.Indexer {
	x := &depmod.Indexer{Root: b.Root, InstallTree: b.Tree.Options().InstallTree}
	x.Cache = depmod.CacheFor(b.Root, x.InstallTree)
	return x
}

// indexAbandoned writes the indexes of a kernel in place of a run that is no more.
func (b *Builder) indexAbandoned(ctx context.Context, release string) error {
	h, err := b.Tree.Lock(ctx, b.Emit, dkms.KernelLock(release))
	if err != nil {
		return err
	}
	defer h.Unlock()
	if !slices.Contains(b.Tree.Dirty(), release) { // while we waited
		return nil
	}
	if _, err := b.indexer().Index(ctx, release); err != nil {
		return fmt.Errorf("write the indexes of kernel %s: %w", release, err)
	}
	if err := errors.Join(b.Tree.DropStale(release, b.Emit), b.Tree.SweepIndexes(release)); err != nil {
		return err
	}
	b.Emit(Reindexed{Kernel: release})
	return b.Tree.ClearDirty(release)
}
