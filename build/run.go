package build

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
)

// Run does what the plan says. A failed step stops the steps that need it and no others; what failed is in the report.
// When ctx ends, the step at work stops its children and takes back what it began, and no further step begins.
func (b *Builder) Run(ctx context.Context, p *Plan) *Report {
	r := &run{
		Builder: b, plan: p,
		prepared: map[Target]*preparation{},
		read:     map[string]bool{},
		dirty:    map[string][]dkms.Instance{},
		cleanup:  map[int][]func() error{},
		part:     -1,
	}
	for n := range p.Steps {
		r.results = append(r.results, r.step(ctx, n))
	}
	r.enter(-1)
	return &Report{Plan: p, Results: r.results}
}

// enter tells that the steps of another part begin. A part whose steps are all blocked is never entered.
func (r *run) enter(part int) {
	if part == r.part {
		return
	}
	if r.part >= 0 {
		r.Emit(PartEnded{Part: r.plan.Parts[r.part], Number: r.part})
	}
	r.part = part
	if part >= 0 && r.plan.Parts[part].Why == Matched {
		clear(r.prepared) // run_match of dkms.in has each build prepare its kernel
	}
	if part >= 0 {
		r.Emit(PartBegun{Part: r.plan.Parts[part], Number: part})
	}
}

// run is the state of one Run.
type run struct {
	*Builder
	plan     *Plan
	results  []Result
	part     int                        // the part at work, or -1
	prepared map[Target]*preparation    // kernels whose headers and signing are settled
	read     map[string]bool            // dkms.conf files that were reported on, see conf
	dirty    map[string][]dkms.Instance // by kernel: what changed since its indexes were written; installed instances
	cleanup  map[int][]func() error     // by part: what remains to be done after the indexes are written
	quiet    bool                       // the module at work is one of upstream's test modules

	interrupted bool // somebody has been told that the run was interrupted
}

func (r *run) step(ctx context.Context, n int) Result {
	s := r.plan.Steps[n]
	_, dirty := r.dirty[s.Instance.Kernel]
	due := s.Action == Index && s.Skip == Needed && dirty
	if r.blocked(s) {
		res := Result{Step: s, Outcome: Blocked}
		if due { // the steps that it was merged with did change modules
			res.Err = r.index(ctx, s, false)
		}
		return res
	}
	if err := ctx.Err(); err != nil && !due {
		res := Result{Step: s, Outcome: Failed, Err: &dkms.Error{Kind: dkms.Interrupted, Instance: s.Instance, Err: err}}
		if !r.interrupted { // told of once, for the first step that does not happen
			r.interrupted = true
			r.Emit(StepEnded(res))
		}
		return res
	}
	r.enter(s.Part)
	r.Emit(StepBegun{s})
	res := Result{Step: s, Outcome: Unneeded}
	if s.Skip == Needed || s.Skip == Merged {
		res.Err = interrupted(ctx, s, r.do(ctx, s))
		res.Outcome = outcome(res.Err)
		r.interrupted = res.Err != nil && ctx.Err() != nil
	}
	r.Emit(StepEnded(res))
	return res
}

// interrupted makes an error of kind Interrupted of what failed because ctx ended.
func interrupted(ctx context.Context, s Step, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &dkms.Error{Kind: dkms.Interrupted, Instance: s.Instance, Err: err}
}

func outcome(err error) Outcome {
	var e *dkms.Error
	switch {
	case err == nil:
		return Done
	case errors.As(err, &e) && e.Kind == dkms.Excluded:
		return Excluded
	}
	return Failed
}

// blocked reports whether a step that s needs has failed, or a part that its part needs. A module that does not want the
// kernel does not block those that depend on it.
func (r *run) blocked(s Step) bool {
	for _, n := range s.After {
		res := r.results[n]
		elsewhere := res.Step.Part != s.Part && (res.Outcome == Excluded || res.Outcome == Blocked && r.excluded(res.Step.Part))
		if res.Outcome != Done && res.Outcome != Unneeded && !elsewhere {
			return true
		}
	}
	if s.Part < 0 {
		return false
	}
	report := Report{Plan: r.plan, Results: r.results}
	for _, n := range r.plan.Parts[s.Part].Needs {
		if o, _ := report.part(n); o == Failed || o == Blocked {
			return true
		}
	}
	return false
}

// excluded reports whether a part ended because its module does not want the kernel.
func (r *run) excluded(part int) bool {
	report := Report{Plan: r.plan, Results: r.results}
	o, _ := report.part(part)
	return o == Excluded
}

func (r *run) do(ctx context.Context, s Step) error {
	switch s.Action {
	case Import:
		return r.Tree.Import(ctx, s.Source.Root, s.Source.Dir, s.Instance.Module, s.Replace, r.Emit)
	case Load:
		return r.unpack(ctx, s)
	case Add:
		return r.add(ctx, s)
	case Build:
		return r.build(ctx, s)
	case Install:
		return r.install(ctx, s)
	case Uninstall:
		return r.uninstall(ctx, s)
	case Unbuild:
		return r.Tree.Unbuild(s.Instance)
	case Remove:
		return errors.Join(r.Tree.Clean(s.Instance.Module), r.Tree.Forget(s.Instance.Module, r.Emit))
	case Prepare:
		k, err := r.kernel(Target{s.Instance.Kernel, s.Instance.Arch})
		if err != nil {
			return err
		}
		_, err = r.prepare(ctx, k)
		return err
	case Index:
		return r.index(ctx, s, true)
	case Prune:
		return r.Tree.Prune(s.Instance.Kernel)
	case Finish:
		return r.finish(ctx, s)
	}
	return fmt.Errorf("no such action: %d", s.Action)
}

// add registers a module. A failing POST_ADD leaves it registered; its status counts only when the module was to be added,
// not when a build needed that.
func (r *run) add(ctx context.Context, s Step) error {
	if err := r.Tree.CheckAdd(s.Instance.Module); err != nil {
		return err
	}
	file := r.Options.ConfFile
	if file == "" {
		file = r.Tree.SourceDir(s.Instance.Module) + "/dkms.conf"
	}
	c, _, err := r.conf(ctx, s.Instance, file, true)
	if err != nil {
		return err
	}
	if err := r.Tree.Add(s.Instance.Module, r.Emit); err != nil {
		return err
	}
	err = r.script(ctx, s.Instance, "post_add", c.PostAdd)
	if s.Implied && ctx.Err() == nil {
		return nil
	}
	return err
}

// conf evaluates the dkms.conf of an instance: the given file, or that of the -c option, or the registered one. Deprecated
// directives and --directive are told of once for each file and instance, other problems each time (read_conf_strict and
// its memory in dkms.in).
func (r *run) conf(ctx context.Context, i dkms.Instance, file string, strict bool) (*conf.Module, *kernel.Kernel, error) {
	named := file
	if file == "" {
		file, named = r.Tree.ConfFile(i.Module), r.Options.ConfFile
		if r.Options.ConfFile != "" {
			file = r.Options.ConfFile
		}
	}
	k, err := r.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return nil, nil, err
	}
	c, err := r.load(ctx, i, file, k)
	if err != nil {
		return nil, nil, err
	}
	r.quiet = quiet(c)
	key := i.String() + "\x00" + file
	if resolved, err := r.Root.Follow(file); err == nil {
		key = i.String() + "\x00" + resolved
	}
	if !r.read[key] {
		for _, d := range r.Conf.DirectiveEnv() {
			name, value, _ := strings.Cut(d, "=")
			r.Emit(DirectiveSet{name, value})
		}
		if strict {
			for _, d := range c.Deprecated {
				r.Emit(DeprecatedDirective{d})
			}
		}
	}
	if err := r.problems(c, named, strict); err != nil {
		return nil, nil, err
	}
	r.read[key] = true
	return c, k, nil
}

// placements returns where the records of i that are built for its kernel belong. With every record it is for removing,
// where it does not matter what is built.
func (r *run) placements(ctx context.Context, c *conf.Module, k *kernel.Kernel, every bool) ([]dkms.Placement, error) {
	compression, err := k.Compression()
	if err != nil {
		return nil, err
	}
	var records []int
	if every {
		for n := range c.Records {
			records = append(records, n)
		}
	} else if records, err = c.Buildable(ctx, target(k)); err != nil {
		return nil, err
	}
	return r.Tree.Placements(c, records, ".ko"+compression.Suffix()), nil
}
