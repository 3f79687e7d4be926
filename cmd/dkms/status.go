package main

import (
	"context"
	"errors"
	"fmt"

	"dkms-go/build"
	"dkms-go/dkms"
)

func statusVerb() verb {
	return verb{
		name: "status", about: "show which modules are registered, built and installed",
		usage:   "status [MODULE[/VERSION]] [OPTION]...",
		options: []string{"module", "v", "kernelver", "arch", "all", "failed", "json"},
		reads:   true,
		run:     func(ctx context.Context, s *session) error { return s.status(ctx) },
	}
}

// status prints a line for every module or instance. Module, version, kernel and architecture are shell patterns.
func (s *session) status(ctx context.Context) error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	if s.failed {
		return s.statusFailed()
	}
	if s.json {
		return s.statusJSON(ctx)
	}
	for _, f := range s.filters() {
		es, err := s.Tree.Status(ctx, f, s.Evaluate)
		if err != nil {
			return err
		}
		for _, e := range es {
			var invalid *build.InvalidConfError
			if errors.As(e.Err, &invalid) {
				for _, p := range invalid.Problems {
					s.renderer.problem(build.ConfProblem{Problem: p})
				}
			}
			s.say("%s%s", statusLine(e), s.remarks(ctx, e))
			if e.State == dkms.Broken {
				s.brokenModule(e.Instance.Module)
			}
			if e.Err != nil && invalid == nil {
				s.hint("%v", e.Err)
			}
		}
		if !s.HasWeakModules() {
			continue
		}
		for _, w := range s.Tree.Weak(f) {
			i := w.Instance
			s.say("%s, %s, %s, %s: installed-weak from %s", i.Name, i.Version, i.Kernel, i.Arch, w.From)
		}
	}
	return s.sayWaiting(ctx)
}

// brokenModule prints the error about a module without source.
func (s *session) brokenModule(m dkms.Module) {
	s.failure(m.String()+": Missing the module source directory or the symbolic link pointing to it.", "Manual intervention is required!")
}

// filters returns one filter for each -k, or one for everything.
func (s *session) filters() []dkms.Filter {
	f := dkms.Filter{Name: s.module.Name, Version: s.module.Version}
	if len(s.arches) > 0 {
		f.Arch = s.arches[0]
	}
	if len(s.kernels) == 0 {
		return []dkms.Filter{f}
	}
	fs := make([]dkms.Filter, len(s.kernels))
	for n, k := range s.kernels {
		fs[n] = f
		fs[n].Kernel = k
		if n < len(s.arches) {
			fs[n].Arch = s.arches[n]
		}
	}
	return fs
}

// statusLine is the line for an entry, as dkms 3.4 prints it.
func statusLine(e dkms.Entry) string {
	i := e.Instance
	if e.State < dkms.Built {
		return fmt.Sprintf("%s: %s", i.Module, e.State)
	}
	line := fmt.Sprintf("%s, %s, %s: %s", i.Module, i.Kernel, i.Arch, e.State)
	if e.Originals {
		line += " (Original modules exist)"
	}
	switch {
	case e.Missing:
		line += " (Built modules are missing in the kernel modules folder)"
	case e.Differs:
		line += " (Differences between built and installed modules)"
	}
	return line
}
