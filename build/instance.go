package build

import (
	"context"
	"errors"
	"path"
	"slices"

	"dkms-go/build/kbuild"
	"dkms-go/build/sign"
	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/kmod"
)

// build makes the kernel objects of an instance (do_build in dkms.in). Whatever fails, the build result that is there
// already stays as it is; make.log stays in the build directory.
func (r *run) build(ctx context.Context, s Step) error {
	i := s.Instance
	c, k, err := r.conf(ctx, i, "", true)
	if err != nil {
		return err
	}
	records, err := c.Buildable(ctx, target(k))
	if err != nil {
		return err
	}
	if len(records) == 0 && c.HasExclusive() && len(c.Records) > 0 {
		return &dkms.Error{Kind: dkms.Excluded, Instance: i, Subject: r.Tree.BaseDir(i)}
	}
	if err := kbuild.CheckSource(r.Root, r.Tree.SourceLink(i.Module)); err != nil {
		return &dkms.Error{Kind: dkms.SourceEmpty, Instance: i, Subject: r.Tree.SourceLink(i.Module), Err: err}
	}
	p, err := r.prepare(ctx, k)
	if err != nil {
		return err
	}
	if err := r.checkDepends(i, c); err != nil {
		return err
	}
	tree, err := kbuild.Build(ctx, r.job(i, c, k, records))
	if err != nil {
		err = buildError(i, err)
		var e *dkms.Error
		if errors.As(err, &e) && e.Kind != dkms.ScriptFailed && ctx.Err() == nil {
			r.apport(ctx, i)
		}
		return err
	}
	if err := r.collect(ctx, i, c, k, p, tree); err != nil {
		return err
	}
	return r.conclude(ctx, i, tree)
}

// job describes the make run of an instance.
func (r *run) job(i dkms.Instance, c *conf.Module, k *kernel.Kernel, records []int) kbuild.Job {
	return kbuild.Job{
		Root: r.Root, Runner: r.Runner,
		Name: i.Name, Version: i.Version, Conf: c, Records: records, Kernel: k,
		Source: r.Tree.SourceLink(i.Module), BuildDir: r.Tree.BuildDir(i.Module), Overrides: overrides(i.Module),
		Jobs: r.Options.Jobs, Env: r.Env, BuildEnvironment: r.Framework.BuildEnvironment,
		Release: r.Release, Quiet: quiet(c), Now: r.Now, Report: r.task, Stderr: r.Stderr,
	}
}

// overrides is where an administrator keeps patches and scripts for a module.
func overrides(m dkms.Module) string { return path.Join("/etc/dkms", m.Name) }

// quiet reports whether the module is one of upstream's test modules, whose progress is not shown as dots.
func quiet(c *conf.Module) bool {
	ok, err := path.Match("dkms*_test", c.Name)
	return err == nil && ok
}

// task passes the events of a make run on.
func (r *run) task(e kbuild.Event) {
	switch e := e.(type) {
	case kbuild.Begin:
		r.Emit(TaskBegun{Description: e.Description, Command: e.Command, Quiet: e.Quiet})
	case kbuild.End:
		r.Emit(TaskEnded{Command: e.Command, Status: e.Status})
	case kbuild.NotExecutable:
		r.Emit(ScriptNotExecutable{Name: e.Script})
	}
}

// checkDepends sees to it that every module of BUILD_DEPENDS is installed, in any version, for the same kernel.
func (r *run) checkDepends(i dkms.Instance, c *conf.Module) error {
	var missing []string
	for _, name := range c.BuildDepends {
		if !r.anyInstalled(name, i) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case r.Options.Force:
		r.Emit(DependsForced{Instance: i, Missing: missing})
		return nil
	}
	return &dkms.Error{Kind: dkms.DependsMissing, Instance: i, Detail: missing}
}

func (r *run) anyInstalled(name string, i dkms.Instance) bool {
	ms, err := r.Tree.Modules(dkms.Filter{Name: name})
	return err == nil && slices.ContainsFunc(ms, func(m dkms.Module) bool {
		return r.Tree.Added(m) && r.Tree.Installed(dkms.Instance{Module: m, Kernel: i.Kernel, Arch: i.Arch})
	})
}

// collect takes the module files from the build directory into the registry: stripped, signed, compressed.
func (r *run) collect(ctx context.Context, i dkms.Instance, c *conf.Module, k *kernel.Kernel, p *preparation, tree *kbuild.Tree) error {
	compression, err := k.Compression()
	if err != nil {
		return err
	}
	stage, err := r.Tree.Stage(i)
	if err != nil {
		return err
	}
	dir := path.Join(stage.Dir(), "module")
	err = r.fill(ctx, dir, i, c, p, tree, compression)
	if err == nil && c.BuildDependsRebuild && !r.Options.Force {
		err = r.noteDepends(stage.Dir(), c)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		stage.Discard()
		return err
	}
	return stage.Commit()
}

// noteDepends notes the versions of the modules that this build was made with, so that other ones can be noticed.
func (r *run) noteDepends(dir string, c *conf.Module) error {
	for _, name := range c.BuildDepends {
		if err := dkms.CheckName("BUILD_DEPENDS element", name); err != nil {
			return err
		}
		if err := r.Tree.NoteBuiltWith(dir, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) fill(ctx context.Context, dir string, i dkms.Instance, c *conf.Module, p *preparation, tree *kbuild.Tree, compression kmod.Compression) error {
	if f := tree.Symvers(); f != "" {
		if err := r.Root.Copy(f, path.Join(dir, "Module.symvers"), 0o644); err != nil {
			return err
		}
	}
	for _, product := range tree.Products() {
		if _, err := r.Root.Stat(product.Path); err != nil {
			r.Emit(ProductGone{Path: product.Path})
			return &dkms.Error{Kind: dkms.StageFailed, Instance: i, Subject: c.Records[product.Record].DestName, Detail: []string{dir}, Err: err}
		}
		file, err := r.finishProduct(ctx, c, p, tree, product, compression)
		if err != nil {
			return err
		}
		suffix := ".ko" + kmod.CompressionOf(file).Suffix()
		if err := r.Root.Copy(file, path.Join(dir, c.Records[product.Record].DestName+suffix), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// finishProduct strips, signs and compresses a module file where it was built and returns its name then. Failing to strip
// or to compress is no failure of the build.
func (r *run) finishProduct(ctx context.Context, c *conf.Module, p *preparation, tree *kbuild.Tree, product kbuild.Product, compression kmod.Compression) (string, error) {
	if c.Records[product.Record].Strip {
		_ = tree.Strip(ctx, product.Path)
	}
	if p.signer != nil {
		r.Emit(Signing{Path: product.Path})
		err := p.signer.Sign(ctx, product.Path)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			var failed *sign.FailedError
			output := err.Error()
			if errors.As(err, &failed) {
				output = failed.Output
			}
			r.Emit(SigningFailed{Path: product.Path, Output: output})
		}
	}
	file, _ := tree.Compress(ctx, product.Path, string(compression), r.compressOptions(compression))
	return file, ctx.Err()
}

func (r *run) compressOptions(c kmod.Compression) string {
	switch c {
	case kmod.Gzip:
		return r.Framework.CompressGzip
	case kmod.Xz:
		return r.Framework.CompressXz
	case kmod.Zstd:
		return r.Framework.CompressZstd
	}
	return ""
}

// conclude runs POST_BUILD, which finds the build result in place, and keeps the log. Should the script fail, the result
// stays, as it does with dkms 3.4, and so does the build directory.
func (r *run) conclude(ctx context.Context, i dkms.Instance, tree *kbuild.Tree) error {
	scriptErr := tree.PostBuild(ctx)
	if ctx.Err() != nil {
		return scriptErr
	}
	if err := r.Root.Copy(tree.Log(), path.Join(r.Tree.BaseDir(i), "log", "make.log"), 0o644); err != nil && scriptErr == nil {
		return err
	}
	if scriptErr != nil {
		return buildError(i, scriptErr)
	}
	return r.Root.RemoveAll(r.Tree.BuildDir(i.Module))
}

// buildError lifts an error of kbuild.
func buildError(i dkms.Instance, err error) error {
	var (
		makeErr *kbuild.MakeError
		patch   *kbuild.PatchError
		script  *kbuild.ScriptError
		product *kbuild.MissingProductError
	)
	switch {
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
