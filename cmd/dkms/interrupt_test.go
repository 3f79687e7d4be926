package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ctrl-C in the middle of a build: the children are gone when the program is, nothing of the build is visible, and an older
// build is still there.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("adding a source tree by path needs root")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	write("lib/6.1.0/build/include/config/auto.conf", "")
	write("slow/Makefile", "")
	// The build opens the pipe for writing and holds it, in a child of its own, until that child is gone.
	write("slow/run", "echo partial > slow.ko\n(exec 3> "+pipe+"; echo building >&3; exec sleep 1000)\n")
	write("slow/dkms.conf", "PACKAGE_NAME=slow\nPACKAGE_VERSION=1\nDEST_MODULE_LOCATION=/kernel/misc\nMAKE=\"sh run\"\nSTRIP=no\n")

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "dkms")
	if err := os.Symlink(exe, tool); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(tool, "build", filepath.Join(dir, "slow"), "-k", "6.1.0",
		"--dkmstree", dir+"/var", "--sourcetree", dir+"/src", "--installtree", dir+"/lib")
	cmd.Args[0] = "dkms"
	cmd.Env = append(os.Environ(), "try_sign_modules=false")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(pipe) // returns when the build is at work
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("interrupted: %v, want exit status 130; printed\n%s", err, out.String())
	}
	// The end of file comes when the last child that holds the pipe is gone. The deadline only keeps a failure from hanging.
	if err := reader.SetReadDeadline(time.Now().Add(time.Minute)); err == nil {
		var rest bytes.Buffer
		if _, err := rest.ReadFrom(reader); err != nil {
			t.Errorf("a child of the build is still there: %v", err)
		}
	}
	if _, err := os.Stat(dir + "/var/slow/1/6.1.0"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something of the build is visible: %v", err)
	}
	ents, err := os.ReadDir(dir + "/var/slow/1/build")
	if err != nil || len(ents) > 0 {
		t.Errorf("the build directory holds %v, %v; want nothing", ents, err)
	}
	if !strings.Contains(out.String(), "Error! Interrupted.") {
		t.Errorf("printed\n%s\nwant a line about the interruption", out.String())
	}
}
