package main

import (
	"strings"
	"time"

	"dkms-go/dkms"
)

// failureList is what "dkms status --failed --json" prints. Fields are added, never changed or taken away.
type failureList struct {
	Failures []failureEntry `json:"failures"`
}

// failureEntry is a module that could not be built or installed for a kernel the last time.
type failureEntry struct {
	Module  string    `json:"module"`
	Version string    `json:"version"`
	Kernel  string    `json:"kernel"`
	Arch    string    `json:"arch"`
	Cause   string    `json:"cause"`
	Guess   string    `json:"guess,omitempty"` // a word for what the log tells, such as kernel-api or disk-full
	Subject string    `json:"subject,omitempty"`
	Lines   []string  `json:"lines,omitempty"` // the first error of the log
	Log     string    `json:"log,omitempty"`   // the log of the build that failed
	Time    time.Time `json:"time"`
}

// statusFailed lists what is remembered of failures. Its status says whether there are any.
func (s *session) statusFailed() error {
	list := failureList{Failures: []failureEntry{}}
	for _, filter := range s.filters() {
		fs, err := s.Tree.Failures(filter)
		if err != nil {
			return err
		}
		for _, f := range fs {
			i := f.Instance
			list.Failures = append(list.Failures, failureEntry{
				Module: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch, Cause: cause(f), Log: f.Log, Time: f.Time,
				Guess: f.Diagnosis.Cause, Subject: f.Diagnosis.Subject, Lines: f.Diagnosis.Lines,
			})
			if !s.json {
				s.sayFailure(f)
			}
		}
	}
	if s.json {
		if err := s.printJSON(list); err != nil {
			return err
		}
	}
	if len(list.Failures) > 0 {
		return reportedError{&dkms.Error{Kind: dkms.AutoinstallFailed}}
	}
	return nil
}

func (s *session) sayFailure(f dkms.Failure) {
	i := f.Instance
	s.say("%s, %s, %s: failed: %s", i.Module, i.Kernel, i.Arch, cause(f))
	for _, line := range f.Diagnosis.Lines {
		s.say("  %s", line)
	}
	if why, remedy := guess(f.Diagnosis, i); why != "" {
		s.say("  it seems that %s; %s", why, remedy)
	}
	if f.Log != "" {
		s.say("  see %s", f.Log)
	}
}

// cause says in one line why a build failed.
func cause(f dkms.Failure) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(f.Message, f.Instance.String()+": "), "\n")
	return strings.TrimSuffix(line, ":")
}
