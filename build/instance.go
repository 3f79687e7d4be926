package build

import (
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"dkms-go/build/kbuild"
	"dkms-go/build/sign"
	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/kmod"
)

// build makes the kernel objects of an instance (do_build in dkms.in). Whatever fails, the build result that is there
// already stays as it is; make.log stays in the build directory.
func (w *work) build(ctx context.Context, s Step) error {
	i := s.Instance
	c, k, err := w.conf(ctx, i, "", true)
	if err != nil {
		return err
	}
	records, err := c.Buildable(ctx, target(k))
	if err != nil {
		return err
	}
	if len(records) == 0 && c.HasExclusive() && len(c.Records) > 0 {
		return &dkms.Error{Kind: dkms.Excluded, Instance: i, Subject: w.Tree.BaseDir(i)}
	}
	if err := kbuild.CheckSource(w.Root, w.Tree.SourceLink(i.Module)); err != nil {
		return &dkms.Error{Kind: dkms.SourceEmpty, Instance: i, Subject: w.Tree.SourceLink(i.Module), Err: err}
	}
	p, err := w.prepare(ctx, k)
	if err != nil {
		return err
	}
	if err := w.checkDepends(i, c); err != nil {
		return err
	}
	in, err := w.inputs(ctx, i, c, k)
	if err != nil {
		return err
	}
	tree, err := kbuild.Build(ctx, w.job(i, c, k, records))
	if err != nil {
		err = w.remember(ctx, i, in, w.explain(buildError(i, err)))
		var e *dkms.Error
		if errors.As(err, &e) && e.Kind != dkms.ScriptFailed && ctx.Err() == nil {
			w.apport(ctx, i)
		}
		return err
	}
	if err := w.collect(ctx, i, c, k, p, tree, in); err != nil {
		return errors.Join(err, tree.Keep())
	}
	return w.conclude(ctx, i, tree)
}

// job describes the make run of an instance.
func (w *work) job(i dkms.Instance, c *conf.Module, k *kernel.Kernel, records []int) kbuild.Job {
	return kbuild.Job{
		Root: w.Root, Runner: w.Runner,
		Name: i.Name, Version: i.Version, Conf: c, Records: records, Kernel: k,
		Source: w.Tree.SourceLink(i.Module), BuildDir: w.Tree.BuildDir(i.Module), Overrides: overrides(i.Module),
		Jobs: w.Options.Jobs, Jobserver: w.workshop.tokens, Private: w.workshop.private, Began: w.workshop.began, Yields: w.yields,
		Timeout: w.timeout(), Env: w.Env, BuildEnvironment: w.Framework.BuildEnvironment,
		Release: w.Release, Quiet: quiet(c), Now: w.Now, Report: w.task, Stderr: w.Stderr,
	}
}

// yields reports whether a step after this one in the plan has left its build directory already, at the place for one that
// has failed: the last one stays, whichever fails first.
func (w *work) yields() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.plan.Steps[w.number].Instance.Module
	if n, ok := w.left[m]; ok && n > w.number {
		return true
	}
	w.left[m] = w.number
	return false
}

// overrides is where an administrator keeps patches and scripts for a module.
func overrides(m dkms.Module) string { return path.Join("/etc/dkms", m.Name) }

// quiet reports whether the module is one of upstream's test modules, whose progress is not shown as dots.
func quiet(c *conf.Module) bool {
	ok, err := path.Match("dkms*_test", c.Name)
	return err == nil && ok
}

// task passes the events of a make run on.
func (w *work) task(e kbuild.Event) {
	switch e := e.(type) {
	case kbuild.Begin:
		w.Emit(TaskBegun{Description: e.Description, Command: e.Command, Quiet: e.Quiet})
	case kbuild.End:
		w.Emit(TaskEnded{Command: e.Command, Status: e.Status})
	case kbuild.NotExecutable:
		w.Emit(ScriptNotExecutable{Name: e.Script})
	}
}

// checkDepends sees to it that every module of BUILD_DEPENDS is installed, in any version, for the same kernel.
func (w *work) checkDepends(i dkms.Instance, c *conf.Module) error {
	var missing []string
	for _, name := range c.BuildDepends {
		if !w.anyInstalled(name, i) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case w.Options.Force:
		w.Emit(DependsForced{Instance: i, Missing: missing})
		return nil
	}
	return &dkms.Error{Kind: dkms.DependsMissing, Instance: i, Detail: missing}
}

func (w *work) anyInstalled(name string, i dkms.Instance) bool {
	ms, err := w.Tree.Modules(dkms.Filter{Name: name})
	return err == nil && slices.ContainsFunc(ms, func(m dkms.Module) bool {
		return w.Tree.Added(m) && w.Tree.Installed(dkms.Instance{Module: m, Kernel: i.Kernel, Arch: i.Arch})
	})
}

// collect takes the module files from the build directory into the registry: stripped, signed, compressed.
func (w *work) collect(ctx context.Context, i dkms.Instance, c *conf.Module, k *kernel.Kernel, p *preparation, tree *kbuild.Tree, in dkms.Inputs) error {
	compression, err := k.Compression()
	if err != nil {
		return err
	}
	stage, err := w.Tree.Stage(i)
	if err != nil {
		return err
	}
	dir := path.Join(stage.Dir(), "module")
	err = w.fill(ctx, dir, i, c, p, tree, compression)
	if err == nil && c.BuildDependsRebuild && !w.Options.Force {
		err = w.noteDepends(stage.Dir(), c)
	}
	if err == nil {
		err = stage.NoteInputs(in)
	}
	if err == nil { // POST_BUILD will add to it
		err = w.Root.Copy(tree.Log(), path.Join(stage.Dir(), "log", "make.log"), 0o644)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		stage.Discard()
		return err
	}
	return errors.Join(w.Tree.ForgetFailure(i), stage.Commit())
}

// explain adds what the log of a build says about its failure.
func (w *work) explain(failure error) error {
	var e *dkms.Error
	if !errors.As(failure, &e) || e.Log == "" {
		return failure
	}
	log, err := w.Root.Open(w.ownLog(e))
	if err != nil {
		return failure
	}
	defer log.Close()
	d := kbuild.Diagnose(log)
	w.placeFull(e.Instance, &d)
	e.Diagnosis = dkms.Diagnosis{Cause: string(d.Cause), Subject: d.Subject, Lines: d.Lines}
	return failure
}

// ownLog is where the log of a build that has failed lies. At the place that people are told of there may be that of another
// kernel by now.
func (w *work) ownLog(e *dkms.Error) string {
	own := path.Join(kbuild.PrivateDir(w.Tree.BuildDir(e.Instance.Module), e.Instance.Kernel, e.Instance.Arch), "make.log")
	if _, err := w.Root.Stat(own); e.Log == "" || !w.workshop.private || err != nil {
		return e.Log
	}
	return own
}

// remember notes that a build has failed, so that nothing tries it again until something has changed. An interruption is no
// failure.
func (w *work) remember(ctx context.Context, i dkms.Instance, in dkms.Inputs, failure error) error {
	if ctx.Err() != nil {
		return failure
	}
	f := dkms.Failure{Instance: i, Inputs: in, Message: failure.Error(), Time: w.Now()}
	var e *dkms.Error
	if errors.As(failure, &e) {
		f.Log, f.Diagnosis = w.ownLog(e), e.Diagnosis
	}
	if w.full() || dkms.IsFull(failure) || f.Diagnosis.Cause == string(kbuild.CauseDiskFull) {
		f.Inputs = dkms.Inputs{} // nothing is like that, so it is tried again
	}
	if err := w.Tree.NoteFailure(f); err != nil {
		return errors.Join(failure, err)
	}
	return failure
}

// noteDepends notes the versions of the modules that this build was made with, so that other ones can be noticed.
func (w *work) noteDepends(dir string, c *conf.Module) error {
	for _, name := range c.BuildDepends {
		if err := dkms.CheckName("BUILD_DEPENDS element", name); err != nil {
			return err
		}
		if err := w.Tree.NoteBuiltWith(dir, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) fill(ctx context.Context, dir string, i dkms.Instance, c *conf.Module, p *preparation, tree *kbuild.Tree, compression kmod.Compression) error {
	if f := tree.Symvers(); f != "" {
		if err := w.Root.Copy(f, path.Join(dir, "Module.symvers"), 0o644); err != nil {
			return err
		}
	}
	for _, product := range tree.Products() {
		if _, err := w.Root.Stat(tree.Outside(product.Path)); err != nil {
			w.Emit(ProductGone{Path: product.Path})
			return &dkms.Error{Kind: dkms.StageFailed, Instance: i, Subject: c.Records[product.Record].DestName, Detail: []string{dir}, Err: err}
		}
		file, err := w.finishProduct(ctx, i, c, p, tree, product, compression)
		if err != nil {
			return err
		}
		suffix := ".ko" + kmod.CompressionOf(file).Suffix()
		if err := w.Root.Copy(tree.Outside(file), path.Join(dir, c.Records[product.Record].DestName+suffix), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// finishProduct strips, signs and compresses a module file where it was built and returns its name then. Failing to strip
// or to compress is no failure of the build.
func (w *work) finishProduct(ctx context.Context, i dkms.Instance, c *conf.Module, p *preparation, tree *kbuild.Tree, product kbuild.Product, compression kmod.Compression) (string, error) {
	if c.Records[product.Record].Strip {
		_ = tree.Strip(ctx, product.Path)
	}
	if p.signer != nil {
		w.Emit(Signing{Path: product.Path})
		err := w.sign(ctx, p.signer.Inside(w.signRunner(tree.Place), tree.Outside), product.Path)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			w.noteUnsigned(i)
			w.Emit(SigningFailed{Path: product.Path, Output: outputOf(err)})
		}
	}
	file, _ := tree.Compress(ctx, product.Path, string(compression), compressOptions(w.Framework, compression))
	return file, ctx.Err()
}

// sign signs a module file when it is its turn to keep a processor busy.
func (w *work) sign(ctx context.Context, signer *sign.Signer, abs string) error {
	release, err := w.workshop.token(ctx)
	if err != nil {
		return err
	}
	defer release()
	return signer.Sign(ctx, abs)
}

// timeout is how long the commands of one build may take; zero is for ever.
func (w *work) timeout() time.Duration {
	if w.Settings == nil {
		return 0
	}
	return w.Settings.Build.Timeout.Duration
}

// compressOptions are the administrator's options for the program of a compression.
func compressOptions(f *conf.Framework, c kmod.Compression) string {
	switch c {
	case kmod.Gzip:
		return f.CompressGzip
	case kmod.Xz:
		return f.CompressXz
	case kmod.Zstd:
		return f.CompressZstd
	}
	return ""
}

// conclude runs POST_BUILD, which finds the build result in place, and keeps the log. Should the script fail, the result
// stays, as it does with dkms 3.4, and so does the build directory.
func (w *work) conclude(ctx context.Context, i dkms.Instance, tree *kbuild.Tree) error {
	scriptErr := tree.PostBuild(ctx)
	if ctx.Err() != nil {
		return scriptErr
	}
	if err := w.Root.Copy(tree.Log(), path.Join(w.Tree.BaseDir(i), "log", "make.log"), 0o644); err != nil && scriptErr == nil {
		return errors.Join(err, tree.Discard())
	}
	if scriptErr != nil {
		return buildError(i, scriptErr)
	}
	return tree.Discard()
}

// buildError lifts an error of kbuild.
func buildError(i dkms.Instance, err error) error {
	var (
		timeout *kbuild.TimeoutError
		makeErr *kbuild.MakeError
		patch   *kbuild.PatchError
		script  *kbuild.ScriptError
		product *kbuild.MissingProductError
	)
	switch {
	case errors.As(err, &timeout):
		return &dkms.Error{Kind: dkms.BuildTimedOut, Instance: i, Subject: timeout.After.String(), Detail: []string{timeout.Step}, Log: timeout.Log, Err: err}
	case errors.As(err, &makeErr):
		return &dkms.Error{Kind: dkms.MakeFailed, Instance: i, Status: makeErr.Status, Log: makeErr.Log, Err: err}
	case errors.As(err, &patch):
		kind := map[kbuild.PatchProblem]dkms.Kind{
			kbuild.PatchDotDot: dkms.PatchBadPath, kbuild.PatchMissing: dkms.PatchMissing, kbuild.PatchFailed: dkms.PatchFailed,
		}[patch.Problem]
		return &dkms.Error{Kind: kind, Instance: i, Subject: patch.Name, Detail: []string{patch.Dir}, Log: patch.Log, Err: err}
	case errors.As(err, &script):
		return &dkms.Error{Kind: dkms.ScriptFailed, Instance: i, Subject: script.Name, Status: script.Status, Log: script.Log, Err: err}
	case errors.As(err, &product):
		return &dkms.Error{Kind: dkms.ProductMissing, Instance: i, Subject: product.Name, Log: product.Log, Err: err}
	}
	return err
}
