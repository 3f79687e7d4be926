package dkms

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Inputs is what a build is made from. Every field but Stamp is a digest, or a text that changes when the thing changes;
// equal Inputs make equal modules.
type Inputs struct {
	Source     string `json:"source"`     // the source tree: names, modes, contents
	Overrides  string `json:"overrides"`  // the administrator's patches and scripts for the module
	Directives string `json:"directives"` // what dkms.conf and its override files come to for this kernel
	Symvers    string `json:"symvers"`    // Module.symvers of the headers
	Config     string `json:"config"`     // auto.conf of the headers
	Compiler   string `json:"compiler"`   // the program that compiles

	// Stamp is a digest of names, sizes, times and inode numbers of all of it. While that is the same nothing need be read.
	Stamp string `json:"stamp"`
}

// Changed names what differs between two builds, in the words that users see; nil when nothing does.
func (in Inputs) Changed(now Inputs) []string {
	var names []string
	for _, f := range []struct{ what, then, now string }{
		{"source", in.Source, now.Source},
		{"patches and scripts in /etc/dkms", in.Overrides, now.Overrides},
		{"dkms.conf", in.Directives, now.Directives},
		{"Module.symvers of the kernel", in.Symvers, now.Symvers},
		{"configuration of the kernel", in.Config, now.Config},
		{"compiler", in.Compiler, now.Compiler},
	} {
		if f.then != f.now {
			names = append(names, f.what)
		}
	}
	return names
}

// inputsFile is beside the directories log and module of a build result. A dkms that does not know it deletes it together
// with them.
const inputsFile = ".inputs"

// NoteInputs keeps what a build result is made from beside it, so that one can see later whether it still is.
func (s *Stage) NoteInputs(in Inputs) error { return s.tree.noteInputs(s.dir, in) }

// UpdateInputs keeps in for the build result of i, which is made from the same in other files.
func (t *Tree) UpdateInputs(i Instance, in Inputs) error { return t.noteInputs(t.BaseDir(i), in) }

func (t *Tree) noteInputs(dir string, in Inputs) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return t.root.WriteFile(path.Join(dir, inputsFile), append(data, '\n'), 0o644)
}

// Inputs returns what the build result of i is made from. Builds of another dkms, and files that cannot be understood, have
// none; that is no error.
func (t *Tree) Inputs(i Instance) (Inputs, bool) {
	var in Inputs
	return in, t.record(path.Join(t.BaseDir(i), inputsFile), &in)
}

// record reads a file that holds one value.
func (t *Tree) record(abs string, v any) bool {
	data, err := t.root.ReadFile(abs)
	return err == nil && json.Unmarshal(data, v) == nil
}

// Failure is what is remembered of a build that failed, until a later one of the same instance succeeds.
type Failure struct {
	Instance Instance  `json:"-"`
	Inputs   Inputs    `json:"inputs"`
	Message  string    `json:"message"`       // one line
	Log      string    `json:"log,omitempty"` // what make said, kept for as long as the failure is
	Time     time.Time `json:"time"`

	Diagnosis Diagnosis `json:"diagnosis"`
}

// failureDir holds the failures of a module version: a file for each kernel, and its log beside it. Being hidden, it is no
// kernel directory for any dkms.
func (t *Tree) failureDir(m Module) string { return path.Join(t.ModuleDir(m), ".failed") }

func (t *Tree) failureFile(i Instance) string {
	return path.Join(t.failureDir(i.Module), i.Kernel+","+i.Arch)
}

// NoteFailure remembers f. The log named there is copied: the next build in the same directory would overwrite it.
func (t *Tree) NoteFailure(f Failure) error {
	i := f.Instance
	if err := i.Check(); err != nil {
		return err
	}
	if err := t.root.MkdirAll(t.failureDir(i.Module), 0o755); err != nil {
		return fmt.Errorf("remember that %s failed: %w", i, err)
	}
	if f.Log != "" {
		kept := t.failureFile(i) + ".log"
		if err := t.root.Copy(f.Log, kept, 0o644); err == nil {
			f.Log = kept
		}
	}
	data, err := json.Marshal(f)
	if err == nil {
		err = t.root.WriteFile(t.failureFile(i)+".json", append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("remember that %s failed: %w", i, err)
	}
	return nil
}

// Failure returns what is remembered of i.
func (t *Tree) Failure(i Instance) (Failure, bool) {
	f := Failure{Instance: i}
	ok := t.record(t.failureFile(i)+".json", &f)
	return f, ok
}

// Failures returns what is remembered of the instances that match, in the order of their names.
func (t *Tree) Failures(f Filter) ([]Failure, error) {
	ms, err := t.Modules(f)
	if err != nil {
		return nil, err
	}
	var fs []Failure
	for _, m := range ms {
		ents, err := t.root.ReadDir(t.failureDir(m))
		if err != nil {
			continue
		}
		for _, e := range ents {
			name, ok := strings.CutSuffix(e.Name(), ".json")
			k, a, two := strings.Cut(name, ",")
			if !ok || !two || !fits(f.Kernel, k) || !fits(f.Arch, a) {
				continue
			}
			if failure, ok := t.Failure(Instance{Module: m, Kernel: k, Arch: a}); ok {
				fs = append(fs, failure)
			}
		}
	}
	slices.SortStableFunc(fs, func(a, b Failure) int { return strings.Compare(a.Instance.String(), b.Instance.String()) })
	return fs, nil
}

// ForgetFailures forgets everything that failed for a kernel, because the kernel goes.
func (t *Tree) ForgetFailures(kernel, arch string) error {
	fs, err := t.Failures(Filter{Kernel: kernel, Arch: arch})
	errs := []error{err}
	for _, f := range fs {
		errs = append(errs, t.ForgetFailure(f.Instance))
	}
	return errors.Join(errs...)
}

// ForgetFailure forgets that i failed.
func (t *Tree) ForgetFailure(i Instance) error {
	file := t.failureFile(i)
	err := errors.Join(t.removeFile(file+".json"), t.removeFile(file+".log"))
	if err != nil {
		return err
	}
	if ents, err := t.root.ReadDir(t.failureDir(i.Module)); err == nil && len(ents) == 0 {
		return t.root.Remove(t.failureDir(i.Module))
	}
	return nil
}
