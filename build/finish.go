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
	r := &run{Builder: b}
	return r.finish(ctx, Step{Action: Finish, Instance: dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}})
}

// finish runs the administrator's post_transaction command once everything else of the run has succeeded. Its own failure
// is told of, and does not change the outcome of the run.
func (r *run) finish(ctx context.Context, s Step) error {
	f, err := r.Conf.Framework(ctx, s.Instance.Kernel)
	if err != nil {
		return err
	}
	log := path.Join(r.Tree.Options().DKMSTree, "post_transaction.log")
	if err := r.Root.WriteFile(log, nil, 0o644); err != nil {
		return err
	}
	return kbuild.Logged(ctx, kbuild.Command{
		Quiet: r.quiet,
		Root:  r.Root, Runner: r.Runner, Env: slices.Concat(r.Env, []string{"kernelver=" + s.Instance.Kernel}), Dir: "/", Now: r.Now, Report: r.task, Log: log,
		Description: "Executing post-transaction command", Line: f.PostTransaction,
	})
}
