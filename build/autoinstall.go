package build

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

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
	for _, w := range p.look(ctx, newest, t, sync) {
		known[w.i.Name] = true
		if w.fresh != nil {
			p.plan.Fresh = append(p.plan.Fresh, *w.fresh)
		}
		switch {
		case len(w.stale) > 0 || w.superseded:
		case w.installed:
			p.plan.Present = append(p.plan.Present, w.i)
			continue
		case sync && !p.plan.Request.Force && p.provided(ctx, w.i):
			p.plan.Provided = append(p.plan.Provided, w.i)
			continue
		}
		if !p.evaluate(ctx, w) {
			continue
		}
		if sync && p.excluded(ctx, w.i) { // it would be the same each time
			p.plan.Excluded = append(p.plan.Excluded, w.i)
			continue
		}
		queue = append(queue, w)
	}
	if sync && !p.plan.Request.Force {
		queue = slices.DeleteFunc(queue, func(w *wish) bool { return p.hopeless(ctx, w.i) })
	}
	p.inOrder(ctx, queue, known, p.plan.Request.Force)
}

// look finds out what there is of modules for a kernel; with sync also what is out of date.
func (p *planner) look(ctx context.Context, ms []dkms.Module, t Target, sync bool) []*wish {
	ws := make([]*wish, len(ms))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for n, m := range ms {
		w := &wish{i: dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}}
		ws[n] = w
		g.Go(func() error {
			w.installed = p.Tree.Installed(w.i) || p.weaklyInstalled(w.i)
			if sync && (w.installed || p.Tree.Built(w.i)) {
				p.stale(ctx, w)
				w.superseded = w.installed && p.Tree.Superseded(w.i)
			}
			return nil
		})
	}
	_ = g.Wait() // there are no errors
	return ws
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
	w.conf, w.depends = c, strings.Fields(strings.Join(c.BuildDepends, " "))
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
	conf    *conf.Module // nil if it cannot be used
	depends []string     // names of modules that must be installed before
	stale   []string     // what has changed since it was built, when it is built and that has to be done again
	made    dkms.Inputs  // what it was built from then
	fresh   *Fresh       // it looks touched and is the same
	part    int

	installed  bool
	superseded bool // it was built again since it was installed: that was cut off, or nobody asked for more
}

// inOrder plans the wishes in rounds: in each round those whose dependencies came in earlier rounds or are installed.
func (p *planner) inOrder(ctx context.Context, queue []*wish, known map[string]bool, force bool) {
	done := map[string]int{} // name to part; -1 for installed
	if len(queue) == 0 {
		return
	}
	for _, i := range slices.Concat(p.plan.Present, p.plan.Excluded) { // the latter stop nobody either
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
	needs := map[string][]string{}
	for _, w := range queue {
		needs[w.i.Name] = unmet(w, done)
	}
	for _, w := range queue {
		missing := needs[w.i.Name]
		registered := slices.DeleteFunc(slices.Clone(missing), func(name string) bool { return !known[name] })
		part := p.part(w.i, Wished)
		p.plan.Parts[part].Unmet, p.plan.Parts[part].Deferred = missing, true
		if len(registered) > 0 {
			p.plan.Parts[part].Unmet, p.plan.Parts[part].Deferred = registered, false
		}
		p.plan.Parts[part].Circle = circle(w.i.Name, needs)
	}
}

// circle returns the shortest way from a name back to itself through what each one needs, with the name at both ends; nil if
// there is none.
func circle(name string, needs map[string][]string) []string {
	from := map[string]string{}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, next := range needs[queue[0]] {
			if next == name {
				way := []string{name}
				for at := queue[0]; at != name; at = from[at] {
					way = append(way, at)
				}
				way = append(way, name)
				slices.Reverse(way)
				return way
			}
			if _, seen := from[next]; !seen {
				from[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
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
	p.plan.Parts[w.part].Stale, p.plan.Parts[w.part].Made = w.stale, w.made
	p.brings(w.part, w.conf)
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
		p.replace(w.i, w.part)
		return
	}
	p.install(ctx, w.i, w.part, force)
}

// replace plans to put the build of i in place of what is installed, file by file: it is never missing.
func (p *planner) replace(i dkms.Instance, part int) {
	p.step(Step{Action: Install, Instance: i, Part: part, Replace: p.Tree.Installed(i)})
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
	p.step(Step{Action: Build, Instance: i, Part: part, Implied: true, Replace: true})
	p.built[i] = true
	p.replace(i, part)
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
		p.build(ctx, i, part, r.Force, false)
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
	p.brings(part, c)
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
		p.brings(part, c)
		p.built[d] = true
		if p.plan.Request.Goal == Sync {
			p.renew(ctx, d, part)
			continue
		}
		p.renewTold(d, part)
		p.rebuild(ctx, d, part)
	}
}

// renewTold is renew in the words of dkms 3.4, which uninstalls before it builds. Here the build comes first, whatever is told
// first: until it has succeeded nothing is taken out, and nothing told of that.
func (p *planner) renewTold(i dkms.Instance, part int) {
	installed := p.Tree.Installed(i)
	uninstall := len(p.plan.Steps)
	p.step(Step{Action: Uninstall, Instance: i, Part: part, Implied: true, Replace: installed})
	p.index(i, part)
	build := len(p.plan.Steps)
	p.step(Step{Action: Build, Instance: i, Part: part, Implied: true, Replace: true})
	p.step(Step{Action: Install, Instance: i, Part: part, Implied: true, Replace: installed})
	p.index(i, part)
	if installed {
		p.plan.Steps[build].After = p.plan.Steps[uninstall].After
		p.plan.Steps[uninstall].After = []int{build}
		p.plan.Steps[build+1].After = []int{uninstall + 1}
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
