package proc_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"dkms-go/dkms/proc"
)

func TestDescends(t *testing.T) {
	t.Parallel()
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = child.Wait()
	}()
	parent := os.Getppid()
	grandparent := ppid(t, parent)
	for _, tt := range []struct {
		who  string
		pid  int
		want bool
	}{
		{"parent", parent, true},
		{"grandparent", grandparent, true},
		{"child", child.Process.Pid, false},
		{"nobody", 0, false},
	} {
		if tt.pid == 0 {
			tt.want = false // the grandparent is outside of this pid namespace
		}
		if got := proc.Descends(tt.pid); got != tt.want {
			t.Errorf("Descends(%s, %d) = %v, want %v", tt.who, tt.pid, got, tt.want)
		}
	}
	for pid, want := range map[int]int{child.Process.Pid: os.Getpid(), parent: grandparent, 1 << 30: 0} {
		if got := proc.Parent(pid); got != want {
			t.Errorf("Parent(%d) = %d, want %d", pid, got, want)
		}
	}
}

// ppid asks ps.
func ppid(t *testing.T, pid int) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "ppid=", "-p", fmt.Sprint(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	parent, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return parent
}
