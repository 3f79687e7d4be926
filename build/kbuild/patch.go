package kbuild

import (
	"context"
	"path"
	"strings"
)

// patch applies the module's patches for this kernel in order, each of them a
// step of its own.
func (t *Tree) patch(ctx context.Context) error {
	names, err := t.job.Conf.PatchesFor(ctx, t.job.Kernel.Release)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.applyPatch(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) applyPatch(ctx context.Context, name string) error {
	dir := path.Join(t.job.BuildDir, "patches")
	problem := func(p PatchProblem) error {
		return &PatchError{Name: name, Problem: p, Dir: dir, Log: t.logPath()}
	}
	if strings.Contains("patches/"+name, "/../") {
		return problem(PatchDotDot)
	}
	if _, err := t.job.Root.Stat(t.Outside(path.Join(dir, name))); err != nil {
		return problem(PatchMissing)
	}
	r, err := t.step(ctx, "Applying patch "+name, "patch -p1 < ./patches/"+name, false)
	if err != nil {
		return err
	}
	if r.status != 0 {
		return problem(PatchFailed)
	}
	return nil
}
