package kbuild

// Event is something a screen may want to show: Begin, End or NotExecutable.
// Events of one job arrive one after the other, from the goroutine that runs
// it.
type Event interface{ event() }

// Begin says that a step starts.
type Begin struct {
	Description string // "Building module(s)"
	Command     string // what the shell runs
	Quiet       bool   // no progress dots for this job
}

// End says that the step begun last has ended.
type End struct {
	Command string
	Status  int // 0 is success
}

// NotExecutable says that a script named in dkms.conf is missing or not
// executable and was skipped.
type NotExecutable struct {
	Script string // "pre_build", "post_build"
}

func (Begin) event()         {}
func (End) event()           {}
func (NotExecutable) event() {}

func (j *Job) report(e Event) {
	if j.Report != nil {
		j.Report(e)
	}
}
