package proc_test

import (
	"bytes"
	"context"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"dkms-go/dkms/proc"
)

// Run leaves no goroutine behind, however the program ends.
func TestRunLeavesNoGoroutines(t *testing.T) { //nolint:paralleltest // it looks at all goroutines
	modes := map[string]proc.Cmd{"plain": {}, "confined": {Confine: &proc.Confine{User: true, ReadOnly: true}}}
	if proc.Privacy(t.Context(), "") == nil {
		modes["private"] = proc.Cmd{Private: &proc.Private{}}
	}
	ends := map[string]struct {
		script  string
		timeout time.Duration
		cancel  bool
	}{
		"by itself":       {script: "echo out; echo err >&2; cat"},
		"with stragglers": {script: "sleep 1000 & echo out"},
		"in time":         {script: "echo out; sleep 1000", timeout: 50 * time.Millisecond},
		"cancelled":       {script: "echo out; sleep 1000", cancel: true},
	}
	for mode, like := range modes {
		for end, e := range ends {
			ctx, cancel := context.WithCancel(t.Context())
			c := bash(e.script)
			c.Confine, c.Private, c.Timeout = like.Confine, like.Private, e.timeout
			c.Stdin = strings.NewReader("in")
			seen := &onWrite{f: func() {
				if e.cancel {
					cancel()
				}
			}}
			c.Stdout, c.Stderr = seen, &bytes.Buffer{}
			_ = proc.Host{}.Run(ctx, c) // how it ends is for other tests
			cancel()
			if text := ours(); text != "" {
				t.Errorf("%s, ended %s: these are at work:\n%s", mode, end, text)
			}
			if !seen.called && e.timeout == 0 { // the time may be over before it has begun
				t.Errorf("%s, ended %s: it did not run", mode, end)
			}
		}
	}
}

// onWrite calls f at what is written.
type onWrite struct {
	f      func()
	called bool
}

func (w *onWrite) Write(p []byte) (int, error) {
	w.called = true
	w.f()
	return len(p), nil
}

// ours returns the stacks of goroutines in this package and of os/exec, but for tests. Those that are about to end may do so.
func ours() string {
	var text string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		var all bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		text = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if (strings.Contains(stack, "dkms-go/") || strings.Contains(stack, "os/exec")) && !strings.Contains(stack, "testing.tRunner") {
				text += stack + "\n\n"
			}
		}
		if text == "" {
			break
		}
	}
	return text
}
