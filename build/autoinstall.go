package build

import (
	"context"
	"slices"
	"strings"

	"dkms-go/conf"
	"dkms-go/dkms"
)

// autoinstall plans the installation of the newest version of every module that wants it, in the order in which they depend
// on each other (autoinstall in dkms.in).
//
// A module whose dkms.conf cannot be used is planned like any other: its own part fails then, and no other.
func (p *planner) autoinstall(ctx context.Context, r Request) error {
	newest, err := p.newest()
	if err != nil {
		return err
	}
	p.wishes(ctx, newest, r.target(0), false)
	return nil
}

// wishes plans the automatic installation of modules into one kernel. With sync, those that were made from something else
// than there is now are built again, and those that failed before are not tried again with the same inputs, unless the
// request forces that.
func (p *planner) wishes(ctx context.Context, newest []dkms.Module, t Target, sync bool) {
	var queue []*wish
	known := map[string]bool{}
	for _, m := range newest {
		known[m.Name] = true
		w := &wish{i: dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}}
		if p.Tree.Installed(w.i) || p.weaklyInstalled(w.i) {
			if sync {
				w.stale = p.stale(ctx, w.i)
				w.superseded = p.Tree.Superseded(w.i)
			}
			if len(w.stale) == 0 && !w.superseded {
				p.plan.Present = append(p.plan.Present, w.i)
				continue
			}
		}
		if p.evaluate(ctx, w) {
			queue = append(queue, w)
		}
	}
	if sync && !p.plan.Request.Force {
		queue = slices.DeleteFunc(queue, func(w *wish) bool { return p.hopeless(ctx, w.i) })
	}
	p.inOrder(ctx, queue, known, p.plan.Request.Force)
}

// evaluate finds out what a wish depends on, and reports whether the module wants to be installed at all.
func (p *planner) evaluate(ctx context.Context, w *wish) bool {
	if !p.Settings.Module(w.i.Name).Kernel.Has(w.i.Kernel) {
		return false
	}
	c, err := p.registered(ctx, w.i)
	switch {
	case err != nil:
		return !p.stranded(w.i)
	case !usable(c):
		return true
	case !c.Autoinstall || p.stranded(w.i):
		return false
	}
	w.depends = strings.Fields(strings.Join(c.BuildDepends, " "))
	return true
}

// usable reports whether a dkms.conf passes validation.
func usable(c *conf.Module) bool {
	return !slices.ContainsFunc(c.Check(false), func(p conf.Problem) bool { return !p.Warning })
}

// newest returns the newest version of every registered module, in the order of their names, and notes broken ones.
func (p *planner) newest() ([]dkms.Module, error) {
	all, err := p.Tree.Modules(dkms.Filter{})
	if err != nil {
		return nil, err
	}
	var ms []dkms.Module
	for _, m := range all {
		switch last := len(ms) - 1; {
		case p.Tree.Broken(m):
			p.plan.Broken = append(p.plan.Broken, m)
		case !p.Tree.Added(m):
		case last >= 0 && ms[last].Name == m.Name:
			if conf.CompareVersions(m.Version, ms[last].Version) > 0 {
				ms[last] = m
			}
		default:
			ms = append(ms, m)
		}
	}
	return ms, nil
}

// wish is a module to be installed automatically.
type wish struct {
	i       dkms.Instance
	depends []string // names of modules that must be installed before
	stale   []string // what has changed since it was built, when it is built and that has to be done again
	part    int

	superseded bool // it was built again since it was installed: that was cut off, or nobody asked for more
}

// inOrder plans the wishes in rounds: in each round those whose dependencies came in earlier rounds or are installed.
func (p *planner) inOrder(ctx context.Context, queue []*wish, known map[string]bool, force bool) {
	done := map[string]int{} // name to part; -1 for installed
	if len(queue) == 0 {
		return
	}
	for _, i := range p.plan.Present {
		if i.Kernel == queue[0].i.Kernel {
			done[i.Name] = -1
		}
	}
	for len(queue) > 0 {
		var ready, rest []*wish
		for _, w := range queue {
			if len(unmet(w, done)) == 0 {
				ready = append(ready, w)
			} else {
				rest = append(rest, w)
			}
		}
		if len(ready) == 0 {
			break
		}
		for _, w := range ready {
			p.wish(ctx, w, done, force)
		}
		for _, w := range ready {
			done[w.i.Name] = w.part
		}
		queue = rest
	}
	for _, w := range queue {
		missing := unmet(w, done)
		registered := slices.DeleteFunc(slices.Clone(missing), func(name string) bool { return !known[name] })
		part := p.part(w.i, Wished)
		p.plan.Parts[part].Unmet, p.plan.Parts[part].Deferred = missing, true
		if len(registered) > 0 {
			p.plan.Parts[part].Unmet, p.plan.Parts[part].Deferred = registered, false
		}
	}
}

// unmet returns the dependencies of w that are not done.
func unmet(w *wish, done map[string]int) []string {
	var names []string
	for _, d := range w.depends {
		if _, ok := done[d]; !ok {
			names = append(names, d)
		}
	}
	return names
}

// wish plans one part of an automatic installation. The first that needs a build is preceded by the preparation of the
// kernel, without which none of those after it can be.
func (p *planner) wish(ctx context.Context, w *wish, done map[string]int, force bool) {
	if !p.Tree.Built(w.i) || len(w.stale) > 0 {
		p.prepare(Target{w.i.Kernel, w.i.Arch})
	}
	w.part = p.part(w.i, Wished)
	p.plan.Parts[w.part].Stale = w.stale
	for _, d := range w.depends {
		if n := done[d]; n >= 0 {
			p.plan.Parts[w.part].Needs = append(p.plan.Parts[w.part].Needs, n)
		}
	}
	if len(w.stale) > 0 {
		p.renew(ctx, w.i, w.part)
		return
	}
	if w.superseded {
		p.replace(ctx, w.i, w.part)
		return
	}
	p.install(ctx, w.i, w.part, force)
}

// replace plans to put the build of i in place of what is installed.
func (p *planner) replace(ctx context.Context, i dkms.Instance, part int) {
	p.uninstall(ctx, i, part, true)
	p.step(Step{Action: Install, Instance: i, Part: part, Replace: true})
	p.index(i, part)
}

// prepare plans the preparation of a kernel, once.
func (p *planner) prepare(t Target) {
	s := Step{Action: Prepare, Instance: dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}, Part: -1, Implied: true}
	if !p.planned(Prepare, s.Instance) {
		p.plan.Steps = append(p.plan.Steps, s)
	}
}

// renew plans to build i again and to put the result in place of what is installed, which stays until then.
func (p *planner) renew(ctx context.Context, i dkms.Instance, part int) {
	installed := p.Tree.Installed(i)
	p.step(Step{Action: Build, Instance: i, Part: part, Implied: true, Replace: true})
	p.built[i] = true
	if installed {
		p.uninstall(ctx, i, part, true)
	}
	p.step(Step{Action: Install, Instance: i, Part: part, Replace: installed})
	p.index(i, part)
	p.rebuild(ctx, i, part)
}

// match plans the installation of what is installed on another kernel (run_match in dkms.in).
func (p *planner) match(ctx context.Context, r Request) error {
	ms, err := p.Tree.Modules(dkms.Filter{})
	if err != nil {
		return err
	}
	t := r.target(0)
	for _, m := range ms {
		if p.Tree.Broken(m) {
			p.plan.Broken = append(p.plan.Broken, m)
			continue
		}
		if r.Module.Name != "" && r.Module.Name != m.Name || !p.Tree.Installed(dkms.Instance{Module: m, Kernel: r.Template.Kernel, Arch: t.Arch}) {
			continue
		}
		i := dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}
		part := p.part(i, Matched)
		p.follow(ctx, part)
		p.build(i, part, r.Force, false)
		p.install(ctx, i, part, r.Force)
	}
	return nil
}

// follow has a part wait for the parts before it that bring what its module depends on. What has failed there is found by
// the build.
func (p *planner) follow(ctx context.Context, part int) {
	c, err := p.registered(ctx, p.plan.Parts[part].Instance)
	if err != nil {
		return
	}
	for n, before := range p.plan.Parts[:part] {
		if slices.Contains(c.BuildDepends, before.Instance.Name) {
			p.plan.Parts[part].Follows = append(p.plan.Parts[part].Follows, n)
		}
	}
}

// vacate plans the removal of all builds for a kernel that goes away, or whose headers are being replaced (kernel_prerm and
// kernel_preinst in dkms.in). The indexes are written once, after all modules are gone.
func (p *planner) vacate(ctx context.Context, r Request) error {
	ms, err := p.Tree.Modules(dkms.Filter{})
	if err != nil {
		return err
	}
	t, why := r.target(0), Leaving
	if r.Wanted {
		why = Renewed
	}
	uninstalls := false
	for _, m := range ms {
		i := dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}
		if !p.Tree.Built(i) {
			continue
		}
		if r.Wanted {
			if c, err := p.registered(ctx, i); err != nil || !c.Autoinstall || p.Tree.BinariesOnly(m) {
				continue
			}
		}
		uninstalls = uninstalls || p.Tree.Installed(i)
		p.unbuild(ctx, i, p.part(i, why), true)
	}
	kernel := dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}
	if uninstalls {
		p.plan.Steps = append(p.plan.Steps, Step{Action: Index, Instance: kernel, Part: -1, Implied: true})
	}
	p.plan.Steps = append(p.plan.Steps, Step{Action: Prune, Instance: kernel, Part: -1, Implied: true})
	return nil
}

// rebuild plans the modules that were built with another version of i's module than the newest that is registered now, and
// that want to be built again then; cause is the part that installs i (check_and_rebuild_dependent_modules in dkms.in).
func (p *planner) rebuild(ctx context.Context, i dkms.Instance, cause int) {
	ms, err := p.Tree.Modules(dkms.Filter{})
	if err != nil {
		return
	}
	for _, m := range ms {
		d := dkms.Instance{Module: m, Kernel: i.Kernel, Arch: i.Arch}
		if m.Name == i.Name || !p.Tree.Added(m) || p.Tree.BinariesOnly(m) || !p.Tree.Built(d) || p.built[d] {
			continue
		}
		c, err := p.registered(ctx, d)
		if err != nil || !c.BuildDependsRebuild || !p.outdated(d, c) {
			continue
		}
		part := p.part(d, Rebuilt)
		p.plan.Parts[part].Needs = []int{cause}
		p.step(Step{Action: Uninstall, Instance: d, Part: part, Implied: true})
		p.index(d, part)
		p.built[d] = true
		p.step(Step{Action: Build, Instance: d, Part: part, Implied: true, Replace: true})
		p.step(Step{Action: Install, Instance: d, Part: part, Implied: true})
		p.index(d, part)
		p.rebuild(ctx, d, part)
	}
}

// outdated reports whether a module that d was built with is registered in another version now.
func (p *planner) outdated(d dkms.Instance, c *conf.Module) bool {
	for _, name := range c.BuildDepends {
		if now := p.newestVersion(name); now != "" && now != p.Tree.BuiltWith(d, name) {
			return true
		}
	}
	return false
}

// newestVersion returns the newest version of a module that is registered, or will be by what is planned already.
func (p *planner) newestVersion(name string) string {
	newest := p.Tree.NewestVersion(name)
	for _, s := range p.plan.Steps {
		m := s.Instance.Module
		if (s.Action == Add || s.Action == Load) && m.Name == name && (newest == "" || conf.CompareVersions(m.Version, newest) > 0) {
			newest = m.Version
		}
	}
	return newest
}
