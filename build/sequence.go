package build

import (
	"errors"
	"io"
	"os"
	"sync"

	"dkms-go/dkms"
)

// sequence puts the events of steps that are at work at the same time into the order of the plan. Those of the first step
// that has not ended go through at once, those of later ones wait for their turn.
type sequence struct {
	plan *Plan
	emit dkms.Emit

	mu          sync.Mutex
	waiting     [][]dkms.Event // by step
	ended       []bool
	front       int   // the first step that has not ended
	open        []int // the part whose events are going through, last, and those that it is inside of
	interrupted bool  // somebody has been told that the run was interrupted
}

func newSequence(p *Plan, emit dkms.Emit) *sequence {
	return &sequence{plan: p, emit: emit, waiting: make([][]dkms.Event, len(p.Steps)), ended: make([]bool, len(p.Steps))}
}

// emitter returns where the events of a step go.
func (q *sequence) emitter(n int) dkms.Emit {
	return func(e dkms.Event) {
		q.mu.Lock()
		defer q.mu.Unlock()
		if n == q.front {
			q.pass(e)
			return
		}
		q.waiting[n] = append(q.waiting[n], e)
	}
}

// end notes that a step has ended. If it was the first one, those after it have their turn.
func (q *sequence) end(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended[n] = true
	for q.front < len(q.ended) && q.ended[q.front] {
		q.front++
		if q.front < len(q.ended) {
			for _, e := range q.waiting[q.front] {
				q.pass(e)
			}
			q.waiting[q.front] = nil
		}
	}
}

// close ends the parts that are open.
func (q *sequence) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enter(-1)
}

// pass hands an event on. That the run was interrupted is told of once, for the first step that does not happen; what other
// steps had begun by then is taken back and not worth a word, but indexes that had to be written are.
func (q *sequence) pass(e dkms.Event) {
	if q.interrupted && q.plan.Steps[q.front].Action != Index {
		return
	}
	switch e := e.(type) {
	case StepBegun:
		q.enter(e.Step.Part)
	case StepEnded:
		var failure *dkms.Error
		if errors.As(e.Err, &failure) && failure.Kind == dkms.Interrupted {
			if q.interrupted {
				return
			}
			q.interrupted = true
		}
	}
	q.emit(e)
}

// enter tells that the steps of another part begin. A part whose steps are all blocked is never entered.
func (q *sequence) enter(part int) {
	for last := len(q.open) - 1; last >= 0 && !q.within(part, q.open[last]); last-- {
		q.emit(PartEnded{Part: q.plan.Parts[q.open[last]], Number: q.open[last]})
		q.open = q.open[:last]
	}
	if part < 0 || len(q.open) > 0 && q.open[len(q.open)-1] == part {
		return
	}
	q.open = append(q.open, part)
	q.emit(PartBegun{Part: q.plan.Parts[part], Number: part})
}

// within reports whether a part is another one or inside of it, as is the rebuilding of what was built with the other's module.
func (q *sequence) within(part, other int) bool {
	for part >= 0 && part != other && q.plan.Parts[part].Why == Rebuilt {
		part = q.plan.Parts[part].Needs[0]
	}
	return part == other
}

// Printed is what a program of a step has printed while other steps were at work.
type Printed struct {
	Text   string
	Stderr bool
}

// printing makes events of what is written to it.
type printing struct {
	emit   dkms.Emit
	stderr bool
}

var _ io.Writer = (*printing)(nil)

func (p *printing) Write(text []byte) (int, error) {
	p.emit(Printed{Text: string(text), Stderr: p.stderr})
	return len(text), nil
}

// oneFile reports whether two writers end in the same file, as after 2>&1.
func oneFile(a, b io.Writer) bool {
	fa, ok := a.(*os.File)
	if !ok {
		return false
	}
	fb, ok := b.(*os.File)
	if !ok {
		return false
	}
	ia, err := fa.Stat()
	if err != nil {
		return false
	}
	ib, err := fb.Stat()
	return err == nil && os.SameFile(ia, ib)
}
