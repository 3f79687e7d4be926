package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"dkms-go/build"
	"dkms-go/dkms"
)

// eventStream is what verbs that change something print with --json: one JSON object a line. Beside what begins and ends
// there is all the text that would have been printed, line by line, but for empty lines.
type eventStream struct {
	mu sync.Mutex
	w  io.Writer
}

// streamEvent is one line. Fields are added, never changed or taken away.
type streamEvent struct {
	Event       string `json:"event"` // step-begun, step-ended, task-begun, task-ended or text
	Action      string `json:"action,omitempty"`
	Module      string `json:"module,omitempty"`
	Version     string `json:"version,omitempty"`
	Kernel      string `json:"kernel,omitempty"`
	Arch        string `json:"arch,omitempty"`
	Skip        string `json:"skip,omitempty"` // why there is nothing to do
	Outcome     string `json:"outcome,omitempty"`
	Error       string `json:"error,omitempty"`
	Log         string `json:"log,omitempty"`
	Description string `json:"description,omitempty"`
	Command     string `json:"command,omitempty"`
	Status      *int   `json:"status,omitempty"` // of a command; of a failed step, what the program would exit with
	Stream      string `json:"stream,omitempty"` // of text: stdout or stderr
	Text        string `json:"text,omitempty"`
}

func (s *eventStream) line(e streamEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	enc := json.NewEncoder(s.w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(e) // nobody is left to be told
}

// emit prints the events that have a form of their own.
func (s *eventStream) emit(e dkms.Event) {
	switch e := e.(type) {
	case build.StepBegun:
		s.line(ofStep("step-begun", e.Step))
	case build.StepEnded:
		j := ofStep("step-ended", e.Step)
		j.Outcome = e.Outcome.String()
		if e.Err != nil {
			status := exitStatus(e.Err)
			j.Error, j.Status, j.Log = e.Err.Error(), &status, logOf(e.Err)
		}
		s.line(j)
	case build.TaskBegun:
		s.line(streamEvent{Event: "task-begun", Description: e.Description, Command: e.Command})
	case build.TaskEnded:
		s.line(streamEvent{Event: "task-ended", Command: e.Command, Status: &e.Status})
	}
}

// logOf returns the log that tells more about a failure, or "".
func logOf(err error) string {
	var e *dkms.Error
	if errors.As(err, &e) {
		return e.Log
	}
	return ""
}

func ofStep(event string, s build.Step) streamEvent {
	i := s.Instance
	return streamEvent{
		Event: event, Action: s.Action.String(), Module: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch, Skip: s.Skip.String(),
	}
}

// textStream makes events of lines that are written to it.
type textStream struct {
	*eventStream
	name    string
	partial []byte
}

func (t *textStream) Write(text []byte) (int, error) {
	t.partial = append(t.partial, text...)
	for {
		line, rest, ended := bytes.Cut(t.partial, []byte("\n"))
		if !ended {
			return len(text), nil
		}
		if len(line) > 0 {
			t.line(streamEvent{Event: "text", Stream: t.name, Text: string(line)})
		}
		t.partial = rest
	}
}
