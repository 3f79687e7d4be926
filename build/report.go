package build

import (
	"errors"
	"slices"

	"dkms-go/dkms"
)

// Outcome is what became of a step.
type Outcome int

// The outcomes.
const (
	Done     Outcome = iota // what the step does is done
	Unneeded                // there was nothing to do
	Excluded                // the module does not want this kernel
	Failed
	Blocked // a step before it failed
)

// String returns the outcome in a word.
func (o Outcome) String() string {
	return [...]string{"done", "unneeded", "excluded", "failed", "blocked"}[o]
}

// Result is a step with its outcome.
type Result struct {
	Step    Step
	Outcome Outcome
	Err     error
}

// Report is what a run did, in the order of its plan.
type Report struct {
	Plan    *Plan
	Results []Result
}

// Interrupted returns the error of kind Interrupted that ended the run, or nil.
func (r *Report) Interrupted() error {
	for _, res := range r.Results {
		var e *dkms.Error
		if errors.As(res.Err, &e) && e.Kind == dkms.Interrupted {
			return res.Err
		}
	}
	return nil
}

// Installed reports whether the run installed a module for a kernel.
func (r *Report) Installed(t Target) bool {
	return slices.ContainsFunc(r.Results, func(res Result) bool {
		i := res.Step.Instance
		return res.Step.Action == Install && res.Outcome == Done && i.Kernel == t.Kernel && i.Arch == t.Arch
	})
}

// Err returns the first failure of the run, or nil. One target's failure does not hide behind another's success: dkms 3.4
// returns the status of the last kernel only.
func (r *Report) Err() error {
	for _, res := range r.Results {
		if res.Err != nil {
			return res.Err
		}
	}
	return nil
}
