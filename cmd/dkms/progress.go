package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"dkms-go/build"
	"dkms-go/dkms"
)

// progress shows on a terminal what is at work, in lines below the text that the run prints: one for each step at work with
// module, kernel, phase and time, and one with the counts. It gets the text as well, and writes whole lines of it only, so
// that the two do not mix.
type progress struct {
	out  io.Writer
	size func() (width, height int)
	now  func() time.Time

	mu      sync.Mutex
	plan    *build.Plan
	begun   time.Time
	running map[int]*activity // by step
	left    map[int]int       // by part: steps that have not ended
	failed  map[int]bool      // by part
	drawn   int               // lines below the text
	partial []byte            // a line of text without its end
	stop    chan struct{}
	ticking sync.WaitGroup
}

// activity is a step at work.
type activity struct {
	phase string
	since time.Time
}

// Terminals smaller than this get lines of text only.
const (
	leastWidth  = 40
	leastHeight = 5
)

// terminalProgress returns the live view for stdout, or nil where there is no terminal that it fits on.
func terminalProgress(w io.Writer, termName string) *progress {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(w) || termName == "" || termName == "dumb" {
		return nil
	}
	v := &progress{out: w, now: time.Now, size: func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0, 0
		}
		return width, height
	}}
	if width, height := v.size(); width < leastWidth || height < leastHeight {
		return nil
	}
	return v
}

// watch is the build.Watch that feeds the view.
func (v *progress) watch(n int, e dkms.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if begun, ok := e.(build.RunBegun); ok {
		v.begin(begun.Plan)
	}
	if _, ended := e.(build.RunEnded); ended && v.plan != nil {
		v.end()
	}
	if v.plan == nil || n < 0 { // a boot image, which is told of when all else is done
		return
	}
	switch e := e.(type) {
	case build.StepBegun:
		if e.Step.Skip == build.Needed {
			v.running[n] = &activity{phase: e.Step.Action.String(), since: v.now()}
		}
	case build.TaskBegun:
		v.phase(n, e.Description)
	case build.Signing:
		v.phase(n, "Signing")
	case build.ScriptBegun:
		v.phase(n, "Running "+e.Name)
	case build.StepEnded:
		delete(v.running, n)
		if part := e.Step.Part; part >= 0 {
			v.left[part]--
			v.failed[part] = v.failed[part] || e.Outcome == build.Failed
		}
	default:
		return
	}
	v.draw()
}

func (v *progress) phase(n int, text string) {
	if a := v.running[n]; a != nil {
		a.phase = text
	}
}

// begin starts to show a plan, if it has something that takes time.
func (v *progress) begin(p *build.Plan) {
	builds := slices.ContainsFunc(p.Steps, func(s build.Step) bool { return s.Action == build.Build && s.Skip == build.Needed })
	if !builds {
		return
	}
	v.plan, v.begun = p, v.now()
	v.running, v.left, v.failed = map[int]*activity{}, map[int]int{}, map[int]bool{}
	for _, s := range p.Steps {
		if s.Part >= 0 {
			v.left[s.Part]++
		}
	}
	v.stop = make(chan struct{})
	v.ticking.Go(v.tick)
}

// tick keeps the times going.
func (v *progress) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			v.mu.Lock()
			v.draw()
			v.mu.Unlock()
		case <-v.stop:
			return
		}
	}
}

// end leaves nothing of the view on the screen.
func (v *progress) end() {
	close(v.stop)
	v.mu.Unlock() // tick may wait for it
	v.ticking.Wait()
	v.mu.Lock()
	v.erase()
	v.plan = nil
	_, _ = v.out.Write(v.partial)
	v.partial = nil
}

// Write writes text of the run above the view.
func (v *progress) Write(text []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.plan == nil {
		return v.out.Write(text)
	}
	v.partial = append(v.partial, text...)
	if end := bytes.LastIndexByte(v.partial, '\n'); end >= 0 {
		v.erase()
		if _, err := v.out.Write(v.partial[:end+1]); err != nil {
			return 0, err
		}
		v.partial = slices.Clone(v.partial[end+1:])
		v.draw()
	}
	return len(text), nil
}

// erase takes the lines below the text away.
func (v *progress) erase() {
	if v.drawn > 0 {
		fmt.Fprintf(v.out, "\r\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

// draw writes the lines below the text anew.
func (v *progress) draw() {
	if v.plan == nil {
		return
	}
	width, height := v.size()
	if width < leastWidth || height < leastHeight { // it has been made smaller
		v.erase()
		return
	}
	lines := v.lines(height - 2)
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", v.drawn)
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "%s\x1b[K\n", cut(line, width-1))
	}
	b.WriteString("\x1b[J")
	v.drawn = len(lines)
	_, _ = io.WriteString(v.out, b.String())
}

// cut shortens a line to a width.
func cut(line string, width int) string {
	if r := []rune(line); len(r) > width {
		return string(r[:width])
	}
	return line
}

// lines are the lines of the view, at most most of them.
func (v *progress) lines(most int) []string {
	var steps []int
	for n := range v.running {
		steps = append(steps, n)
	}
	slices.Sort(steps)
	var lines []string
	for _, n := range steps {
		if len(lines) == most-1 {
			break
		}
		a, i := v.running[n], v.plan.Steps[n].Instance
		what := i.Kernel
		if i.Name != "" {
			what = fmt.Sprintf("%s  %s", i.Module, i.Kernel)
		}
		lines = append(lines, fmt.Sprintf("  %s  %s  %s", what, a.phase, elapsed(v.now().Sub(a.since))))
	}
	return append(lines, v.counts(steps))
}

// counts is the last line of the view.
func (v *progress) counts(steps []int) string {
	busy := map[int]bool{}
	for _, n := range steps {
		busy[v.plan.Steps[n].Part] = true
	}
	delete(busy, -1)
	finished, failed := 0, 0
	for part, left := range v.left {
		if left == 0 {
			finished++
		}
		if v.failed[part] {
			failed++
		}
	}
	line := fmt.Sprintf("%d of %d done", finished, len(v.left))
	if failed > 0 {
		line += fmt.Sprintf(", %d failed", failed)
	}
	waiting := max(0, len(v.left)-finished-len(busy))
	return line + fmt.Sprintf(", %d at work, %d waiting, %s", len(busy), waiting, elapsed(v.now().Sub(v.begun)))
}

// elapsed formats a duration as minutes and seconds.
func elapsed(d time.Duration) string {
	s := int(d / time.Second)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
