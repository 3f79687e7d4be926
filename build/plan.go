package build

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
)

// Action is what a request asks for, and what a step does.
type Action int

// The actions. Those from Import to Remove are steps; Add to Remove are also goals of requests. Prepare, Index, Prune and
// Finish occur in plans only, and Autoinstall, Match, Vacate and Sync in requests only.
const (
	Import      Action = iota // copy a source tree to where sources belong
	Load                      // take over what an archive holds, and register it
	Add                       // register a module
	Build                     // make the kernel objects of an instance
	Install                   // put them into the kernel's module directory
	Uninstall                 // take them out again
	Unbuild                   // delete them
	Remove                    // delete the registration
	Prepare                   // look for the headers of a kernel and decide about signing
	Index                     // bring the module indexes of a kernel up to date
	Prune                     // delete empty directories of a kernel
	Finish                    // run the administrator's post_transaction command
	Autoinstall               // install every module that wants it into a kernel
	Match                     // install what is installed on another kernel
	Vacate                    // unbuild everything for a kernel that goes away
	Image                     // make a boot image anew; only in reports
	Sync                      // install every module that wants it into every kernel, and bring what is there up to date
)

// String returns the word for the action: the verb of the command line where there is one.
func (a Action) String() string {
	return [...]string{
		"import", "load", "add", "build", "install", "uninstall", "unbuild", "remove", "prepare", "depmod", "prune", "post_transaction",
		"autoinstall", "match", "vacate", "initramfs", "sync",
	}[a]
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
	Goal     Action
	Module   dkms.Module // not for Autoinstall, Vacate and Sync; for Match the name, or nothing for all
	Source   *Source     // import this first; Module is then what its dkms.conf says
	Archive  *Archive    // or load this, of which the same is true
	Targets  []Target    // one for Autoinstall, Match and Vacate
	Template Target      // of Match: the kernel to be matched
	Wanted   bool        // of Vacate: only modules that autoinstall would bring back
	Force    bool
}

// Reason says why a step has nothing to do.
type Reason int

// The reasons. NeverMeant is a module with BUILD_EXCLUSIVE directives that is not installed, which is nothing to mention.
// Merged is for indexes: a later step of the same plan covers the same kernel. InKernel is for Sync: what the kernel
// brings itself is as new.
const (
	Needed Reason = iota
	AlreadyBuilt
	AlreadyInstalled
	NotBuilt
	NotInstalled
	NeverMeant
	Merged
	InKernel
)

// String returns the reason in words.
func (r Reason) String() string {
	return [...]string{
		"", "already built", "already installed", "not built", "not installed", "not meant for this kernel", "done by a later step",
		"in the kernel in the same or a newer version",
	}[r]
}

// Step is one transition.
type Step struct {
	Action   Action
	Instance dkms.Instance // without kernel for Import and Remove; without module for Prepare, Index and Prune
	Source   *Source       // of Import
	Archive  *Archive      // of Load
	Part     int           // which part of the plan it belongs to; -1 for all
	Implied  bool          // serves another step and was not asked for by name
	Skip     Reason        // why there is nothing to do
	Replace  bool          // in place of what is there; of Uninstall: a later step puts something in its place, and it stays until then
	Known    bool          // of Add: the module was registered when the plan was made
	After    []int         // indexes of the steps that must have succeeded
}

// String describes the step in one line.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(s.Action.String())
	switch i := s.Instance; {
	case i.Name == "" && i.Kernel != "":
		fmt.Fprintf(&b, " for kernel %s", i.Kernel)
	case i.Kernel == "" && i.Name != "":
		fmt.Fprintf(&b, " %s", i.Module)
	case i.Name != "":
		fmt.Fprintf(&b, " %s", i)
	}
	if s.Source != nil {
		fmt.Fprintf(&b, " from %s", s.Source.Dir)
	}
	if s.Skip != Needed {
		fmt.Fprintf(&b, ": %s", s.Skip)
	}
	return b.String()
}

// Part is what a plan does for one module on one kernel. Its steps stand together, and its failure stops only the parts
// that need it.
type Part struct {
	Instance dkms.Instance
	Why      Cause
	Needs    []int    // parts that must not have failed
	Follows  []int    // parts that must have ended, whatever became of them
	Behind   []int    // parts with module files of the same names, which are installed before: the last one counts
	Unmet    []string // BUILD_DEPENDS that nothing in the plan brings; such a part has no steps
	Circle   []string // names of modules that need each other, from this one to itself, if that is why Unmet is not met
	Stale    []string // what has changed since the module was built, if that is why it is in the plan
	Deferred bool     // none of Unmet is a registered module: they may come later, or from elsewhere
	Excluded bool     // BUILD_EXCLUSIVE directives keep the module from being built; Run finds that too, and says so

	Made dkms.Inputs // what a stale build was made from
}

// Cause is why a part is in a plan.
type Cause int

// The causes.
const (
	Asked   Cause = iota // the request named the module
	Wished               // the module wants to be installed automatically
	Matched              // the module is installed on the kernel to be matched
	Leaving              // the kernel goes away
	Renewed              // the kernel is about to be installed over itself
	Rebuilt              // a module that this one was built with has another version now
)

// Plan is what would be done for a request.
type Plan struct {
	Request Request
	Parts   []Part
	Steps   []Step
	Broken  []dkms.Module   // registered modules without source, which Autoinstall, Match and Sync pass over
	Present []dkms.Instance // of Autoinstall and Sync: what is installed already

	Provided []dkms.Instance // of Sync: what is built, and not wanted because the kernel has it in the same or a newer version

	Excluded []dkms.Instance // of Sync: modules that do not want the kernel, by their BUILD_EXCLUSIVE directives
	Waiting  []WaitingKernel // of Sync: kernels without headers
	Hopeless []dkms.Failure  // of Sync: builds that have failed and would fail again
	Fresh    []Fresh         // of Sync: builds to be noted as up to date
}

// String lists the steps, one a line.
func (p *Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

// Reason says why a build is in the plan, as far as there is more to say than that it was asked for.
func (p *Plan) Reason(n int) string {
	s := p.Steps[n]
	switch {
	case s.Part < 0 || s.Skip != Needed || s.Action != Build:
		return ""
	case len(p.Parts[s.Part].Stale) > 0:
		return "out of date: " + strings.Join(p.Parts[s.Part].Stale, ", ")
	case p.Parts[s.Part].Why == Rebuilt:
		return "what it was built with has changed"
	}
	return ""
}

// Adds reports whether the plan registers a module.
func (p *Plan) Adds() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == Add || s.Action == Load })
}

// Plan says what has to be done for a request, from what is on disk now. It changes nothing.
//
// Its errors are those that make the whole request senseless, such as a source without dkms.conf. What may go wrong for one
// kernel is found by Run, step by step.
func (b *Builder) Plan(ctx context.Context, r Request) (*Plan, error) {
	p := &planner{Builder: b, plan: &Plan{}, built: map[dkms.Instance]bool{}, brought: map[file][]int{}}
	if r.Source != nil {
		m, err := b.identify(ctx, r.Source, r.target(0))
		if err != nil {
			return nil, err
		}
		r.Module = m
		p.step(Step{Action: Import, Instance: dkms.Instance{Module: m}, Source: r.Source, Part: -1, Implied: true, Replace: r.Force})
	}
	if r.Archive != nil {
		if err := p.unpacked(ctx, &r); err != nil {
			return nil, err
		}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	p.plan.Request = r
	if err := p.goal(ctx, r); err != nil {
		return nil, err
	}
	p.mergeIndexes()
	switch r.Goal {
	case Install, Uninstall, Unbuild, Remove:
		p.finish(r)
	}
	return p.plan, nil
}

// check sees to it that nothing but names becomes part of a path.
func (r Request) check() error {
	if r.Goal < Autoinstall { // the others are about all modules
		if err := r.Module.Check(); err != nil {
			return err
		}
	}
	for _, t := range r.Targets {
		if err := dkms.CheckKernel(t.Kernel); err != nil {
			return err
		}
		if err := dkms.CheckName("architecture", t.Arch); err != nil {
			return err
		}
	}
	return nil
}

// target returns the n-th target, or none.
func (r Request) target(n int) Target {
	if n < len(r.Targets) {
		return r.Targets[n]
	}
	return Target{}
}

// instance returns the module for the n-th target.
func (r Request) instance(n int) dkms.Instance {
	t := r.target(n)
	return dkms.Instance{Module: r.Module, Kernel: t.Kernel, Arch: t.Arch}
}

// planner collects the steps of a plan. It keeps account of what the steps so far will have changed.
type planner struct {
	*Builder
	plan  *Plan
	added bool                   // an Add step is in the plan
	built map[dkms.Instance]bool // instances for which a Build step is in the plan

	brought map[file][]int // parts that bring a module file
}

// file is a module file for a kernel.
type file struct{ kernel, name string }

// brings notes which module files a part brings, and has it installed behind others that bring the same: what is there in
// the end, and what is archived as the original of what, must not depend on whose build is done first.
func (p *planner) brings(part int, c *conf.Module) {
	if c == nil {
		return
	}
	here := &p.plan.Parts[part]
	for _, r := range c.Records {
		f := file{here.Instance.Kernel, r.DestName}
		for _, n := range p.brought[f] {
			if n != part && !slices.Contains(here.Behind, n) {
				here.Behind = append(here.Behind, n)
			}
		}
		p.brought[f] = append(p.brought[f], part)
	}
}

// part opens a new part and returns its number.
func (p *planner) part(i dkms.Instance, why Cause) int {
	p.plan.Parts = append(p.plan.Parts, Part{Instance: i, Why: why})
	return len(p.plan.Parts) - 1
}

// step appends s, after the step before it in the same part.
func (p *planner) step(s Step) {
	for n := len(p.plan.Steps) - 1; n >= 0; n-- {
		if before := p.plan.Steps[n]; before.Part == s.Part || before.Part == -1 && before.concerns(s.Instance.Kernel) {
			s.After = append(s.After, n)
			break
		}
	}
	p.plan.Steps = append(p.plan.Steps, s)
}

// concerns reports whether a step has to do with a kernel: all have but preparations of other ones.
func (s Step) concerns(release string) bool {
	return s.Action != Prepare || s.Instance.Kernel == release
}

func (p *planner) goal(ctx context.Context, r Request) error {
	switch r.Goal {
	case Autoinstall:
		return p.autoinstall(ctx, r)
	case Match:
		return p.match(ctx, r)
	case Vacate:
		return p.vacate(ctx, r)
	case Sync:
		return p.sync(ctx, r)
	case Add:
		if r.Archive == nil { // loading it has done that
			p.step(Step{Action: Add, Instance: r.instance(0), Part: -1})
		}
		return nil
	case Build, Install:
		if r.Source != nil {
			p.add(r.instance(0))
		}
	}
	for n := range r.Targets {
		i := r.instance(n)
		part := p.part(i, Asked)
		switch r.Goal {
		case Build:
			p.build(ctx, i, part, r.Force, false)
		case Install:
			p.install(ctx, i, part, r.Force)
		case Uninstall:
			p.uninstall(ctx, i, part, false)
		case Unbuild, Remove:
			p.unbuild(ctx, i, part, r.Goal == Remove)
		}
	}
	if r.Goal == Remove {
		s := Step{Action: Remove, Instance: dkms.Instance{Module: r.Module}, Part: -1}
		for n, before := range p.plan.Steps {
			if before.Action == Unbuild {
				s.After = append(s.After, n)
			}
		}
		p.plan.Steps = append(p.plan.Steps, s)
	}
	return nil
}

// add plans the registration that a build or an installation needs.
func (p *planner) add(i dkms.Instance) {
	p.step(Step{Action: Add, Instance: i, Part: -1, Implied: true, Known: p.Tree.Added(i.Module)})
	p.added = true
}

// build plans what makes i built.
func (p *planner) build(ctx context.Context, i dkms.Instance, part int, force, implied bool) {
	have := p.Tree.Built(i) || p.loads(i)
	if have && (implied || !force) || p.built[i] {
		if !implied {
			p.step(Step{Action: Build, Instance: i, Part: part, Skip: AlreadyBuilt})
		}
		return
	}
	if !p.added && !p.Tree.Added(i.Module) {
		p.add(i)
	}
	p.plan.Parts[part].Excluded = p.excluded(ctx, i)
	p.step(Step{Action: Build, Instance: i, Part: part, Implied: implied, Replace: have})
	p.built[i] = true
}

// install plans what makes i installed, and then what that makes out of date.
func (p *planner) install(ctx context.Context, i dkms.Instance, part int, force bool) {
	installed := p.Tree.Installed(i)
	if installed && !force || p.planned(Install, i) {
		p.step(Step{Action: Install, Instance: i, Part: part, Skip: AlreadyInstalled})
		return
	}
	if installed {
		p.step(Step{Action: Uninstall, Instance: i, Part: part, Implied: true, Replace: true})
		p.index(i, part)
	}
	p.build(ctx, i, part, force, true)
	p.step(Step{Action: Install, Instance: i, Part: part, Replace: installed})
	p.index(i, part)
	if !force {
		p.rebuild(ctx, i, part)
	}
}

// planned reports whether the plan has a step for an action on an instance.
func (p *planner) planned(a Action, i dkms.Instance) bool {
	return slices.ContainsFunc(p.plan.Steps, func(s Step) bool { return s.Action == a && s.Instance == i && s.Skip == Needed })
}

// uninstall plans what makes i uninstalled.
func (p *planner) uninstall(ctx context.Context, i dkms.Instance, part int, implied bool) {
	s := Step{Action: Uninstall, Instance: i, Part: part, Implied: implied}
	if !p.Tree.Installed(i) {
		s.Skip = NotInstalled
		if p.exclusive(ctx, i) {
			s.Skip = NeverMeant
		}
		p.step(s)
		return
	}
	p.step(s)
	if p.plan.Request.Goal != Vacate { // there the indexes come last
		p.index(i, part)
	}
}

// unbuild plans what makes i not built. Indexes that cannot be written, because the disk is full perhaps, do not keep a build
// from being deleted.
func (p *planner) unbuild(ctx context.Context, i dkms.Instance, part int, implied bool) {
	uninstall := len(p.plan.Steps)
	p.uninstall(ctx, i, part, true)
	s := Step{Action: Unbuild, Instance: i, Part: part, Implied: implied}
	if !p.Tree.Built(i) {
		s.Skip = NotBuilt
	}
	p.step(s)
	p.plan.Steps[len(p.plan.Steps)-1].After = []int{uninstall}
}

func (p *planner) index(i dkms.Instance, part int) {
	p.step(Step{Action: Index, Instance: dkms.Instance{Kernel: i.Kernel, Arch: i.Arch}, Part: part, Implied: true})
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

// finish plans the post_transaction command, for when all other steps have succeeded.
func (p *planner) finish(r Request) {
	if p.Framework.PostTransaction == "" {
		return
	}
	t := r.target(0)
	s := Step{Action: Finish, Instance: dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}, Part: -1}
	for n := range p.plan.Steps {
		s.After = append(s.After, n)
	}
	p.plan.Steps = append(p.plan.Steps, s)
}

// exclusive reports whether the registered dkms.conf of an instance has BUILD_EXCLUSIVE directives.
func (b *Builder) exclusive(ctx context.Context, i dkms.Instance) bool {
	c, err := b.registered(ctx, i)
	return err == nil && c.HasExclusive()
}

// excluded reports whether the BUILD_EXCLUSIVE directives of a registered module, or of the dkms.conf of the -c option, leave
// nothing of it to be built for a kernel. What cannot be read is for whoever builds to complain of.
func (b *Builder) excluded(ctx context.Context, i dkms.Instance) bool {
	file := b.Options.ConfFile
	if file == "" {
		file = b.Tree.ConfFile(i.Module)
	}
	k, err := b.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return false
	}
	c, err := b.load(ctx, i, file, k)
	return err == nil && unwanted(ctx, c, k)
}

// unwanted reports whether no record of a dkms.conf is to be built for a kernel.
func unwanted(ctx context.Context, c *conf.Module, k *kernel.Kernel) bool {
	if !c.HasExclusive() || len(c.Records) == 0 {
		return false
	}
	records, err := c.Buildable(ctx, target(k))
	return err == nil && len(records) == 0
}

// registered evaluates the dkms.conf of a registered module for a kernel.
func (b *Builder) registered(ctx context.Context, i dkms.Instance) (*conf.Module, error) {
	k, err := b.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return nil, err
	}
	return b.load(ctx, i, b.Tree.ConfFile(i.Module), k)
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
	if err := problems(c, file, false, b.Emit); err != nil {
		return dkms.Module{}, err
	}
	return dkms.Module{Name: c.Name, Version: c.Version}, nil
}
