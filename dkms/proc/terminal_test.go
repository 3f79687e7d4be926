package proc_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"dkms-go/dkms/proc"
)

// A program that may ask somebody something is in our own process group.
func TestTerminal(t *testing.T) {
	t.Parallel()
	group := func(c proc.Cmd) string {
		t.Helper()
		var out strings.Builder
		c.Args, c.Env, c.Stdout = []string{"/bin/sh", "-c", "ps -o pgid= -p $$"}, []string{"PATH=/usr/bin:/bin"}, &out
		if err := (proc.Host{}).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	text, err := exec.Command("sh", "-c", "ps -o pgid= -p $PPID").Output()
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.TrimSpace(string(text))
	if got := group(proc.Cmd{Terminal: true}); got != ours {
		t.Errorf("with Terminal the group is %s, want ours, %s", got, ours)
	}
	if got := group(proc.Cmd{}); got == ours {
		t.Errorf("without Terminal the group is ours, %s", got)
	}
}

// It ends with the context all the same.
func TestTerminalCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := (proc.Host{}).Run(ctx, proc.Cmd{Args: []string{"/bin/sleep", "1000"}, Terminal: true})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want %v", err, context.DeadlineExceeded)
	}
}
