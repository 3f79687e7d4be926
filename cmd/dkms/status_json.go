package main

import (
	"context"
	"strings"

	"dkms-go/dkms"
)

// statusList is what "dkms status --json" prints. Fields are added, never changed or taken away.
type statusList struct {
	Modules []statusEntry `json:"modules"`
}

// statusEntry is a module, or a module for a kernel.
type statusEntry struct {
	Module  string `json:"module"`
	Version string `json:"version"`
	Kernel  string `json:"kernel,omitempty"` // only where there is a build
	Arch    string `json:"arch,omitempty"`
	State   string `json:"state"`          // added, built, installed, installed-weak, broken or waiting-for-headers
	From    string `json:"from,omitempty"` // the kernel whose modules this one uses, when installed-weak

	Package string `json:"package,omitempty"` // brings the headers that are waited for, where that is known

	Stale     []string `json:"stale,omitempty"`    // what has changed since the build was made
	Unsigned  *bool    `json:"unsigned,omitempty"` // a module file of the build has no signature
	Originals bool     `json:"original_modules,omitempty"`
	Missing   bool     `json:"missing,omitempty"`
	Differs   bool     `json:"differs,omitempty"`
	Error     string   `json:"error,omitempty"`
}

// statusJSON is status for programs.
func (s *session) statusJSON(ctx context.Context) error {
	list := statusList{Modules: []statusEntry{}}
	for _, f := range s.filters() {
		es, err := s.Tree.Status(ctx, f, s.Evaluate)
		if err != nil {
			return err
		}
		for _, e := range es {
			list.Modules = append(list.Modules, s.statusEntry(ctx, e))
		}
		if !s.HasWeakModules() {
			continue
		}
		for _, w := range s.Tree.Weak(f) {
			i := w.Instance
			list.Modules = append(list.Modules, statusEntry{
				Module: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch, State: "installed-weak", From: w.From,
			})
		}
	}
	return s.waitingJSON(ctx, &list)
}

func (s *session) statusEntry(ctx context.Context, e dkms.Entry) statusEntry {
	i := e.Instance
	j := statusEntry{
		Module: i.Name, Version: i.Version, State: e.State.String(),
		Originals: e.Originals, Missing: e.Missing, Differs: e.Differs,
	}
	if e.Err != nil {
		j.Error = e.Err.Error()
	}
	if e.State < dkms.Built {
		return j
	}
	j.Kernel, j.Arch = i.Kernel, i.Arch
	j.Stale = s.stale(ctx, i)
	if names, err := s.Unsigned(i); err == nil {
		unsigned := len(names) > 0
		j.Unsigned = &unsigned
	}
	return j
}

// remarks follow a line of status on a terminal. Elsewhere the line is that of dkms 3.4.
func (s *session) remarks(ctx context.Context, e dkms.Entry) string {
	if e.State < dkms.Built || !s.terminal {
		return ""
	}
	text := ""
	if names := s.stale(ctx, e.Instance); len(names) > 0 {
		text = " (stale: " + strings.Join(names, ", ") + ")"
	}
	if names, err := s.Unsigned(e.Instance); err == nil && len(names) > 0 {
		text += " (unsigned)"
	}
	return text
}

// stale returns what has changed since i was built; nothing where that cannot be told.
func (s *session) stale(ctx context.Context, i dkms.Instance) []string {
	names, err := s.Stale(ctx, i)
	if err != nil {
		return nil
	}
	return names
}
