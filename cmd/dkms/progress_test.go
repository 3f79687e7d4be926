package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build"
	"dkms-go/dkms"
)

// screen is a terminal, as far as the view needs one.
type screen struct {
	lines  []string
	row    int
	column int
}

func (s *screen) Write(text []byte) (int, error) {
	for rest := text; len(rest) > 0; {
		var up int
		switch {
		case bytes.HasPrefix(rest, []byte("\x1b[J")):
			s.line(s.row)
			s.lines = append(s.lines[:s.row], s.lines[s.row][:s.column])
			rest = rest[3:]
		case bytes.HasPrefix(rest, []byte("\x1b[K")):
			s.line(s.row)
			s.lines[s.row] = s.lines[s.row][:s.column]
			rest = rest[3:]
		case rest[0] == 0x1b:
			if _, err := fmt.Sscanf(string(rest), "\x1b[%dA", &up); err != nil || up > s.row {
				return 0, fmt.Errorf("no such movement: %q", rest)
			}
			s.row -= up
			rest = rest[bytes.IndexByte(rest, 'A')+1:]
		case rest[0] == '\n':
			s.row++
			s.column = 0
			s.line(s.row)
			rest = rest[1:]
		case rest[0] == '\r':
			s.column = 0
			rest = rest[1:]
		default:
			s.line(s.row)
			line := s.lines[s.row]
			s.lines[s.row] = line[:s.column] + string(rest[:1]) + line[min(len(line), s.column+1):]
			s.column++
			rest = rest[1:]
		}
	}
	return len(text), nil
}

func (s *screen) line(n int) {
	for len(s.lines) <= n {
		s.lines = append(s.lines, "")
	}
}

func (s *screen) text() string { return strings.TrimRight(strings.Join(s.lines, "\n"), "\n") }

// twoBuilds is a plan that builds two modules.
func twoBuilds() *build.Plan {
	p := &build.Plan{}
	for n, name := range []string{"alpha", "beta"} {
		i := dkms.Instance{Module: dkms.Module{Name: name, Version: "1"}, Kernel: "6.1.0", Arch: "x86_64"}
		p.Parts = append(p.Parts, build.Part{Instance: i})
		p.Steps = append(p.Steps, build.Step{Action: build.Build, Instance: i, Part: n}, build.Step{Action: build.Install, Instance: i, Part: n})
	}
	return p
}

func TestProgress(t *testing.T) {
	t.Parallel()
	p, s := twoBuilds(), &screen{}
	clock := time.Unix(1000, 0)
	height := 24
	v := &progress{out: s, now: func() time.Time { return clock }, size: func() (int, int) { return 80, height }}
	show := func(what, want string) {
		t.Helper()
		if diff := cmp.Diff(want, s.text()); diff != "" {
			t.Errorf("%s: the screen shows (-want +got):\n%s", what, diff)
		}
	}
	v.watch(-1, build.RunBegun{Plan: p})
	v.watch(0, build.StepBegun{Step: p.Steps[0]})
	v.watch(2, build.StepBegun{Step: p.Steps[2]})
	clock = clock.Add(65 * time.Second)
	v.watch(0, build.TaskBegun{Description: "Building module(s)"})
	show("two builds", "  alpha/1  6.1.0  Building module(s)  1:05\n  beta/1  6.1.0  build  1:05\n0 of 2 done, 2 at work, 0 waiting, 1:05")

	fmt.Fprint(v, "Building module(s)...")
	show("a line of text without its end", "  alpha/1  6.1.0  Building module(s)  1:05\n  beta/1  6.1.0  build  1:05\n0 of 2 done, 2 at work, 0 waiting, 1:05")
	fmt.Fprint(v, " done.\nSigning")
	show("a line of text", "Building module(s)... done.\n  alpha/1  6.1.0  Building module(s)  1:05\n  beta/1  6.1.0  build  1:05\n0 of 2 done, 2 at work, 0 waiting, 1:05")

	height = 5 // room for the counts and one step less than there are
	v.watch(0, build.StepEnded{Step: p.Steps[0], Outcome: build.Failed})
	v.watch(1, build.StepEnded{Step: p.Steps[1], Outcome: build.Blocked})
	show("one has failed", "Building module(s)... done.\n  beta/1  6.1.0  build  1:05\n1 of 2 done, 1 failed, 1 at work, 0 waiting, 1:05")

	height = 2
	v.watch(2, build.StepEnded{Step: p.Steps[2]})
	show("a window that has become small", "Building module(s)... done.")
	height = 24
	v.watch(3, build.StepBegun{Step: p.Steps[3]})
	v.watch(3, build.StepEnded{Step: p.Steps[3]})
	v.watch(-1, build.RunEnded{})
	show("the end", "Building module(s)... done.\nSigning")
	fmt.Fprint(v, " done.\n")
	show("afterwards", "Building module(s)... done.\nSigning done.")
}

// TestProgressOfNothing: what is over at once is not worth a view.
func TestProgressOfNothing(t *testing.T) {
	t.Parallel()
	s := &screen{}
	v := &progress{out: s, now: time.Now, size: func() (int, int) { return 80, 24 }}
	p := &build.Plan{Steps: []build.Step{{Action: build.Build, Skip: build.AlreadyBuilt}}, Parts: []build.Part{{}}}
	v.watch(-1, build.RunBegun{Plan: p})
	v.watch(0, build.StepBegun{Step: p.Steps[0]})
	v.watch(0, build.StepEnded{Step: p.Steps[0]})
	v.watch(-1, build.RunEnded{})
	if s.text() != "" {
		t.Errorf("the screen shows %q, want nothing", s.text())
	}
}
