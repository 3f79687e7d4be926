package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"dkms-go/build/kbuild"
	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
)

// Run does what the plan says: steps that do not need each other at the same time, see Plan.waits. A failed step stops the
// steps that need it and no others; what failed is in the report. Events arrive in the order of the plan, whichever step
// is done first.
//
// When ctx ends, the steps at work stop their children and take back what they began, and no further step begins.
func (b *Builder) Run(ctx context.Context, p *Plan) *Report {
	r := &run{
		Builder: b, plan: p,
		sequence: newSequence(p, b.Emit),
		results:  make([]Result, len(p.Steps)),
		steps:    make([]*progress, len(p.Steps)),
		prepared: map[preparing]*preparation{},
		read:     map[string]string{},
		dirty:    map[string]map[dkms.Instance]bool{},
		touches:  map[string][]touch{},
		cleanup:  map[int][]func(dkms.Emit) error{}, lasts: map[string]bool{},
		packaged: map[string]bool{}, quiet: map[int]bool{}, left: map[dkms.Module]int{},
		late: map[Target]*preparation{}, notSigned: map[dkms.Instance]bool{},
	}
	for n := range r.steps {
		r.steps[n] = newProgress()
	}
	for _, f := range p.Fresh {
		b.confirm(ctx, f)
	}
	b.watch(-1, RunBegun{p})
	wide := p.wide()
	shop, err := b.openWorkshop(ctx, p, wide)
	if err != nil {
		return r.refuse(err)
	}
	defer shop.close()
	r.workshop = shop
	var g errgroup.Group
	for n, before := range p.waits(wide, shop.private) {
		g.Go(func() error {
			for _, m := range before {
				<-r.steps[m].ended
			}
			r.begin(ctx, n, wide)
			return nil
		})
	}
	_ = g.Wait() // what failed is in the results
	r.sequence.close()
	r.refreshImages(ctx)
	b.watch(-1, RunEnded{})
	return &Report{Plan: p, Results: r.results}
}

func (b *Builder) watch(n int, e dkms.Event) {
	if b.Watch != nil {
		b.Watch(n, e)
	}
}

// refuse reports that nothing could be begun.
func (r *run) refuse(err error) *Report {
	for n, s := range r.plan.Steps {
		r.results[n] = Result{Step: s, Outcome: Blocked}
	}
	if len(r.results) > 0 {
		res := &r.results[0]
		res.Outcome, res.Err = Failed, r.Tree.Full(dkms.Instance{}, dkms.SpaceForRecords, err)
		r.Emit(StepEnded(*res))
	}
	r.watch(-1, RunEnded{})
	return &Report{Plan: r.plan, Results: r.results}
}

// run is what the steps of one Run share.
type run struct {
	*Builder
	plan     *Plan
	sequence *sequence
	steps    []*progress
	workshop *workshop

	mu        sync.Mutex
	results   []Result
	prepared  map[preparing]*preparation        // kernels whose headers and signing are settled
	late      map[Target]*preparation           // kernels whose signing alone is settled
	notSigned map[dkms.Instance]bool            // built in this run, and could not be signed
	read      map[string]string                 // dkms.conf files that were reported on, by what path, see conf
	touches   map[string][]touch                // by kernel: what its boot image may have to follow
	dirty     map[string]map[dkms.Instance]bool // by kernel: what changed since its indexes were written; installed instances
	lasts     map[string]bool                   // by kernel: whether changes of this run cannot be taken back
	cleanup   map[int][]func(dkms.Emit) error   // by part: what remains to be done after the indexes are written
	left      map[dkms.Module]int               // the step whose build directory is left at T/M/V/build, because it has failed
	packaged  map[string]bool                   // directories of modules that packages own, as far as anybody asked
	quiet     map[int]bool                      // by part: the module is one of upstream's test modules

	installing perKernel
}

// progress is how far a step is, for those that wait for it.
type progress struct {
	ended    chan struct{}
	prepared chan struct{} // the kernel is prepared, or this step is not going to do that
	once     sync.Once
}

func newProgress() *progress {
	return &progress{ended: make(chan struct{}), prepared: make(chan struct{})}
}

func (p *progress) settle() { p.once.Do(func() { close(p.prepared) }) }

func (p *progress) end() {
	p.settle()
	close(p.ended)
}

// perKernel lets one step at a time change the module directory of a kernel.
type perKernel struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

func (l *perKernel) of(release string) *sync.Mutex {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks = map[string]*sync.Mutex{}
	}
	if l.locks[release] == nil {
		l.locks[release] = &sync.Mutex{}
	}
	return l.locks[release]
}

// work is one step at work. Its events and the output of its programs go where its place in the plan is.
type work struct {
	*run
	number         int
	Emit           dkms.Emit
	Stdout, Stderr io.Writer
}

// begin does a step and notes what became of it. Where several steps are at work, what their programs print becomes events.
func (r *run) begin(ctx context.Context, n int, wide bool) {
	turn := r.sequence.emitter(n)
	emit := func(e dkms.Event) {
		r.watch(n, e)
		turn(e)
	}
	w := &work{run: r, number: n, Emit: emit, Stdout: r.Stdout, Stderr: r.Stderr}
	if wide {
		w.Stdout, w.Stderr = &printing{w.Emit, false}, &printing{w.Emit, true}
		if oneFile(r.Stdout, r.Stderr) {
			w.Stderr = w.Stdout // one pipe for both: the order of what a program writes to them is visible there
		}
	}
	res := w.step(ctx)
	if res.Outcome == Blocked {
		r.watch(n, StepEnded(res))
	}
	r.mu.Lock()
	r.results[n] = res
	r.mu.Unlock()
	r.sequence.end(n)
	r.steps[n].end()
}

func (w *work) step(ctx context.Context) Result {
	s := w.plan.Steps[w.number]
	due := s.Action == Index && s.Skip == Needed && w.changes(s.Instance.Kernel)
	if w.blocked(s) {
		res := Result{Step: s, Outcome: Blocked}
		if due { // the steps that it was merged with did change modules
			res.Err = w.roomy(s, w.index(ctx, s, false))
		}
		return res
	}
	if err := ctx.Err(); err != nil && !due {
		res := Result{Step: s, Outcome: Failed, Err: &dkms.Error{Kind: dkms.Interrupted, Instance: s.Instance, Err: err}}
		w.Emit(StepEnded(res))
		return res
	}
	w.Emit(StepBegun{s})
	res := Result{Step: s, Outcome: Unneeded}
	if s.Skip == Needed || s.Skip == Merged {
		res.Err = w.roomy(s, interrupted(ctx, s, w.take(ctx, s)))
		res.Outcome = outcome(res.Err)
		var meanwhile *doneMeanwhileError
		if errors.As(res.Err, &meanwhile) {
			res.Step.Skip, res.Outcome, res.Err = meanwhile.why, Unneeded, nil
		}
	}
	w.Emit(StepEnded(res))
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
	r.mu.Lock()
	defer r.mu.Unlock()
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

// excluded reports whether a part ended because its module does not want the kernel. The caller holds mu.
func (r *run) excluded(part int) bool {
	report := Report{Plan: r.plan, Results: r.results}
	o, _ := report.part(part)
	return o == Excluded
}

func (w *work) do(ctx context.Context, s Step) error {
	switch s.Action {
	case Import:
		return w.Tree.Import(ctx, s.Source.Root, s.Source.Dir, s.Instance.Module, s.Replace, w.Emit)
	case Load:
		return w.unpack(ctx, s)
	case Add:
		return w.add(ctx, s)
	case Build:
		return w.build(ctx, s)
	case Install, Uninstall:
		lock := w.installing.of(s.Instance.Kernel)
		lock.Lock()
		defer lock.Unlock()
		if s.Action == Install {
			return w.install(ctx, s)
		}
		return w.uninstall(ctx, s)
	case Unbuild:
		return w.Tree.Unbuild(s.Instance)
	case Remove:
		return errors.Join(w.Tree.Clean(s.Instance.Module), w.Tree.Forget(s.Instance.Module, w.Emit))
	case Prepare:
		k, err := w.kernel(Target{s.Instance.Kernel, s.Instance.Arch})
		if err != nil {
			return err
		}
		_, err = w.prepare(ctx, k)
		return err
	case Index:
		return w.index(ctx, s, true)
	case Prune:
		return w.leave(s.Instance.Kernel, s.Instance.Arch)
	case Finish:
		return w.finish(ctx, s)
	}
	return fmt.Errorf("no such action: %d", s.Action)
}

// leave deletes what else there is about a kernel that goes: what is noted, what is cached, logs of builds that failed, empty
// directories. One that comes back under its name at once may have its logs.
func (w *work) leave(release, arch string) error {
	errs := []error{w.Tree.ForgetFailures(release, arch), w.unnote(release), w.indexer().Forget(release)}
	if !w.plan.Request.Wanted {
		ms, err := w.Tree.Modules(dkms.Filter{})
		errs = append(errs, err)
		for _, m := range ms {
			errs = append(errs, w.Root.RemoveAll(kbuild.PrivateDir(w.Tree.BuildDir(m), release, arch)))
		}
	}
	return errors.Join(append(errs, w.Tree.Prune(release))...)
}

// add registers a module. A failing POST_ADD leaves it registered; its status counts only when the module was to be added,
// not when a build needed that. Who names the directory of a module that is registered makes a mistake; who was only
// overtaken by another run does not.
func (w *work) add(ctx context.Context, s Step) error {
	if err := w.Tree.CheckAdd(s.Instance.Module); err != nil {
		if s.Implied && !s.Known && w.Tree.Added(s.Instance.Module) {
			return &doneMeanwhileError{Needed}
		}
		return err
	}
	file := w.Options.ConfFile
	if file == "" {
		file = w.Tree.SourceDir(s.Instance.Module) + "/dkms.conf"
	}
	c, _, err := w.conf(ctx, s.Instance, file, true)
	if err != nil {
		return err
	}
	if err := w.register(ctx, s); err != nil {
		return err
	}
	err = w.script(ctx, s.Instance, "post_add", c.PostAdd)
	if s.Implied && ctx.Err() == nil {
		return nil
	}
	return err
}

// conf evaluates the dkms.conf of an instance: the given file, or that of the -c option, or the registered one. A file that
// has another name as well, as after an add, is evaluated under its first one, so that what it prints is printed once.
// Deprecated directives and --directive are told of once for each file and instance, other problems each time
// (read_conf_strict and its memory in dkms.in).
func (w *work) conf(ctx context.Context, i dkms.Instance, file string, strict bool) (*conf.Module, *kernel.Kernel, error) {
	named := file
	if file == "" {
		file, named = w.Tree.ConfFile(i.Module), w.Options.ConfFile
		if w.Options.ConfFile != "" {
			file = w.Options.ConfFile
		}
	}
	k, err := w.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return nil, nil, err
	}
	key := i.String() + "\x00" + file
	if resolved, err := w.Root.Follow(file); err == nil {
		key = i.String() + "\x00" + resolved
	}
	first, told := w.told(key)
	if told {
		file = first
	}
	c, err := w.load(ctx, i, file, k)
	if err != nil {
		return nil, nil, err
	}
	w.hush(c)
	if !told {
		for _, d := range w.Conf.DirectiveEnv() {
			name, value, _ := strings.Cut(d, "=")
			w.Emit(DirectiveSet{name, value})
		}
		if strict {
			for _, d := range c.Deprecated {
				w.Emit(DeprecatedDirective{d})
			}
		}
	}
	if err := problems(c, named, strict, w.Emit); err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	w.read[key] = file
	w.mu.Unlock()
	return c, k, nil
}

// told reports whether a dkms.conf was reported on, and by what path it was read then.
func (r *run) told(key string) (file string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file, ok = r.read[key]
	return file, ok
}

// hush notes whether the module of the step's part is one whose progress is not shown.
func (w *work) hush(c *conf.Module) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quiet[w.plan.Steps[w.number].Part] = quiet(c)
}

// hushed reports whether progress is not shown. A step of no part follows the last part before it.
func (w *work) hushed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := w.number; n >= 0; n-- {
		if q, ok := w.quiet[w.plan.Steps[n].Part]; ok {
			return q
		}
	}
	return false
}

// placements returns where the records of i that are built for its kernel belong. With every record it is for removing,
// where it does not matter what is built.
func (b *Builder) placements(ctx context.Context, c *conf.Module, k *kernel.Kernel, every bool) ([]dkms.Placement, error) {
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
	return b.Tree.Placements(c, records, ".ko"+compression.Suffix()), nil
}
