package build

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"dkms-go/build/depmod"
	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/kmod"
	"dkms-go/dkms/proc"
)

// install puts the build result of an instance into its kernel (do_install in dkms.in). The indexes are a step of their own.
func (w *work) install(ctx context.Context, s Step) error {
	i := s.Instance
	o := w.installOptions(i, w.Emit)
	o.Replace = s.Replace
	if w.installedMeanwhile(s, o) {
		return &doneMeanwhileError{AlreadyInstalled}
	}
	if err := w.Tree.CheckBuilt(i, nil); err != nil {
		return err
	}
	c, k, err := w.conf(ctx, i, "", true)
	if err != nil {
		return err
	}
	ps, err := w.installable(ctx, i, c, k)
	if err != nil {
		return err
	}
	o.Force = o.Force || w.Options.SafeUpgrade
	o.ObsoleteBy = c.ObsoleteBy
	if err := w.script(ctx, i, "pre_install", c.PreInstall); err != nil && !o.Force {
		return &dkms.Error{Kind: dkms.PreInstallFailed, Instance: i, Err: err}
	}
	touched := ps
	if w.renews(s) {
		if touched, err = w.placements(ctx, c, k, true); err != nil {
			return err
		}
		o.Replace, o.Leaving = false, &dkms.Leaving{Placements: touched, Owned: w.wasOwned}
	}
	_, noneBefore := w.Root.Lstat(w.Tree.ActiveLink(i))
	err = w.place(ctx, s, ps, find(k, ps), o)
	var (
		meanwhile *doneMeanwhileError
		refused   *dkms.Error
	)
	if !errors.As(err, &meanwhile) && (err == nil || w.Tree.Current(i)) { // also when what the previous version left could not be tidied up
		w.changed(i, true)
		w.touched(i, touched)
		if noneBefore == nil {
			w.last(i.Kernel)
		}
	}
	if w.plan.Request.Goal == Sync && errors.As(err, &refused) && refused.Kind == dkms.NothingInstalled {
		return &doneMeanwhileError{InKernel}
	}
	if err != nil && o.Leaving != nil {
		w.weakModules(context.WithoutCancel(ctx), i, c, touched, true) // what was to be replaced is still there
	}
	if err != nil {
		return err
	}
	w.weakModules(ctx, i, c, ps, true)
	_ = w.script(ctx, i, "post_install", c.PostInstall) // its status has never counted
	return cmp.Or(ctx.Err(), w.Tree.ForgetFailure(i))
}

// installable returns where the modules of an instance go, after a look whether all of them are built, and signed where that must
// be.
func (w *work) installable(ctx context.Context, i dkms.Instance, c *conf.Module, k *kernel.Kernel) ([]dkms.Placement, error) {
	ps, err := w.placements(ctx, c, k, false)
	if err != nil {
		return nil, err
	}
	if err := w.Tree.CheckBuilt(i, ps); err != nil {
		return nil, err
	}
	f, err := w.Conf.Framework(ctx, k.Release)
	if err != nil {
		return nil, err
	}
	return ps, w.checkSigned(ctx, i, k, f.TrySignModules)
}

// renews reports whether a step puts an instance in the place of what an earlier step has only told of taking out.
func (w *work) renews(s Step) bool {
	return s.Replace && slices.ContainsFunc(w.plan.Steps[:w.number], func(before Step) bool {
		return before.Action == Uninstall && before.Replace && before.Instance == s.Instance
	})
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
func (b *Builder) installOptions(i dkms.Instance, emit dkms.Emit) dkms.InstallOptions {
	o := dkms.InstallOptions{Force: b.Options.Force, ForceVersion: b.Options.ForceVersion, Symlink: b.Options.Symlink}
	files, err := b.Root.Glob("/usr/share/dkms/modules_to_force_install/*")
	if err != nil {
		return o
	}
	for _, f := range files {
		text, err := b.Root.ReadFile(f)
		if err != nil {
			continue
		}
		for word := range strings.FieldsSeq(string(text)) {
			switch word {
			case i.Name:
				emit(ForcedByList{Name: i.Name})
				o.Force = true
				return o
			case i.Name + "_version-override":
				emit(ForcedByList{Name: i.Name, VersionOnly: true})
				o.ForceVersion = true
				return o
			}
		}
	}
	return o
}

// uninstall takes an instance out of its kernel (do_uninstall in dkms.in). What a later step puts something else in place of
// stays until then: there is only told of it.
func (w *work) uninstall(ctx context.Context, s Step) error {
	i := s.Instance
	if s.Replace {
		if err := w.checkReplacement(ctx, i); err != nil {
			return err
		}
	}
	w.Emit(dkms.UninstallBegun{Instance: i})
	c, k, err := w.conf(ctx, i, "", false)
	if err != nil {
		return err
	}
	ps, err := w.placements(ctx, c, k, true)
	if err != nil {
		return err
	}
	o := dkms.UninstallOptions{Owned: w.owned(ctx), Before: func() { w.weakModules(ctx, i, c, ps, false) }}
	var cleanup func(dkms.Emit) error
	err = w.holding(ctx, func() (err error) {
		if s.Replace {
			cleanup, err = w.tellUninstall(i, ps, o)
			return err
		}
		wasActive, err := w.Tree.Uninstall(i, ps, o, w.Emit)
		cleanup = func(emit dkms.Emit) error { return w.Tree.Cleanup(i, wasActive, emit) }
		return err
	}, dkms.ModuleLock(i.Module).Shared(), dkms.KernelLock(i.Kernel))
	if !s.Replace {
		w.changed(i, false)
		w.touched(i, ps)
		w.last(i.Kernel)
	}
	if err != nil {
		return err
	}
	_ = w.script(ctx, i, "post_remove", c.PostRemove) // its status has never counted
	if w.plan.Request.Goal == Vacate {
		return w.holding(context.WithoutCancel(ctx), func() error { return cleanup(w.Emit) }, dkms.KernelLock(i.Kernel))
	}
	w.afterwards(cleanup)
	return nil
}

// tellUninstall tells of an uninstallation that is going to be part of an installation; cleanup tells of its end.
func (w *work) tellUninstall(i dkms.Instance, ps []dkms.Placement, o dkms.UninstallOptions) (cleanup func(dkms.Emit) error, err error) {
	tidied, err := w.Tree.TellUninstall(i, ps, o, w.Emit)
	return func(emit dkms.Emit) error {
		for _, e := range tidied {
			emit(e)
		}
		return nil
	}, err
}

// checkReplacement looks for what would keep a build from being installed, before anything is told of what it replaces. Of its
// dkms.conf it tells only what is wrong; the rest is told where it always is.
func (w *work) checkReplacement(ctx context.Context, i dkms.Instance) error {
	k, err := w.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return err
	}
	c, err := w.load(ctx, i, cmp.Or(w.Options.ConfFile, w.Tree.ConfFile(i.Module)), k)
	if err != nil {
		return err
	}
	if problems(c, "", true, func(dkms.Event) {}) != nil {
		_, _, err := w.conf(ctx, i, "", true)
		return err
	}
	if _, err := w.installable(ctx, i, c, k); err != nil {
		return err
	}
	return w.Tree.CheckSpace(i, w.Tree.KernelDir(i.Kernel), w.space(Step{Action: Install, Instance: i})+w.indexSize(i.Kernel))
}

// changed notes that the indexes of a kernel are out of date, and whether i is installed now.
func (r *run) changed(i dkms.Instance, installed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dirty[i.Kernel] == nil {
		r.dirty[i.Kernel] = map[dkms.Instance]bool{}
	}
	r.dirty[i.Kernel][i] = installed
}

// last notes that modules of a kernel have changed in a way that taking back this run's installations does not undo.
func (r *run) last(release string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lasts[release] = true
}

func (r *run) lasting(release string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lasts[release]
}

// changes reports whether the indexes of a kernel are out of date.
func (r *run) changes(release string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, dirty := r.dirty[release]
	return dirty
}

// indexed notes that the indexes of a kernel need no further attention, and returns what was installed since that was last
// so, in the order of the plan.
func (r *run) indexed(release string) []dkms.Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	var installed []dkms.Instance
	for _, s := range r.plan.Steps {
		if s.Action == Install && r.dirty[release][s.Instance] {
			delete(r.dirty[release], s.Instance)
			installed = append(installed, s.Instance)
		}
	}
	delete(r.dirty, release)
	return installed
}

// owned returns the question whether a package owns a directory, for the distributions where directories of modules may
// belong to packages of kernels; elsewhere it is nil.
func (w *work) owned(ctx context.Context) func(dir string) bool {
	if w.Tree.Options().Distribution.Is("debian", "ubuntu", "arch", "gentoo") {
		return nil
	}
	return func(dir string) bool {
		owned := w.Builder.run(w.Root.Dir())(ctx, []string{"rpm", "-qf", dir}, nil) == nil
		w.mu.Lock()
		defer w.mu.Unlock()
		w.packaged[dir] = owned
		return owned
	}
}

// wasOwned is owned for directories that were asked about before: the question is not asked again.
func (w *work) wasOwned(dir string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.packaged[dir]
}

// index brings the indexes of a kernel up to date, after the last step of the run that concerns it. If that fails, what
// the run installed for this kernel goes back to built. loud is false when the step that it was to follow has failed.
//
// An interruption does not stop it: until it is done, modprobe does not know of what is there, or knows of what is not.
func (w *work) index(ctx context.Context, s Step, loud bool) error {
	ctx = context.WithoutCancel(ctx)
	release := s.Instance.Kernel
	command := "depmod -a " + release
	if loud {
		w.Emit(TaskBegun{Description: "Running depmod", Command: command, Quiet: w.hushed()})
	}
	var err error
	if s.Skip == Needed && !w.Options.NoIndex {
		err = w.writeIndexes(ctx, release)
	}
	if loud {
		w.Emit(TaskEnded{Command: command, Status: status(err)})
	}
	if err != nil {
		err = w.rollBack(ctx, s, err)
	} else if s.Skip == Needed {
		if len(w.indexed(release)) > 0 {
			w.modprobe(ctx, release)
		}
	}
	errs := []error{err}
	for _, f := range w.leftOver(s.Part) {
		errs = append(errs, f(w.Emit))
	}
	if err == nil && s.Skip == Needed {
		errs = append(errs, w.Tree.ClearDirty(release))
	}
	return errors.Join(errs...)
}

// afterwards has something done when the indexes are written, by the step that writes them: nobody listens to w then.
func (w *work) afterwards(f func(dkms.Emit) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	part := w.plan.Steps[w.number].Part
	w.cleanup[part] = append(w.cleanup[part], f)
}

// leftOver returns what is to be done now that the indexes of a part are written.
func (r *run) leftOver(part int) []func(dkms.Emit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	fs := r.cleanup[part]
	delete(r.cleanup, part)
	return fs
}

func (w *work) writeIndexes(ctx context.Context, release string) error {
	res, err := w.indexer().Index(ctx, release)
	if err == nil && res.Outcome == depmod.Skipped {
		w.Emit(IndexSkipped{Path: res.ModulesDep})
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
func (w *work) rollBack(ctx context.Context, s Step, cause error) error {
	errs := []error{cause}
	installed := w.indexed(s.Instance.Kernel)
	for _, i := range slices.Backward(installed) {
		w.Emit(dkms.UninstallBegun{Instance: i})
		c, k, err := w.conf(ctx, i, "", false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ps, err := w.placements(ctx, c, k, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		wasActive, err := w.Tree.Uninstall(i, ps, dkms.UninstallOptions{Owned: w.owned(ctx)}, w.Emit)
		errs = append(errs, err, w.Tree.Cleanup(i, wasActive, w.Emit))
	}
	switch {
	case w.lasting(s.Instance.Kernel):
		w.Tree.Abandon(s.Instance.Kernel)
	case errors.Join(errs[1:]...) == nil:
		errs = append(errs, w.Tree.Unmark(s.Instance.Kernel))
	}
	failure := &dkms.Error{Kind: dkms.IndexFailed, Instance: s.Instance, Err: errors.Join(errs...)}
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.results {
		if res := &w.results[n]; res.Step.Action == Install && slices.Contains(installed, res.Step.Instance) {
			failure.Instance = res.Step.Instance
			res.Outcome, res.Err = Failed, failure
		}
	}
	return failure
}

// script runs one of the scripts of a module that are no part of a build, with its output going to ours. Its words are
// split at blanks; there are no quotes (run_build_script in dkms.in). A script that is not executable is told of and
// counts as success.
func (w *work) script(ctx context.Context, i dkms.Instance, name, value string) error {
	words := strings.Fields(value)
	if len(words) == 0 {
		return nil
	}
	dir := overrides(i.Module)
	if !w.executable(path.Join(dir, words[0])) {
		dir = w.Tree.SourceLink(i.Module)
	}
	words[0] = dir + "/" + words[0]
	if !w.executable(words[0]) {
		w.Emit(ScriptNotExecutable{Name: name})
		return nil
	}
	w.Emit(ScriptBegun{Name: name})
	env := slices.Concat(w.Env, []string{"kernelver=" + i.Kernel, "arch=" + i.Arch, "module=" + i.Name, "module_version=" + i.Version, "PWD=" + dir})
	err := w.Runner.Run(ctx, proc.Cmd{Args: words, Dir: dir, Env: env, Root: w.Root.Dir(), Stdout: w.Stdout, Stderr: w.Stderr})
	if err == nil {
		return nil
	}
	return &dkms.Error{Kind: dkms.ScriptFailed, Instance: i, Subject: name, Status: status(err), Err: err}
}

func (w *work) executable(abs string) bool {
	fi, err := w.Root.Stat(abs)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}
