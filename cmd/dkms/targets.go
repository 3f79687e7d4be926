package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"dkms-go/build"
	"dkms-go/conf"
	"dkms-go/dkms"
)

// checkOptions looks for options that exclude each other.
func (o *request) checkOptions() error {
	switch {
	case o.binariesOnly && o.sourceOnly:
		return &dkms.Error{Kind: dkms.OnlyBoth}
	case len(o.arches) > 1 && len(o.arches) != len(o.kernels):
		return &dkms.Error{Kind: dkms.ArchMismatch}
	case len(o.kernels) > 0 && o.all:
		return &dkms.Error{Kind: dkms.KernelAndAll}
	case len(o.arches) > 0 && o.all:
		return &dkms.Error{Kind: dkms.ArchAndAll}
	}
	return nil
}

// targets returns the kernels that the command line is about: those of -k, with --all every one that the module is built
// for, or the default.
func (s *session) targets(ctx context.Context) ([]build.Target, error) {
	if err := s.checkOptions(); err != nil {
		return nil, err
	}
	if s.all {
		return s.builtTargets(), nil
	}
	kernels, arches := s.kernels, s.arches
	if len(kernels) == 0 {
		kernels = []string{s.defaultKernel(s.Tree.Options().InstallTree)}
	}
	if len(arches) == 0 {
		arches = []string{s.defaultArch(ctx, path.Join(s.Tree.Options().InstallTree, kernels[0]))}
	}
	ts := make([]build.Target, 0, len(kernels))
	for n, k := range kernels {
		a := arches[0]
		if len(arches) > 1 {
			a = arches[n]
		}
		if k == "" {
			return nil, &dkms.Error{Kind: dkms.EmptyKernel, Subject: fmt.Sprintf("kernelver[%d]", n), Remedy: "give a kernel release after -k"}
		}
		if conf.IsKernelRange(k) {
			fits, err := s.kernelsInRange(k, a)
			if err != nil {
				return nil, err
			}
			ts = append(ts, fits...)
			continue
		}
		if a == "" {
			return nil, &dkms.Error{Kind: dkms.EmptyKernel, Subject: fmt.Sprintf("arch[%d]", n), Remedy: "give an architecture after -a"}
		}
		ts = append(ts, build.Target{Kernel: k, Arch: a})
	}
	return ts, nil
}

// kernelsInRange returns the kernels of the system that satisfy conditions such as ">= 6.1, < 6.13".
func (s *session) kernelsInRange(text, arch string) ([]build.Target, error) {
	r, err := conf.ParseKernelRange(text)
	if err != nil {
		return nil, &dkms.Error{Kind: dkms.BadName, Subject: "kernel", Detail: []string{err.Error()}}
	}
	ts, err := s.Kernels(arch)
	if err != nil {
		return nil, err
	}
	ts = slices.DeleteFunc(ts, func(t build.Target) bool { return !r.Has(t.Kernel) })
	if len(ts) == 0 {
		return nil, &dkms.Error{Kind: dkms.NoKernelFits, Subject: text}
	}
	return ts, nil
}

// permitted is targets for a user who may make a change: one of a kernel takes root, one of the registry write access.
func (s *session) permitted(ctx context.Context, kernels bool) ([]build.Target, error) {
	need := s.needTree
	if kernels {
		need = s.needRoot
	}
	if err := need(); err != nil {
		return nil, err
	}
	return s.targets(ctx)
}

// builtTargets returns the kernels that the module is built for: first those where it is not installed, each group by
// version, which is the order that dkms 3.4 has for --all.
func (s *session) builtTargets() []build.Target {
	is := s.Tree.Instances(s.module, dkms.Filter{})
	slices.SortStableFunc(is, func(a, b dkms.Instance) int {
		if ia, ib := s.Tree.Installed(a), s.Tree.Installed(b); ia != ib {
			if ib {
				return -1
			}
			return 1
		}
		if c := conf.CompareVersions(a.Kernel, b.Kernel); c != 0 {
			return c
		}
		return strings.Compare(a.Arch, b.Arch)
	})
	ts := make([]build.Target, len(is))
	for n, i := range is {
		ts[n] = build.Target{Kernel: i.Kernel, Arch: i.Arch}
	}
	return ts
}

// needModule returns an error unless module and version are given.
func (s *session) needModule() error {
	if s.module.Name == "" || s.module.Version == "" {
		return &dkms.Error{Kind: dkms.MissingArguments, Subject: s.verb}
	}
	return s.module.Check()
}

// needRoot returns an error unless the user is root.
func (s *session) needRoot() error {
	if s.uid != 0 {
		return &dkms.Error{Kind: dkms.NotRoot, Subject: s.verb, Remedy: "run it again with sudo"}
	}
	return nil
}

// needTree returns an error unless the user may change the registry. A registry that does not exist yet is made.
func (s *session) needTree() error {
	tree := s.Tree.Options().DKMSTree
	if _, err := s.root.Stat(tree); err != nil && s.uid == 0 {
		if err := s.root.MkdirAll(tree, 0o755); err != nil {
			return err
		}
	}
	if !s.writable(tree) {
		return &dkms.Error{Kind: dkms.TreeNotWritable, Subject: tree, Remedy: "run it again with sudo"}
	}
	return nil
}

// noAll returns an error if --all was given.
func (s *session) noAll() error {
	if s.all {
		return &dkms.Error{Kind: dkms.AllBanned, Subject: s.verb}
	}
	return nil
}

// notBroken returns an error if the module is registered without its source.
func (s *session) notBroken() error {
	if s.Tree.Broken(s.module) {
		return &dkms.Error{Kind: dkms.SourceBroken, Instance: dkms.Instance{Module: s.module}}
	}
	return nil
}

// do plans and runs a request, and returns the first failure, which has been printed by then.
func (s *session) do(ctx context.Context, r build.Request) error {
	p, err := s.plan(ctx, r)
	if err != nil || s.dryRun {
		return err
	}
	if s.safeUpgrade && p.Adds() {
		if err := s.noteSafeUpgrade(ctx, p.Request.Module); err != nil {
			return err
		}
	}
	if err := s.Run(ctx, p).Err(); err != nil {
		return reportedError{err}
	}
	return nil
}

// plan plans a request. With --dry-run the plan is printed, and nothing else is to happen.
func (s *session) plan(ctx context.Context, r build.Request) (*build.Plan, error) {
	r.Force = s.force
	s.renderer.goal = r.Goal
	p, err := s.Plan(ctx, r)
	if err == nil && s.dryRun {
		err = s.showPlan(p)
	}
	return p, err
}

// oneTarget returns the kernel of a verb that takes exactly one.
func (s *session) oneTarget(ctx context.Context) (build.Target, error) {
	if err := s.checkOptions(); err != nil {
		return build.Target{}, err
	}
	if err := s.noAll(); err != nil {
		return build.Target{}, err
	}
	ts, err := s.targets(ctx)
	if err != nil {
		return build.Target{}, err
	}
	if len(ts) != 1 {
		return build.Target{}, &dkms.Error{Kind: dkms.OneKernelOnly, Subject: s.verb, Remedy: "give one -k"}
	}
	return ts[0], nil
}
