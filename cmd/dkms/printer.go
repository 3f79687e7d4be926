package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// printer is where everything that users see goes out. Nothing is buffered: stdout and stderr often end in the same file,
// and the order of the lines in it is part of what scripts compare.
//
// Where stderr is a terminal, or with --verbose, errors are followed by what dkms 3.4 does not say: the place in a file,
// the last lines of a log, what to type next. Elsewhere the text is exactly that of dkms 3.4.
type printer struct {
	out, err io.Writer
	verbose  bool
	terminal bool // stdout is one
	rich     bool // errors may say more than those of dkms 3.4

	live bool  // a view of what is at work is shown, so that there need be no other sign of life
	dots *dots // of the task that runs
}

func newPrinter(out, err io.Writer) *printer {
	return &printer{out: out, err: err, terminal: isTerminal(out), rich: isTerminal(err)}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// silence makes the rest of the run print nothing, as --quiet does.
func (p *printer) silence() { p.out, p.err = io.Discard, io.Discard }

// say prints a line on stdout.
func (p *printer) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// complain prints a line on stderr.
func (p *printer) complain(format string, args ...any) { fmt.Fprintf(p.err, format+"\n", args...) }

func (p *printer) warning(lines ...string) {
	p.complain("Warning: %s", strings.Join(lines, "\n"))
}

func (p *printer) failure(lines ...string) {
	p.complain("\nError! %s", strings.Join(lines, "\n"))
}

func (p *printer) deprecated(what string) { p.complain("Deprecated feature: %s", what) }

// hint prints a further line about an error, for eyes only.
func (p *printer) hint(format string, args ...any) {
	if p.rich {
		p.complain("  "+format, args...)
	}
}

// dots prints a full stop every three seconds until it is stopped, to show that something is still going on.
type dots struct {
	stop chan struct{}
	done sync.WaitGroup
}

func startDots(w io.Writer) *dots {
	d := &dots{stop: make(chan struct{})}
	d.done.Go(func() {
		tick := time.NewTicker(3 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprint(w, ".")
			case <-d.stop:
				return
			}
		}
	})
	return d
}

func (d *dots) end() {
	if d != nil {
		close(d.stop)
		d.done.Wait()
	}
}
