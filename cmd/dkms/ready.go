package main

import (
	"context"
	"slices"

	"dkms-go/build"
	"dkms-go/conf"
	"dkms-go/dkms"
)

func readyVerb() verb {
	return verb{
		name: "ready", about: "tell whether a kernel can be started without missing a module",
		usage:   "ready [KERNEL]... [--json]",
		options: []string{"kernelver", "arch", "json"},
		run:     func(ctx context.Context, s *session) error { return s.ready(ctx) },
	}
}

// ready prints a line and what to type for everything that is missing. Its status is the number of the first.
func (s *session) ready(ctx context.Context) error {
	if err := s.noAll(); err != nil {
		return err
	}
	ts, err := s.kernelsToCheck(ctx)
	if err != nil {
		return err
	}
	list := readyList{Kernels: []readyKernel{}}
	var first error
	for _, t := range ts {
		r, err := s.Ready(ctx, t)
		if err != nil {
			return err
		}
		list.Kernels = append(list.Kernels, readyJSON(r))
		if first == nil && len(r.Lacks) > 0 {
			first = reportedError{r.Lacks[0]}
		}
		if !s.json {
			s.sayReady(r)
		}
	}
	if s.json {
		if err := s.printJSON(list); err != nil {
			return err
		}
	}
	return first
}

// kernelsToCheck returns the kernels that are named, or the newest that is installed, which is what usually is started next.
func (s *session) kernelsToCheck(ctx context.Context) ([]build.Target, error) {
	if len(s.kernels) > 0 {
		return s.targets(ctx)
	}
	ts, err := s.Kernels(s.usualArch(ctx))
	if err != nil {
		return nil, err
	}
	ts = slices.DeleteFunc(ts, func(t build.Target) bool { return !s.Bootable(t.Kernel) })
	if len(ts) == 0 {
		return s.targets(ctx)
	}
	return []build.Target{slices.MaxFunc(ts, func(a, b build.Target) int { return conf.CompareVersions(a.Kernel, b.Kernel) })}, nil
}

func (s *session) sayReady(r *build.Readiness) {
	for _, e := range r.Lacks {
		for n, line := range sentence(e) {
			if n == 0 {
				s.say("%d: %s", exitStatus(e), line)
				continue
			}
			s.say("    %s", line)
		}
		if fix := remedy(e); fix != "" {
			s.say("    %s", fix)
		}
	}
	if len(r.Lacks) == 0 {
		s.say("Kernel %s (%s) is ready: %d module(s) in place.", r.Target.Kernel, r.Target.Arch, len(r.Modules))
	}
}

// lacks is the sentence about a module that a kernel does not have as it should.
func lacks(e *dkms.Error, what string) string {
	line := e.Instance.String() + " " + what
	if e.Subject != "" {
		line += ": " + e.Subject
	}
	return line + "."
}

// The JSON form of ready. Fields are added, never changed or taken away.
type (
	readyList struct {
		Kernels []readyKernel `json:"kernels"`
	}
	readyKernel struct {
		Kernel   string        `json:"kernel"`
		Arch     string        `json:"arch"`
		Ready    bool          `json:"ready"`
		Enforced string        `json:"signatures_enforced,omitempty"` // by what
		Modules  []readyModule `json:"modules"`
		Missing  []readyLack   `json:"missing"`
	}
	readyModule struct {
		Module  string `json:"module"`
		Version string `json:"version"`
	}
	readyLack struct {
		Module  string `json:"module,omitempty"`
		Version string `json:"version,omitempty"`
		Code    int    `json:"code"` // as an exit status
		What    string `json:"what"`
		Detail  string `json:"detail,omitempty"`
		Remedy  string `json:"remedy,omitempty"`
	}
)

func readyJSON(r *build.Readiness) readyKernel {
	k := readyKernel{
		Kernel: r.Target.Kernel, Arch: r.Target.Arch, Ready: len(r.Lacks) == 0, Enforced: string(r.Enforced),
		Modules: []readyModule{}, Missing: []readyLack{},
	}
	for _, i := range r.Modules {
		k.Modules = append(k.Modules, readyModule{i.Name, i.Version})
	}
	for _, e := range r.Lacks {
		k.Missing = append(k.Missing, readyLack{e.Instance.Name, e.Instance.Version, exitStatus(e), e.Kind.String(), e.Subject, remedy(e)})
	}
	return k
}
