package hooks_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dkms-go/conf/sysroot"
	"dkms-go/hooks"
)

// TestMain is also the process that holds a lock, as dpkg and rpm do, on the file that HOLD names until its input ends: a
// process does not see its own locks.
func TestMain(m *testing.M) {
	if file := os.Getenv("HOLD"); file != "" {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err == nil {
			err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		}
		fmt.Println("locked", err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestPackageManagerAtWork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, want string
		held       bool
	}{
		{"var/lib/dpkg/lock", "dpkg", true},
		{"var/lib/dpkg/lock", "", false},
		{"var/lib/dpkg/lock-frontend", "apt", true},
		{"var/lib/rpm/.rpm.lock", "rpm", true},
		{"usr/lib/sysimage/rpm/.rpm.lock", "rpm", true},
		{"usr/lib/sysimage/rpm/.rpm.lock", "", false},
		{"var/lib/pacman/db.lck", "pacman", false},
		{"etc/nothing", "", true},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, tt.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		root, err := sysroot.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		release := func() {}
		if tt.held {
			release = hold(t, file)
		}
		if got := hooks.PackageManagerAtWork(root); got != tt.want {
			t.Errorf("PackageManagerAtWork with %s (held: %v) = %q, want %q", tt.file, tt.held, got, tt.want)
		}
		release()
		if got := hooks.PackageManagerAtWork(root); tt.held && got != "" {
			t.Errorf("PackageManagerAtWork after %s is released = %q, want none", tt.file, got)
		}
	}
}

func hold(t *testing.T, file string) (release func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOLD="+file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked <nil>\n" {
		t.Fatal(line, err)
	}
	return func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	if err := (hooks.Notifier{}).Notify("READY=1"); err != nil {
		t.Errorf("Notify without a socket = %v, want nil", err)
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@dkms-" + strings.ReplaceAll(t.TempDir(), "/", "-")} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		if err := (hooks.Notifier{Socket: name}).Notify("READY=1", "STATUS=Watching"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := l.Read(buf)
		if got := string(buf[:n]); err != nil || got != "READY=1\nSTATUS=Watching" {
			t.Errorf("Notify at %s sent %q, %v", name, got, err)
		}
		_ = l.Close()
	}
	if err := (hooks.Notifier{Socket: "/nowhere"}).Notify("READY=1"); err == nil {
		t.Error("Notify at a socket that is not there = nil, want an error")
	}
}
