package build

import (
	"context"
	"fmt"
	"strings"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// Action is what a request asks for, and what a step does.
type Action int

// The actions. Import, Index and Finish occur in plans only.
const (
	Import    Action = iota // copy a source tree to where sources belong
	Add                     // register a module
	Build                   // make the kernel objects of an instance
	Install                 // put them into the kernel's module directory
	Uninstall               // take them out again
	Unbuild                 // delete them
	Remove                  // delete the registration
	Index                   // bring the module indexes of a kernel up to date
	Finish                  // run the administrator's post_transaction command
)

// String returns the word for the action: the verb of the command line where there is one.
func (a Action) String() string {
	return [...]string{"import", "add", "build", "install", "uninstall", "unbuild", "remove", "depmod", "post_transaction"}[a]
}

// Target is a kernel that a request is about.
type Target struct{ Kernel, Arch string }

// Source is a source tree to be imported: a directory with a dkms.conf, in a root that may be another than the one worked
// on (sources of an image usually lie outside of it).
type Source struct {
	Root *sysroot.Root
	Dir  string // inside Root
}

// Request says what is wanted.
type Request struct {
	Goal    Action // Add, Build, Install, Uninstall, Unbuild or Remove
	Module  dkms.Module
	Source  *Source // import this first; Module is then what its dkms.conf says
	Targets []Target
	Force   bool
}

// Reason says why a step has nothing to do.
type Reason int

// The reasons. NeverMeant is a module with BUILD_EXCLUSIVE directives that is not installed, which is nothing to mention.
// Merged is for indexes: a later step of the same plan covers the same kernel.
const (
	Needed Reason = iota
	AlreadyBuilt
	AlreadyInstalled
	NotBuilt
	NotInstalled
	NeverMeant
	Merged
)

// String returns the reason in words.
func (r Reason) String() string {
	return [...]string{"", "already built", "already installed", "not built", "not installed", "not meant for this kernel", "done by a later step"}[r]
}

// Step is one transition.
type Step struct {
	Action   Action
	Instance dkms.Instance // without kernel for Import, Add and Remove; without module for Index
	Source   *Source       // of Import
	Target   int           // which target of the request it serves; -1 for all
	Implied  bool          // serves another step and was not asked for by name
	Skip     Reason        // why there is nothing to do
	Replace  bool          // in place of what is there
	After    []int         // indexes of the steps that must have succeeded
}

// String describes the step in one line.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(s.Action.String())
	switch {
	case s.Instance.Name == "" && s.Instance.Kernel != "":
		fmt.Fprintf(&b, " for kernel %s", s.Instance.Kernel)
	case s.Instance.Kernel == "" && s.Instance.Name != "":
		fmt.Fprintf(&b, " %s", s.Instance.Module)
	case s.Instance.Name != "":
		fmt.Fprintf(&b, " %s", s.Instance)
	}
	if s.Source != nil {
		fmt.Fprintf(&b, " from %s", s.Source.Dir)
	}
	if s.Skip != Needed {
		fmt.Fprintf(&b, ": %s", s.Skip)
	}
	return b.String()
}

// Plan is what would be done for a request.
type Plan struct {
	Request Request
	Steps   []Step
}

// String lists the steps, one a line.
func (p *Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

// Plan says what has to be done for a request, from what is on disk now. It changes nothing.
//
// Its errors are those that make the whole request senseless, such as a source without dkms.conf. What may go wrong for one
// kernel is found by Run, step by step.
func (b *Builder) Plan(ctx context.Context, r Request) (*Plan, error) {
	p := &planner{tree: b.Tree, plan: &Plan{}, exclusive: func(i dkms.Instance) bool { return b.exclusive(ctx, i) }}
	if r.Source != nil {
		m, err := b.identify(ctx, r.Source, r.target(0))
		if err != nil {
			return nil, err
		}
		r.Module = m
		p.step(Step{Action: Import, Instance: dkms.Instance{Module: m}, Source: r.Source, Target: -1, Implied: true, Replace: r.Force})
	}
	if err := r.Module.Check(); err != nil {
		return nil, err
	}
	for _, t := range r.Targets {
		if err := (dkms.Instance{Module: r.Module, Kernel: t.Kernel, Arch: t.Arch}).Check(); err != nil {
			return nil, err
		}
	}
	p.plan.Request = r
	p.targets(r)
	p.mergeIndexes()
	if r.Goal >= Install && b.Framework.PostTransaction != "" {
		p.finish(r)
	}
	return p.plan, nil
}

// exclusive reports whether the registered dkms.conf of an instance has BUILD_EXCLUSIVE directives.
func (b *Builder) exclusive(ctx context.Context, i dkms.Instance) bool {
	k, err := b.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return false
	}
	c, err := b.load(ctx, i, b.Tree.ConfFile(i.Module), k)
	return err == nil && c.HasExclusive()
}

// target returns the n-th target, or none.
func (r Request) target(n int) Target {
	if n < len(r.Targets) {
		return r.Targets[n]
	}
	return Target{}
}

// planner collects the steps of a plan. It keeps account of what the steps so far will have changed.
type planner struct {
	tree *dkms.Tree
	plan *Plan

	exclusive func(dkms.Instance) bool // has the module BUILD_EXCLUSIVE directives?

	added bool            // an Add step is in the plan
	built map[Target]bool // kernels for which a Build step is in the plan
}

// step appends s, after the step before it for the same target, and returns its index.
func (p *planner) step(s Step) int {
	for n := len(p.plan.Steps) - 1; n >= 0; n-- {
		if before := p.plan.Steps[n]; before.Target == s.Target || before.Target == -1 {
			s.After = append(s.After, n)
			break
		}
	}
	p.plan.Steps = append(p.plan.Steps, s)
	return len(p.plan.Steps) - 1
}

func (p *planner) targets(r Request) {
	if r.Goal == Add {
		p.step(Step{Action: Add, Instance: dkms.Instance{Module: r.Module, Kernel: r.target(0).Kernel, Arch: r.target(0).Arch}, Target: -1})
		return
	}
	p.built = map[Target]bool{}
	if r.Source != nil {
		p.add(dkms.Instance{Module: r.Module, Kernel: r.target(0).Kernel, Arch: r.target(0).Arch})
	}
	for n, t := range r.Targets {
		i := dkms.Instance{Module: r.Module, Kernel: t.Kernel, Arch: t.Arch}
		switch r.Goal {
		case Build:
			p.build(i, n, r, false)
		case Install:
			p.install(i, n, r)
		case Uninstall:
			p.uninstall(i, n, false)
		case Unbuild, Remove:
			p.uninstall(i, n, true)
			s := Step{Action: Unbuild, Instance: i, Target: n, Implied: r.Goal == Remove}
			if !p.tree.Built(i) {
				s.Skip = NotBuilt
			}
			p.step(s)
		}
	}
	if r.Goal == Remove {
		s := Step{Action: Remove, Instance: dkms.Instance{Module: r.Module}, Target: -1}
		for n, before := range p.plan.Steps {
			if before.Action == Unbuild {
				s.After = append(s.After, n)
			}
		}
		p.plan.Steps = append(p.plan.Steps, s)
	}
}

// add plans the registration that a build or an installation needs.
func (p *planner) add(i dkms.Instance) {
	p.step(Step{Action: Add, Instance: i, Target: -1, Implied: true})
	p.added = true
}

// build plans what makes i built.
func (p *planner) build(i dkms.Instance, target int, r Request, implied bool) {
	key := Target{i.Kernel, i.Arch}
	have := p.tree.Built(i) || p.built[key]
	if have && (implied || !r.Force || p.built[key]) {
		if !implied {
			p.step(Step{Action: Build, Instance: i, Target: target, Skip: AlreadyBuilt})
		}
		return
	}
	if !p.added && !p.tree.Added(i.Module) {
		p.add(i)
	}
	p.step(Step{Action: Build, Instance: i, Target: target, Implied: implied, Replace: have})
	p.built[key] = true
}

// install plans what makes i installed.
func (p *planner) install(i dkms.Instance, target int, r Request) {
	installed := p.tree.Installed(i)
	key := Target{i.Kernel, i.Arch}
	switch twice := p.built[key] && !installed; {
	case installed && !r.Force || twice:
		p.step(Step{Action: Install, Instance: i, Target: target, Skip: AlreadyInstalled})
		return
	case installed:
		p.uninstall(i, target, true)
	}
	p.build(i, target, r, true)
	p.built[key] = true
	p.step(Step{Action: Install, Instance: i, Target: target, Replace: installed})
	p.index(i, target)
}

// uninstall plans what makes i uninstalled.
func (p *planner) uninstall(i dkms.Instance, target int, implied bool) {
	s := Step{Action: Uninstall, Instance: i, Target: target, Implied: implied}
	if !p.tree.Installed(i) {
		s.Skip = NotInstalled
		if p.exclusive(i) {
			s.Skip = NeverMeant
		}
		p.step(s)
		return
	}
	p.step(s)
	p.index(i, target)
}

// finish plans the post_transaction command, for when all other steps have succeeded.
func (p *planner) finish(r Request) {
	s := Step{Action: Finish, Instance: dkms.Instance{Kernel: r.target(0).Kernel, Arch: r.target(0).Arch}, Target: -1}
	for n := range p.plan.Steps {
		s.After = append(s.After, n)
	}
	p.plan.Steps = append(p.plan.Steps, s)
}

func (p *planner) index(i dkms.Instance, target int) {
	p.step(Step{Action: Index, Instance: dkms.Instance{Kernel: i.Kernel, Arch: i.Arch}, Target: target, Implied: true})
}

// mergeIndexes leaves one Index step for each kernel to be done: the last.
func (p *planner) mergeIndexes() {
	last := map[string]bool{}
	for n := len(p.plan.Steps) - 1; n >= 0; n-- {
		s := &p.plan.Steps[n]
		if s.Action != Index {
			continue
		}
		if last[s.Instance.Kernel] {
			s.Skip = Merged
		}
		last[s.Instance.Kernel] = true
	}
}

// identify reads the name and version of the module in a source tree.
func (b *Builder) identify(ctx context.Context, s *Source, t Target) (dkms.Module, error) {
	file := s.Dir + "/dkms.conf"
	k, err := b.kernel(t)
	if err != nil {
		return dkms.Module{}, err
	}
	l := b.loaderFor(s.Root)
	c, err := l.Module(ctx, conf.Source{Path: file}, target(k))
	if err != nil {
		return dkms.Module{}, b.confError(dkms.Instance{}, file, err)
	}
	if err := b.problems(c, file, false); err != nil {
		return dkms.Module{}, err
	}
	return dkms.Module{Name: c.Name, Version: c.Version}, nil
}
