package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watched is an image, and the program watching it.
type watched struct {
	*testing.T
	root     string
	cmd      *exec.Cmd
	notify   *net.UnixConn
	messages chan string
	log      bytes.Buffer
}

// newWatched makes an image with a module that leaves a line in the file builds each time that it is built.
func newWatched(t *testing.T) *watched {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("working on an image needs root")
	}
	w := &watched{T: t, root: t.TempDir()}
	if err := makeImage(w.root, "bash", "sh", "cat"); err != nil {
		t.Fatal(err)
	}
	w.write("etc/dkms/framework.conf", "try_sign_modules=false\n")
	w.write("etc/dkms/dkms.toml", "[watch]\nsettle = \"20ms\"\nevery = \"1h\"\n")
	w.write("usr/src/lamp-1/dkms.conf", "PACKAGE_NAME=lamp\nPACKAGE_VERSION=1\nDEST_MODULE_LOCATION=/kernel/misc\nMAKE=\"sh ./run $kernelver\"\nAUTOINSTALL=yes\nSTRIP=no\n")
	w.write("usr/src/lamp-1/run", "echo $1 >> /builds\n[ ! -p /pipe ] || { echo building > /pipe; cat /pipe; }\necho lamp > lamp.ko\n")
	w.write("builds", "")
	w.link("/usr/src/lamp-1", "var/lib/dkms/lamp/1/source")
	return w
}

func (w *watched) write(name, text string) {
	w.Helper()
	abs := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(abs, []byte(text), 0o755); err != nil {
		w.Fatal(err)
	}
}

func (w *watched) link(target, name string) {
	w.Helper()
	abs := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.Symlink(target, abs); err != nil {
		w.Fatal(err)
	}
}

func (w *watched) read(name string) string {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(w.root, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
	return string(text)
}

// start starts the program.
func (w *watched) start() {
	w.Helper()
	exe, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	tool := filepath.Join(w.TempDir(), "dkms")
	if err := os.Symlink(exe, tool); err != nil {
		w.Fatal(err)
	}
	socket := filepath.Join(w.TempDir(), "n")
	if w.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"}); err != nil {
		w.Fatal(err)
	}
	w.messages = make(chan string, 10000) // the socket itself has room for few
	go func() {
		defer close(w.messages)
		buf := make([]byte, 4096)
		for {
			n, err := w.notify.Read(buf)
			if err != nil {
				return
			}
			w.messages <- string(buf[:n])
		}
	}()
	w.cmd = exec.Command(tool, "watch", "--root", w.root)
	w.cmd.Args[0] = "dkms"
	w.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "JOURNAL_STREAM=8:1", "WATCHDOG_USEC=40000")
	w.cmd.Stdout, w.cmd.Stderr = &w.log, &w.log
	if err := w.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = w.cmd.Process.Kill(); _ = w.notify.Close() })
}

// hears waits for a message to the service manager.
func (w *watched) hears(want string) {
	w.Helper()
	deadline := time.After(time.Minute) // only keeps a failure from hanging
	for {
		select {
		case m := <-w.messages:
			if regexp.MustCompile(`(?m)^` + want).MatchString(m) {
				return
			}
		case <-deadline:
			_ = w.cmd.Process.Kill()
			_ = w.cmd.Wait()
			w.Fatalf("no message %q; the log is\n%s", want, w.log.String())
		}
	}
}

// stop ends the program and returns what it printed.
func (w *watched) stop() string {
	w.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.Errorf("watch ended with %v; the log is\n%s", err, w.log.String())
	}
	return w.log.String()
}

// Headers arrive piece by piece. The module is built once, when they are complete.
func TestWatchBuildsOnceComplete(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.start()
	w.hears("READY=1")
	w.hears("STATUS=Watching")
	const k = "lib/modules/6.1.0-9"
	for _, step := range []func(){
		func() { w.write(k+"/modules.dep", "") },
		func() { w.link("/usr/src/headers", k+"/build"); w.write(k+"/modules.builtin", "") },
		func() { w.write("usr/src/headers/Makefile.dpkg-new", "all:\n") },
		func() { w.write("usr/src/headers/include/config/auto.conf", "CONFIG_X=y\n") },
		func() { w.write("usr/src/headers/include/generated/autoconf.h", "#define CONFIG_X\n") },
		func() { w.write("usr/src/headers/Module.symvers", "") },
		func() { w.write("usr/src/headers/scripts/mod/modpost", "#!/bin/sh\n") },
		func() { w.write("usr/src/headers/include/generated/utsrelease.h", "#define UTS_RELEASE \"6.1.0-9\"\n") },
		func() { w.write("usr/src/headers/Makefile", "all:\n") },
	} {
		step()
		w.write("usr/src/bell", "") // the top of a watched directory
		w.hears("STATUS=Looking")
		w.hears("STATUS=W")
		if got := w.read("builds"); got != "" {
			t.Fatalf("built %q with incomplete headers", got)
		}
	}
	if err := os.Remove(filepath.Join(w.root, "usr/src/headers/Makefile.dpkg-new")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.write("usr/src/bell", "")
		w.hears("STATUS=Looking")
		w.hears("STATUS=Watching")
	}
	log := w.stop()
	if got := w.read("builds"); got != "6.1.0-9\n" {
		t.Errorf("built for %q, want 6.1.0-9 once", got)
	}
	if w.read(k+"/updates/dkms/lamp.ko") == "" {
		t.Error("the module is not installed")
	}
	for _, line := range strings.SplitAfter(log, "\n") {
		if line != "" && !strings.HasPrefix(line, "level=") {
			t.Errorf("a line of the log begins with something else than its level: %s", line)
		}
	}
	for _, want := range []string{`msg=build module=lamp/1 kernel=6.1.0-9`, `missing=/lib/modules/6.1.0-9/build/Makefile`} {
		if strings.Count(log, want) == 0 {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// headers makes a kernel with complete headers at once: nobody sees a part of it.
func (w *watched) headers(release string) {
	w.Helper()
	dir := "arriving/" + release
	for name, text := range map[string]string{
		"/modules.dep": "", "/modules.builtin": "", "/build/Makefile": "all:\n", "/build/.config": "CONFIG_X=y\n", "/build/Module.symvers": "",
		"/build/include/config/auto.conf": "CONFIG_X=y\n", "/build/include/generated/autoconf.h": "#define CONFIG_X\n",
		"/build/include/generated/utsrelease.h": "#define UTS_RELEASE \"" + release + "\"\n", "/build/scripts/mod/modpost": "#!/bin/sh\n",
	} {
		w.write(dir+name, text)
	}
	if err := os.MkdirAll(filepath.Join(w.root, "lib/modules"), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.Rename(filepath.Join(w.root, dir), filepath.Join(w.root, "lib/modules", release)); err != nil {
		w.Fatal(err)
	}
}

// SIGHUP reads the settings again and looks at once; the watchdog hears of it all the time.
func TestWatchHangUp(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	w.write("etc/dkms/dkms.toml", "[watch]\nsettle = \"1h\"\nevery = \"1h\"\n")
	w.start()
	w.hears("READY=1")
	w.hears("STATUS=Watching$")
	w.headers("6.1.0-9")
	w.write("etc/dkms/dkms.toml", "[watch]\nsettle = \"20ms\"\nevery = \"1h\"\n")
	if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	w.hears("RELOADING=1\nMONOTONIC_USEC=[0-9]+$")
	w.hears("READY=1")
	w.hears("STATUS=Looking")
	w.hears("STATUS=Watching$")
	w.hears("WATCHDOG=1")
	if got := w.read("builds"); got != "6.1.0-9\n" {
		t.Errorf("built for %q, want 6.1.0-9", got)
	}
	w.headers("6.1.0-10")                                                 // with the new settings that is noticed at once
	for w.read("lib/modules/6.1.0-10/updates/dkms/lamp.ko") != "lamp\n" { // another look may still be under way
		w.hears("STATUS=Watching$")
	}
	w.stop()
	if got := w.read("builds"); got != "6.1.0-9\n6.1.0-10\n" {
		t.Errorf("built for %q, want 6.1.0-9 and 6.1.0-10", got)
	}
}

// SIGTERM in the middle of a build ends it, and leaves nothing of it.
func TestWatchStopsBuilds(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	if err := syscall.Mkfifo(filepath.Join(w.root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.headers("6.1.0-9")
	w.start()
	pipe, err := os.Open(filepath.Join(w.root, "pipe")) // returns when the build is at work
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	w.stop()
	w.hears("STOPPING=1")
	if _, err := os.Stat(filepath.Join(w.root, "var/lib/dkms/lamp/1/6.1.0-9")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something of the build is visible: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.root, "var/lib/dkms/lamp/1/.failed")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the interruption counts as a failure: %v", err)
	}
}

// A full disk stops a build, not the watcher; when there is room the module is built.
func TestWatchOnFullDisk(t *testing.T) {
	t.Parallel()
	w := newWatched(t)
	registry := filepath.Join(w.root, "var/lib/dkms")
	if err := unix.Mount("tmpfs", registry, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(registry, unix.MNT_DETACH) })
	w.link("/usr/src/lamp-1", "var/lib/dkms/lamp/1/source")
	filler := filepath.Join(registry, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("WriteFile = %v, want no space left", err)
	}
	w.headers("6.1.0-9")
	w.start()
	w.hears("STATUS=Looking")
	w.hears("STATUS=Watching$")
	if got := w.read("builds"); got != "" {
		t.Errorf("built for %q without room", got)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.write("usr/src/bell", "")
	w.hears("STATUS=Looking")
	w.hears("STATUS=Watching$")
	if log := w.stop(); !strings.Contains(log, "no space left") {
		t.Errorf("the log does not tell of the full disk:\n%s", log)
	}
	if got := w.read("builds"); got != "6.1.0-9\n" {
		t.Errorf("built for %q, want 6.1.0-9 once", got)
	}
}
