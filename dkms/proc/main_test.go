package proc_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"dkms-go/dkms/proc"
)

func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	if len(os.Args) == 2 && strings.HasPrefix(os.Args[1], "orphan") {
		runForever(os.Args[1])
	}
	if len(os.Args) == 2 && os.Args[1] == "no privacy" {
		fmt.Println(proc.Privacy(context.Background(), ""))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runForever runs a program that writes a line to descriptor 3 and does not end
// by itself. TestDiesWithParent kills us meanwhile.
func runForever(mode string) {
	c := bash("echo >&3; exec sleep 1000")
	c.ExtraFiles = []*os.File{os.NewFile(3, "alive")}
	switch mode {
	case "orphan confined":
		c.Confine = &proc.Confine{User: true, ReadOnly: true}
	case "orphan private":
		c.Private = &proc.Private{}
	}
	_ = proc.Host{}.Run(context.Background(), c)
	os.Exit(1)
}

func TestDiesWithParent(t *testing.T) {
	t.Parallel()
	modes := []string{"orphan", "orphan confined"}
	if proc.Privacy(t.Context(), "") == nil {
		modes = append(modes, "orphan private")
	}
	for _, mode := range modes {
		alive := newWatch(t)
		parent := exec.CommandContext(t.Context(), os.Args[0], mode)
		parent.ExtraFiles = []*os.File{alive.w}
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		alive.wantLine(t)
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait() // reports that it was killed
		alive.wantAllGone(t)
	}
}
