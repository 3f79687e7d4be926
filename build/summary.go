package build

import (
	"slices"
	"strings"

	"dkms-go/dkms"
)

// Summary sorts the modules of an automatic installation into one kernel by what became of them.
type Summary struct {
	Succeeded []string // names, those that were installed before included
	Skipped   []string // names of modules that do not want this kernel
	Failed    []FailedModule
	Unmet     []UnmetModule  // not tried, in the order of their names: modules they depend on were not installed
	Hopeless  []dkms.Failure // not tried: they have failed before, and nothing has changed since
}

// FailedModule is a module that was tried.
type FailedModule struct {
	dkms.Module
	Err error
}

// UnmetModule is a module that was not tried.
type UnmetModule struct {
	Module   dkms.Module
	Missing  []string
	Circle   []string // see Part
	Deferred bool     // none of Missing is registered: they may come later, or from elsewhere
}

// Summary returns what became of the parts of the plan that were wished for on a kernel.
func (r *Report) Summary(t Target) Summary {
	var s Summary
	for _, i := range r.Plan.Present {
		if i.Kernel == t.Kernel && i.Arch == t.Arch {
			s.Succeeded = append(s.Succeeded, i.Name)
		}
	}
	for _, i := range r.Plan.Excluded {
		if i.Kernel == t.Kernel && i.Arch == t.Arch {
			s.Skipped = append(s.Skipped, i.Name)
		}
	}
	for _, f := range r.Plan.Hopeless {
		if i := f.Instance; i.Kernel == t.Kernel && i.Arch == t.Arch {
			s.Hopeless = append(s.Hopeless, f)
		}
	}
	for n, p := range r.Plan.Parts {
		if p.Why != Wished || p.Instance.Kernel != t.Kernel || p.Instance.Arch != t.Arch {
			continue
		}
		name := p.Instance.Name
		switch outcome, err := r.part(n); {
		case len(p.Unmet) > 0:
			s.Unmet = append(s.Unmet, UnmetModule{p.Instance.Module, p.Unmet, p.Circle, p.Deferred})
		case outcome == Excluded:
			s.Skipped = append(s.Skipped, name)
		case outcome == Failed:
			s.Failed = append(s.Failed, FailedModule{p.Instance.Module, err})
		case outcome == Blocked:
			s.Unmet = append(s.Unmet, UnmetModule{Module: p.Instance.Module, Missing: r.culprits(p)})
		default:
			s.Succeeded = append(s.Succeeded, name)
		}
	}
	slices.SortStableFunc(s.Unmet, func(a, b UnmetModule) int { return strings.Compare(a.Module.Name, b.Module.Name) })
	return s
}

// Stranded returns the modules that wait for others which are registered and were not installed.
func (s Summary) Stranded() []UnmetModule {
	return slices.DeleteFunc(slices.Clone(s.Unmet), func(u UnmetModule) bool { return u.Deferred })
}

// culprits returns the names of the modules that p needs and that were not installed.
func (r *Report) culprits(p Part) []string {
	var names []string
	for _, n := range p.Needs {
		if o, _ := r.part(n); o == Failed || o == Blocked {
			names = append(names, r.Plan.Parts[n].Instance.Name)
		}
	}
	return names
}

// part returns what became of a part: the first of its outcomes that is not success.
func (r *Report) part(n int) (Outcome, error) {
	for _, res := range r.Results {
		if res.Step.Part == n && res.Outcome != Done && res.Outcome != Unneeded {
			return res.Outcome, res.Err
		}
	}
	return Done, nil
}
