package proc_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dkms-go/dkms/proc"

	"golang.org/x/sync/errgroup"
)

// forever is longer than any of these tests may take.
const forever = time.Hour

// watch is a pipe whose write end the program inherits and nobody else has, so
// that the end of the file says that everybody is gone.
type watch struct{ r, w *os.File }

func newWatch(t *testing.T) watch {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return watch{r, w}
}

// wantLine waits until somebody writes a line.
func (w watch) wantLine(t *testing.T) {
	t.Helper()
	if line, err := bufio.NewReader(w.r).ReadString('\n'); err != nil {
		t.Fatalf("the program wrote %q: %v", line, err)
	}
}

// wantAllGone fails unless every process that inherited w ends. It waits for
// that, because a process that was killed takes a moment to go.
func (w watch) wantAllGone(t *testing.T) {
	t.Helper()
	w.w.Close()
	if err := w.r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, w.r); err != nil {
		t.Errorf("processes are left: %v", err)
	}
}

// cancelWhenReady starts c, whose script writes a line to descriptor 3 when it
// is ready, cancels it then and returns Run's error.
func cancelWhenReady(t *testing.T, h proc.Host, c proc.Cmd) (watch, error) {
	t.Helper()
	alive := newWatch(t)
	c.ExtraFiles = []*os.File{alive.w}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return h.Run(ctx, c) })
	alive.wantLine(t)
	cancel()
	return alive, group.Wait()
}

// The program gets SIGTERM and so does what it waits for, which would otherwise
// keep a shell from handling it.
func TestCancelAsksFirst(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := bash(`trap 'echo tidied; exit 9' TERM; bash -c 'echo >&3; exec sleep 1000'; exit 0`)
	c.Stdout = &out
	alive, err := cancelWhenReady(t, proc.Host{Grace: forever}, c)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	if got, want := out.String(), "tidied\n"; got != want {
		t.Errorf("after cancel the program wrote %q, want %q", got, want)
	}
	alive.wantAllGone(t)
}

func TestCancelInsists(t *testing.T) {
	t.Parallel()
	for _, confine := range []*proc.Confine{nil, {}} {
		c := bash(`trap '' TERM; sleep 1000 & echo >&3; sleep 1000; sleep 1000`)
		c.Confine = confine
		alive, err := cancelWhenReady(t, proc.Host{Grace: time.Millisecond}, c)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
		alive.wantAllGone(t)
	}
}

// A program that may write nowhere is not waited for.
func TestCancelHarmless(t *testing.T) {
	t.Parallel()
	c := bash(`trap '' TERM; echo >&3; sleep 1000; sleep 1000`)
	c.Confine = &proc.Confine{ReadOnly: true}
	alive, err := cancelWhenReady(t, proc.Host{Grace: forever}, c)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	alive.wantAllGone(t)
}

// A stopped program, as one that has read from the terminal, can be cancelled.
func TestCancelStopped(t *testing.T) {
	t.Parallel()
	alive, err := cancelWhenReady(t, proc.Host{Grace: forever}, bash(`
		(until grep -q '^State:.*T' /proc/$$/status; do :; done; echo >&3) &
		kill -STOP $$
		sleep 1000`))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	alive.wantAllGone(t)
}

func TestCancelCause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errFull)
	file := filepath.Join(t.TempDir(), "made")
	err := proc.Host{}.Run(ctx, proc.Cmd{Args: []string{"touch", file}, Env: []string{path}})
	if !errors.Is(err, errFull) {
		t.Errorf("Run = %v, want the cause %v", err, errFull)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("Run with a cancelled context started the program")
	}
}

func TestStragglersKilled(t *testing.T) {
	t.Parallel()
	alive := newWatch(t)
	c := bash(`sleep 1000 & trap '' TERM; sleep 1000 & exit 0`)
	c.ExtraFiles = []*os.File{alive.w}
	if err := (proc.Host{}).Run(t.Context(), c); err != nil {
		t.Errorf("Run = %v, want success", err)
	}
	alive.wantAllGone(t)
}

// A grandchild that has left the group and holds the pipe does not hold Run up,
// and nothing the program itself wrote is lost.
func TestGrandchildHoldsPipe(t *testing.T) {
	t.Parallel()
	release := newWatch(t)
	for _, size := range []int{0, 1, 65536, 1 << 20} {
		var out bytes.Buffer
		c := proc.Cmd{
			Args: []string{
				"bash", "-c",
				`setsid -f bash -c 'read -r <&3'; head -c $1 /dev/zero | tr '\0' x`, "bash", itoa(size),
			},
			Env:        []string{path},
			Stdout:     &out,
			ExtraFiles: []*os.File{release.r},
		}
		if err := (proc.Host{}).Run(t.Context(), c); err != nil {
			t.Errorf("Run = %v, want success", err)
		}
		if out.Len() != size {
			t.Errorf("Run delivered %d bytes, want %d", out.Len(), size)
		}
	}
	// The grandchildren end when their pipe does.
}

// A grandchild that never stops writing does not hold Run up either.
func TestGrandchildWrites(t *testing.T) {
	t.Parallel()
	var out firstBytes
	c := bash(`setsid -f timeout 20 yes; echo ready >&2; exit 4`)
	c.Stdout = &out
	var exit *proc.ExitError
	err := proc.Host{}.Run(t.Context(), c)
	if !errors.As(err, &exit) || exit.Status != 4 || exit.Tail != "ready\n" {
		t.Errorf("Run = %v, want status 4", err)
	}
}

// firstBytes throws away what it gets.
type firstBytes struct{}

func (*firstBytes) Write(p []byte) (int, error) { return len(p), nil }

// What a shell's process substitution has not written yet when the shell ends
// still arrives.
func TestLateOutput(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := bash(`exec > >(tr a-z A-Z); echo late; exit 0`)
	c.Stdout = &out
	if err := (proc.Host{}).Run(t.Context(), c); err != nil || out.String() != "LATE\n" {
		t.Errorf("Run = %v, output %q, want %q", err, &out, "LATE\n")
	}
}

// With a PID namespace of its own, a confined program takes everything along,
// also what has left the process group.
func TestConfinedBackgroundDies(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	alive := newWatch(t)
	c := bash(`setsid -f sleep 1000; (setsid bash -c 'trap "" TERM HUP; sleep 1000; sleep 1000' &) ; echo done`)
	c.ExtraFiles = []*os.File{alive.w}
	c.Confine = &proc.Confine{}
	var out strings.Builder
	c.Stdout = &out
	if err := (proc.Host{}).Run(t.Context(), c); err != nil || out.String() != "done\n" {
		t.Errorf("Run = %v, output %q, want %q", err, &out, "done\n")
	}
	alive.wantAllGone(t)
}
