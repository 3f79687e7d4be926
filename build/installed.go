package build

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"dkms-go/build/depmod"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/kmod"
	"dkms-go/dkms/proc"
)

// install puts the build result of an instance into its kernel (do_install in dkms.in). The indexes are a step of their own.
func (r *run) install(ctx context.Context, s Step) error {
	i := s.Instance
	o := r.installOptions(i)
	if err := r.Tree.CheckBuilt(i, nil); err != nil {
		return err
	}
	c, k, err := r.conf(ctx, i, "", true)
	if err != nil {
		return err
	}
	ps, err := r.placements(ctx, c, k, false)
	if err != nil {
		return err
	}
	if err := r.Tree.CheckBuilt(i, ps); err != nil {
		return err
	}
	o.Force = o.Force || r.Options.SafeUpgrade
	o.ObsoleteBy = c.ObsoleteBy
	if err := r.script(ctx, i, "pre_install", c.PreInstall); err != nil && !o.Force {
		return &dkms.Error{Kind: dkms.PreInstallFailed, Instance: i, Err: err}
	}
	err = r.Tree.Install(ctx, i, ps, find(k, ps), o, r.Emit)
	if r.Tree.Installed(i) { // also when what the previous version left could not be tidied up
		r.dirty[i.Kernel] = append(r.dirty[i.Kernel], i)
	}
	if err != nil {
		return err
	}
	r.weakModules(ctx, i, c, ps, true)
	_ = r.script(ctx, i, "post_install", c.PostInstall) // its status has never counted
	return ctx.Err()
}

// find looks for files of the modules to be placed below the directory of a kernel.
func find(k *kernel.Kernel, ps []dkms.Placement) dkms.Find {
	return func(names []string) (map[string][]string, error) {
		var c kmod.Compression
		if len(ps) > 0 {
			c = kmod.CompressionOf("x" + ps[0].Suffix)
		}
		return k.FindModuleFiles(names, c)
	}
}

// installOptions returns the options for an installation. Distributions may list modules to be forced in files below
// /usr/share/dkms/modules_to_force_install: by name, or by name and "_version-override".
func (r *run) installOptions(i dkms.Instance) dkms.InstallOptions {
	o := dkms.InstallOptions{Force: r.Options.Force, ForceVersion: r.Options.ForceVersion, Symlink: r.Options.Symlink}
	files, err := r.Root.Glob("/usr/share/dkms/modules_to_force_install/*")
	if err != nil {
		return o
	}
	for _, f := range files {
		text, err := r.Root.ReadFile(f)
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(text)) {
			switch word {
			case i.Name:
				r.Emit(ForcedByList{Name: i.Name})
				o.Force = true
				return o
			case i.Name + "_version-override":
				r.Emit(ForcedByList{Name: i.Name, VersionOnly: true})
				o.ForceVersion = true
				return o
			}
		}
	}
	return o
}

// uninstall takes an instance out of its kernel (do_uninstall in dkms.in).
func (r *run) uninstall(ctx context.Context, s Step) error {
	i := s.Instance
	r.Emit(dkms.UninstallBegun{Instance: i})
	c, k, err := r.conf(ctx, i, "", false)
	if err != nil {
		return err
	}
	ps, err := r.placements(ctx, c, k, true)
	if err != nil {
		return err
	}
	wasActive, err := r.Tree.Uninstall(i, ps, dkms.UninstallOptions{
		Owned:  r.owned(ctx),
		Before: func() { r.weakModules(ctx, i, c, ps, false) },
	}, r.Emit)
	r.changed(i)
	if err != nil {
		return err
	}
	_ = r.script(ctx, i, "post_remove", c.PostRemove) // its status has never counted
	cleanup := func() error { return r.Tree.Cleanup(i, wasActive, r.Emit) }
	if r.plan.Request.Goal == Vacate {
		return cleanup()
	}
	r.cleanup[s.Part] = append(r.cleanup[s.Part], cleanup)
	return nil
}

// changed notes that the indexes of a kernel are out of date, and that i is not installed any more.
func (r *run) changed(i dkms.Instance) {
	r.dirty[i.Kernel] = slices.DeleteFunc(r.dirty[i.Kernel], func(other dkms.Instance) bool { return other == i })
}

// owned returns the question whether a package owns a directory, for the distributions where directories of modules may
// belong to packages of kernels; elsewhere it is nil.
func (r *run) owned(ctx context.Context) func(dir string) bool {
	if r.Tree.Options().Distribution.Is("debian", "ubuntu", "arch", "gentoo") {
		return nil
	}
	return func(dir string) bool {
		return r.Builder.run(r.Root.Dir())(ctx, []string{"rpm", "-qf", dir}, nil) == nil
	}
}

// index brings the indexes of a kernel up to date, after the last step of the run that concerns it. If that fails, what
// the run installed for this kernel goes back to built. loud is false when the step that it was to follow has failed.
//
// An interruption does not stop it: until it is done, modprobe does not know of what is there, or knows of what is not.
func (r *run) index(ctx context.Context, s Step, loud bool) error {
	ctx = context.WithoutCancel(ctx)
	release := s.Instance.Kernel
	command := "depmod -a " + release
	if loud {
		r.Emit(TaskBegun{Description: "Running depmod", Command: command, Quiet: r.quiet})
	}
	var err error
	if s.Skip == Needed && !r.Options.NoIndex {
		err = r.writeIndexes(ctx, release)
	}
	if loud {
		r.Emit(TaskEnded{Command: command, Status: status(err)})
	}
	if err != nil {
		err = r.rollBack(ctx, s, err)
	} else if s.Skip == Needed {
		if len(r.dirty[release]) > 0 {
			r.modprobe(ctx, release)
		}
		delete(r.dirty, release)
	}
	errs := []error{err}
	for _, f := range r.cleanup[s.Part] {
		errs = append(errs, f())
	}
	delete(r.cleanup, s.Part)
	return errors.Join(errs...)
}

func (r *run) writeIndexes(ctx context.Context, release string) error {
	x := &depmod.Indexer{Root: r.Root, InstallTree: r.Tree.Options().InstallTree, Runner: r.Builder.run("/")}
	res, err := x.Index(ctx, release)
	if err == nil && res.Outcome == depmod.Skipped {
		r.Emit(IndexSkipped{Path: res.ModulesDep})
	}
	return err
}

func status(err error) int {
	var exit *proc.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Status
	}
	return 1
}

// rollBack takes what this run installed for a kernel out of it again.
func (r *run) rollBack(ctx context.Context, s Step, cause error) error {
	errs := []error{cause}
	installed := r.dirty[s.Instance.Kernel]
	delete(r.dirty, s.Instance.Kernel)
	for _, i := range slices.Backward(installed) {
		r.Emit(dkms.UninstallBegun{Instance: i})
		c, k, err := r.conf(ctx, i, "", false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ps, err := r.placements(ctx, c, k, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		wasActive, err := r.Tree.Uninstall(i, ps, dkms.UninstallOptions{Owned: r.owned(ctx)}, r.Emit)
		errs = append(errs, err, r.Tree.Cleanup(i, wasActive, r.Emit))
	}
	failure := &dkms.Error{Kind: dkms.IndexFailed, Instance: s.Instance, Err: errors.Join(errs...)}
	for n := range r.results {
		if res := &r.results[n]; res.Step.Action == Install && slices.Contains(installed, res.Step.Instance) {
			failure.Instance = res.Step.Instance
			res.Outcome, res.Err = Failed, failure
		}
	}
	return failure
}

// script runs one of the scripts of a module that are no part of a build, with its output going to ours. Its words are
// split at blanks; there are no quotes (run_build_script in dkms.in). A script that is not executable is told of and
// counts as success.
func (r *run) script(ctx context.Context, i dkms.Instance, name, value string) error {
	words := strings.Fields(value)
	if len(words) == 0 {
		return nil
	}
	dir := overrides(i.Module)
	if !r.executable(path.Join(dir, words[0])) {
		dir = r.Tree.SourceLink(i.Module)
	}
	words[0] = dir + "/" + words[0]
	if !r.executable(words[0]) {
		r.Emit(ScriptNotExecutable{Name: name})
		return nil
	}
	r.Emit(ScriptBegun{Name: name})
	env := slices.Concat(r.Env, []string{"kernelver=" + i.Kernel, "arch=" + i.Arch, "module=" + i.Name, "module_version=" + i.Version, "PWD=" + dir})
	err := r.Runner.Run(ctx, proc.Cmd{Args: words, Dir: dir, Env: env, Root: r.Root.Dir(), Stdout: r.Stdout, Stderr: r.Stderr})
	if err == nil {
		return nil
	}
	return &dkms.Error{Kind: dkms.ScriptFailed, Instance: i, Subject: name, Status: status(err), Err: err}
}

func (r *run) executable(abs string) bool {
	fi, err := r.Root.Stat(abs)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}
