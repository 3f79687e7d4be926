package main

import (
	"context"
	"path"
	"slices"

	"dkms-go/build"
	"dkms-go/dkms"
)

// A kernel without headers is one that a module will be missing from after the next boot. dkms 3.4 has no word for that; it
// is told of on a terminal and to programs that read JSON.

// waiting returns what waits for headers, as far as the filters of status let it through.
func (s *session) waiting(ctx context.Context) ([]build.WaitingKernel, error) {
	ts, err := s.Kernels(s.usualArch(ctx))
	if err != nil {
		return nil, err
	}
	all, err := s.Waiting(ctx, ts)
	if err != nil {
		return nil, err
	}
	for n := range all {
		all[n].Modules = slices.DeleteFunc(all[n].Modules, func(m dkms.Module) bool {
			i := dkms.Instance{Module: m, Kernel: all[n].Target.Kernel, Arch: all[n].Target.Arch}
			return !slices.ContainsFunc(s.filters(), func(f dkms.Filter) bool { return f.Has(i) })
		})
	}
	return all, nil
}

// usualArch is the architecture of the kernels of the system.
func (s *session) usualArch(ctx context.Context) string {
	if len(s.arches) > 0 {
		return s.arches[0]
	}
	tree := s.Tree.Options().InstallTree
	return s.defaultArch(ctx, path.Join(tree, s.defaultKernel(tree)))
}

func (s *session) sayWaiting(ctx context.Context) error {
	if !s.terminal {
		return nil
	}
	all, err := s.waiting(ctx)
	for _, w := range all {
		remedy := ""
		if w.Package != "" {
			remedy = " (install " + w.Package + ")"
		}
		for _, m := range w.Modules {
			s.say("%s, %s, %s: waiting for headers%s", m, w.Target.Kernel, w.Target.Arch, remedy)
		}
	}
	return err
}

func (s *session) waitingJSON(ctx context.Context, list *statusList) error {
	all, err := s.waiting(ctx)
	if err != nil {
		return err
	}
	for _, w := range all {
		for _, m := range w.Modules {
			list.Modules = append(list.Modules, statusEntry{
				Module: m.Name, Version: m.Version, Kernel: w.Target.Kernel, Arch: w.Target.Arch,
				State: "waiting-for-headers", Package: w.Package,
			})
		}
	}
	return s.printJSON(*list)
}
