package build

import (
	"context"
	"path"
	"slices"

	"dkms-go/build/kbuild"
	"dkms-go/dkms"
)

// Finish runs the administrator's post_transaction command for a run that has no such step: Autoinstall, whose summary comes
// first.
func (b *Builder) Finish(ctx context.Context, t Target) error {
	if b.Framework.PostTransaction == "" {
		return nil
	}
	w := &work{run: &run{Builder: b, plan: &Plan{}}, number: -1, Emit: b.Emit}
	return w.finish(ctx, Step{Action: Finish, Instance: dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}})
}

// finish runs the administrator's post_transaction command once everything else of the run has succeeded. Its own failure
// is told of, and does not change the outcome of the run.
func (w *work) finish(ctx context.Context, s Step) error {
	f, err := w.Conf.Framework(ctx, s.Instance.Kernel)
	if err != nil {
		return err
	}
	log := path.Join(w.Tree.Options().DKMSTree, "post_transaction.log")
	if err := w.Root.WriteFile(log, nil, 0o644); err != nil {
		return err
	}
	return kbuild.Logged(ctx, kbuild.Command{
		Quiet: w.hushed(),
		Root:  w.Root, Runner: w.Runner, Env: slices.Concat(w.Env, []string{"kernelver=" + s.Instance.Kernel}), Dir: "/", Now: w.Now, Report: w.task, Log: log,
		Description: "Executing post-transaction command", Line: f.PostTransaction,
	})
}
