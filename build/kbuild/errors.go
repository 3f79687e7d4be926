package kbuild

import (
	"fmt"
	"strings"
	"time"
)

// EmptySourceError says that a source directory has fewer than two visible
// entries, as after loading an archive without sources.
type EmptySourceError struct{ Dir string }

func (e *EmptySourceError) Error() string {
	return fmt.Sprintf("directory %q does not hold module source", e.Dir)
}

// MakeError says that the make command failed.
type MakeError struct {
	Status  int
	Command string
	Log     string // the make.log, inside the root
	Tail    string // the lines of its output that say why, without a final newline
}

func (e *MakeError) Error() string {
	text := fmt.Sprintf("make failed with status %d", e.Status)
	if e.Tail != "" {
		text += ":\n  " + strings.ReplaceAll(e.Tail, "\n", "\n  ") + "\n"
	} else {
		text += ", "
	}
	return text + "see " + e.Log
}

// TimeoutError says that the commands of a build took longer than Job.Timeout
// and that the one at work was stopped. The log is kept.
type TimeoutError struct {
	After time.Duration
	Step  string // the description of the step at work, or the program
	Log   string
	err   error // *proc.ExitError, of what was stopped
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("the build took longer than %v and was stopped (%s), see %s", e.After, e.Step, e.Log)
}

// Unwrap returns the *proc.ExitError of the command that was stopped.
func (e *TimeoutError) Unwrap() error { return e.err }

// PatchProblem is what was wrong with a patch.
type PatchProblem string

// The problems a patch can have.
const (
	PatchDotDot  PatchProblem = "contains a .. path component"
	PatchMissing PatchProblem = "is missing"
	PatchFailed  PatchProblem = "does not apply"
)

// PatchError says that a patch could not be applied.
type PatchError struct {
	Name    string // as dkms.conf names it
	Problem PatchProblem
	Dir     string // where patches are looked for
	Log     string
}

func (e *PatchError) Error() string {
	if e.Problem == PatchFailed {
		return fmt.Sprintf("patch %q %s, see %s", e.Name, e.Problem, e.Log)
	}
	return fmt.Sprintf("patch %q %s (looked in %s)", e.Name, e.Problem, e.Dir)
}

// ScriptError says that a script of the module failed.
type ScriptError struct {
	Name   string // "pre_build", "post_build"
	Status int
	Log    string
}

func (e *ScriptError) Error() string {
	return fmt.Sprintf("%s script failed with status %d, see %s", e.Name, e.Status, e.Log)
}

// MissingProductError says that make succeeded without leaving a module that
// dkms.conf names.
type MissingProductError struct {
	Name string // location and name as in dkms.conf, with .ko
	Log  string
}

func (e *MissingProductError) Error() string {
	return fmt.Sprintf("make did not leave %q: check BUILT_MODULE_NAME and BUILT_MODULE_LOCATION, or see %s", e.Name, e.Log)
}
