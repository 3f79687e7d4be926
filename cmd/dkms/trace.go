package main

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"dkms-go/build"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// trace records when the steps of a run were at work, and writes that as a file of the Trace Event Format that the
// trace viewers of Chrome and Perfetto show as a timeline. Steps at work at the same time are in different rows.
type trace struct {
	root *sysroot.Root
	file string // inside root
	now  func() time.Time
	fail func(error)

	mu     sync.Mutex
	begun  time.Time
	rows   []int // the step in each row, or -1
	open   map[int][]traceEvent
	events []traceEvent
}

// traceEvent is a complete event ("ph": "X") of the format. Times are in microseconds.
type traceEvent struct {
	Name     string            `json:"name"`
	Category string            `json:"cat"`
	Phase    string            `json:"ph"`
	Begin    int64             `json:"ts"`
	Duration int64             `json:"dur"`
	Process  int               `json:"pid"`
	Row      int               `json:"tid"`
	Args     map[string]string `json:"args,omitempty"`
}

// watch is the build.Watch that feeds the trace.
func (t *trace) watch(n int, e dkms.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := e.(type) {
	case build.RunBegun:
		if t.open == nil { // a command may run more than one plan
			t.begun, t.open = t.now(), map[int][]traceEvent{}
		}
	case build.RunEnded:
		t.write()
	case build.StepBegun:
		if e.Step.Skip == build.Needed {
			t.push(n, traceEvent{Name: e.Step.String(), Category: "step", Row: t.row(n)})
		}
	case build.TaskBegun:
		t.push(n, traceEvent{Name: e.Description, Category: "task", Args: map[string]string{"command": e.Command}})
	case build.TaskEnded:
		t.pop(n, "task", nil)
	case build.StepEnded:
		args := map[string]string{"outcome": e.Outcome.String()}
		if e.Err != nil {
			args["error"] = e.Err.Error()
		}
		for t.pop(n, "step", args) {
		}
		if row := slices.Index(t.rows, n); row >= 0 {
			t.rows[row] = -1
		}
	}
}

// row gives a step the first row that is free.
func (t *trace) row(n int) int {
	row := slices.Index(t.rows, -1)
	if row < 0 {
		row = len(t.rows)
		t.rows = append(t.rows, -1)
	}
	t.rows[row] = n
	return row
}

func (t *trace) push(n int, e traceEvent) {
	if before := t.open[n]; len(before) > 0 {
		e.Row = before[0].Row
	}
	e.Phase, e.Process, e.Begin = "X", 1, t.now().Sub(t.begun).Microseconds()
	t.open[n] = append(t.open[n], e)
}

// pop ends what was begun last in a step. It returns whether there was anything.
func (t *trace) pop(n int, category string, args map[string]string) bool {
	open := t.open[n]
	if len(open) == 0 {
		return false
	}
	e := open[len(open)-1]
	e.Duration = t.now().Sub(t.begun).Microseconds() - e.Begin
	if e.Category == category && args != nil {
		e.Args = args
	}
	t.open[n] = open[:len(open)-1]
	t.events = append(t.events, e)
	return true
}

func (t *trace) write() {
	data, err := json.Marshal(struct {
		Events []traceEvent `json:"traceEvents"`
		Unit   string       `json:"displayTimeUnit"`
	}{t.events, "ms"})
	if err == nil {
		err = t.root.WriteFile(t.file, append(data, '\n'), 0o644)
	}
	if err != nil {
		t.fail(err)
	}
}
