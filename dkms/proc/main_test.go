package proc_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"dkms-go/dkms/proc"
)

func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	if len(os.Args) == 2 && (os.Args[1] == "orphan" || os.Args[1] == "orphan confined") {
		runForever(os.Args[1] == "orphan confined")
	}
	os.Exit(m.Run())
}

// runForever runs a program that writes a line to descriptor 3 and does not end
// by itself. TestDiesWithParent kills us meanwhile.
func runForever(confined bool) {
	c := bash("echo >&3; exec sleep 1000")
	c.ExtraFiles = []*os.File{os.NewFile(3, "alive")}
	if confined {
		c.Confine = &proc.Confine{User: true, ReadOnly: true}
	}
	_ = proc.Host{}.Run(context.Background(), c)
	os.Exit(1)
}

func TestDiesWithParent(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"orphan", "orphan confined"} {
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
