package build

import "dkms-go/dkms"

// Summary sorts the modules of an automatic installation by what became of them.
type Summary struct {
	Succeeded []string // names, those that were installed before included
	Skipped   []string // names of modules that do not want this kernel
	Failed    []FailedModule
	Unmet     []UnmetModule // not tried: modules they depend on are registered and were not installed
	Deferred  []UnmetModule // not tried: modules they depend on are not registered
}

// FailedModule is a module that was tried.
type FailedModule struct {
	Name string
	Err  error
}

// UnmetModule is a module that was not tried.
type UnmetModule struct {
	Module  dkms.Module
	Missing []string
}

// Summary returns what became of the parts of the plan that were wished for.
func (r *Report) Summary() Summary {
	s := Summary{Succeeded: append([]string(nil), r.Plan.Present...)}
	for n, p := range r.Plan.Parts {
		if p.Why != Wished {
			continue
		}
		name := p.Instance.Name
		switch outcome, err := r.part(n); {
		case p.Deferred:
			s.Deferred = append(s.Deferred, UnmetModule{p.Instance.Module, p.Unmet})
		case len(p.Unmet) > 0:
			s.Unmet = append(s.Unmet, UnmetModule{p.Instance.Module, p.Unmet})
		case outcome == Excluded:
			s.Skipped = append(s.Skipped, name)
		case outcome == Failed:
			s.Failed = append(s.Failed, FailedModule{name, err})
		case outcome == Blocked:
			s.Unmet = append(s.Unmet, UnmetModule{p.Instance.Module, r.culprits(p)})
		default:
			s.Succeeded = append(s.Succeeded, name)
		}
	}
	return s
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
