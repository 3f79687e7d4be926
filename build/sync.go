package build

import (
	"context"
	"errors"
	"path"

	"dkms-go/build/kbuild"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
)

// WaitingKernel is a kernel whose headers are not installed, and that wants for modules because of that.
type WaitingKernel struct {
	Target  Target
	Modules []dkms.Module // that are not built
	Package string        // that brings the headers; "" when that is not known
}

// Fresh is a build whose inputs look touched but are the same.
type Fresh struct {
	Instance dkms.Instance
	Inputs   dkms.Inputs
}

// Kernels returns the kernels of the root that modules can be meant for: those that are installed, and those that at least
// have headers, for headers may arrive before the kernel does.
func (b *Builder) Kernels(arch string) ([]Target, error) {
	releases, err := kernel.List(b.Root, b.Tree.Options().InstallTree)
	if err != nil {
		return nil, err
	}
	var ts []Target
	for _, release := range releases {
		t := Target{release, arch}
		k, err := b.kernel(t)
		if err != nil {
			continue
		}
		if k.CheckHeaders() == nil || b.Bootable(release) {
			ts = append(ts, t)
		}
	}
	return ts, nil
}

// Bootable reports whether a kernel itself is installed: its package brings the list of what is compiled into it.
func (b *Builder) Bootable(release string) bool {
	fi, err := b.Root.Stat(b.Tree.KernelDir(release) + "/modules.builtin")
	return err == nil && fi.Mode().IsRegular()
}

// sync plans what brings every module that wants it into every kernel of the request, as its sources, the kernel's headers
// and the compiler are now. Where there is nothing to do the plan has no steps.
func (p *planner) sync(ctx context.Context, r Request) error {
	newest, err := p.newest()
	if err != nil {
		return err
	}
	for _, t := range r.Targets {
		if none := p.missingHeaders(t); none != nil {
			p.wait(ctx, newest, t, none)
			continue
		}
		p.wishes(ctx, newest, t, true)
	}
	return nil
}

// CheckComplete returns an error unless the headers of a kernel are there as a whole: a *kernel.NoHeadersError or a
// *kernel.IncompleteError.
func (b *Builder) CheckComplete(t Target) error {
	k, err := b.kernel(t)
	if err != nil {
		return err
	}
	return k.CheckComplete()
}

func (p *planner) missingHeaders(t Target) *kernel.NoHeadersError {
	k, err := p.kernel(t)
	if err != nil {
		return nil //nolint:nilerr // what is wrong with it is found when something is to be done for it
	}
	var none *kernel.NoHeadersError
	errors.As(k.CheckHeaders(), &none)
	return none
}

// wait plans what can be done for a kernel without headers: to install what is built already. The rest has to wait.
func (p *planner) wait(ctx context.Context, newest []dkms.Module, t Target, none *kernel.NoHeadersError) {
	built, waiting := p.apart(ctx, newest, t, none)
	if len(waiting.Modules) > 0 {
		p.plan.Waiting = append(p.plan.Waiting, waiting)
	}
	p.wishes(ctx, built, t, true)
}

// apart tells the modules that are built for a kernel without headers from those that wait for them.
func (p *planner) apart(ctx context.Context, newest []dkms.Module, t Target, none *kernel.NoHeadersError) (built []dkms.Module, waiting WaitingKernel) {
	waiting = WaitingKernel{Target: t, Package: none.Package}
	for _, m := range newest {
		w := &wish{i: dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}}
		switch {
		case p.Tree.Built(w.i) || p.weaklyInstalled(w.i):
			built = append(built, m)
		case p.evaluate(ctx, w) && !p.excluded(ctx, w.i):
			waiting.Modules = append(waiting.Modules, m)
		}
	}
	return built, waiting
}

// Waiting returns those of some kernels that modules wait to get headers for. It only reads.
func (b *Builder) Waiting(ctx context.Context, ts []Target) ([]WaitingKernel, error) {
	p := &planner{Builder: b, plan: &Plan{}}
	newest, err := p.newest()
	if err != nil {
		return nil, err
	}
	var all []WaitingKernel
	for _, t := range ts {
		if none := p.missingHeaders(t); none != nil {
			if _, w := p.apart(ctx, newest, t, none); len(w.Modules) > 0 {
				all = append(all, w)
			}
		}
	}
	return all, nil
}

// stale finds out what has changed since a wish was built, and what that was built from.
func (p *planner) stale(ctx context.Context, w *wish) {
	then, ok := p.Tree.Inputs(w.i)
	if !ok || !p.Settings.Module(w.i.Name).Kernel.Has(w.i.Kernel) || p.Tree.BinariesOnly(w.i.Module) {
		return
	}
	names, now, err := p.changed(ctx, w.i, then)
	if err != nil {
		return // whoever builds it is told
	}
	w.made, w.stale = then, names
	if len(names) == 0 && now.Stamp != then.Stamp {
		w.fresh = &Fresh{w.i, now}
	}
}

// provided reports whether nothing of a build would be installed, because the kernel has it in the same or a newer version.
func (p *planner) provided(ctx context.Context, i dkms.Instance) bool {
	if !p.Tree.Built(i) {
		return false
	}
	k, err := p.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return false
	}
	c, err := p.registered(ctx, i)
	if err != nil {
		return false
	}
	ps, err := p.placements(ctx, c, k, false)
	if err != nil {
		return false
	}
	o := p.installOptions(i, func(dkms.Event) {})
	o.ObsoleteBy = c.ObsoleteBy
	return p.Tree.Refused(i, ps, find(k, ps), o)
}

// hopeless reports whether a build of i has failed and would be the same again, and notes that in the plan.
func (p *planner) hopeless(ctx context.Context, i dkms.Instance) bool {
	f, failed := p.Tree.Failure(i)
	if !failed || p.mended(f) {
		return false
	}
	if names, _, err := p.changed(ctx, i, f.Inputs); err != nil || len(names) > 0 {
		return false
	}
	p.plan.Hopeless = append(p.plan.Hopeless, f)
	return true
}

// mended reports whether what a build failed for, and is not among its inputs, has been seen to: a program was missing, or a
// file of the headers.
func (b *Builder) mended(f dkms.Failure) bool {
	missing := f.Diagnosis.Subject
	switch {
	case missing == "":
		return false
	case f.Diagnosis.Cause == string(kbuild.CauseToolMissing):
		return b.have(missing)
	case f.Diagnosis.Cause == string(kbuild.CauseHeadersIncomplete):
		k, err := b.kernel(Target{f.Instance.Kernel, f.Instance.Arch})
		if err != nil {
			return false
		}
		if !path.IsAbs(missing) { // it is one of the headers'
			missing = path.Join(k.Headers, missing)
		}
		_, err = b.Root.Stat(missing)
		return err == nil
	}
	return false
}
