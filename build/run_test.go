package build_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"dkms-go/build"
	"dkms-go/dkms/proc"
)

// worker makes a machine one that can build: without root, so that no namespaces are in the way.
func worker(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	// The sources are found by the host's programs, for the root is the host's.
	m.Runner = shell{dir: m.dir}
	m.Conf.Runner = m.Runner
	m.Host = build.Host{UID: 1, Root: m.Root}
	m.Now = time.Now
	m.Stdout, m.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	m.Options.Jobs = "2"
	return m
}

// shell stands for make and the compiler: it makes the products of a build after a while of its own.
type shell struct{ dir string }

func (s shell) Run(ctx context.Context, c proc.Cmd) error {
	text := strings.Join(c.Args, " ")
	dir := filepath.Join(s.dir, c.Dir)
	pause, err := os.ReadFile(filepath.Join(dir, "pause"))
	if err != nil || !strings.Contains(text, "mould") {
		return nil
	}
	wait, err := time.ParseDuration(strings.TrimSpace(string(pause)))
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
	}
	name, err := os.ReadFile(filepath.Join(dir, "name"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "lamp.ko"), name, 0o644)
}

// lamp registers a module that brings lamp.ko after a while.
func (m *machine) lamp(t *testing.T, name, pause string) {
	t.Helper()
	m.add(t, name, "1", "AUTOINSTALL=yes\nBUILT_MODULE_NAME=lamp\nMAKE=mould\nSTRIP=no\n")
	m.write(t, "usr/src/"+name+"-1/pause", pause)
	m.write(t, "usr/src/"+name+"-1/name", name)
}

func (m *machine) kernel(t *testing.T, release string) {
	t.Helper()
	for _, f := range []string{"build/include/config/auto.conf", "build/Module.symvers", "modules.order", "modules.builtin", "modules.dep"} {
		m.write(t, "lib/modules/"+release+"/"+f, "")
	}
	m.write(t, "tmp/.here", "")
	m.write(t, "etc/dkms/framework.conf.d/here.conf", "try_sign_modules=false\n")
}

// Whichever of two modules with the same file is built first, the same one is there in the end, and the same one archived.
func TestFinishOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	for _, pauses := range [][2]string{{"0s", "300ms"}, {"300ms", "0s"}} {
		m := worker(t)
		m.kernel(t, "6.1.0-1-test")
		m.lamp(t, "a", pauses[0])
		m.lamp(t, "b", pauses[1])
		p, err := m.Plan(t.Context(), build.Request{Goal: build.Sync, Targets: targets("6.1.0-1-test")})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Run(t.Context(), p).Err(); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{
			"lib/modules/6.1.0-1-test/updates/dkms/lamp.ko":              "b",
			"var/lib/dkms/b/original_module/6.1.0-1-test/x86_64/lamp.ko": "a",
		} {
			if got, err := os.ReadFile(filepath.Join(m.dir, file)); err != nil || string(got) != want {
				t.Errorf("with pauses %v: %s holds %q (%v), want %q", pauses, file, got, err, want)
			}
		}
	}
}

// Run leaves no goroutine behind, whether it comes to its end or is stopped.
func TestRunLeavesNoGoroutines(t *testing.T) { //nolint:paralleltest // it counts goroutines
	for _, stop := range []bool{false, true} {
		m := worker(t)
		m.kernel(t, "6.1.0-1-test")
		m.kernel(t, "6.1.0-2-test")
		for _, name := range []string{"a", "b", "c", "d"} {
			m.lamp(t, name, "50ms")
		}
		p, err := m.Plan(t.Context(), build.Request{Goal: build.Sync, Targets: targets("6.1.0-1-test", "6.1.0-2-test")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if stop {
			time.AfterFunc(20*time.Millisecond, cancel)
		}
		report := m.Run(ctx, p)
		cancel()
		if got := report.Interrupted() != nil; got != stop {
			t.Fatalf("Interrupted = %v, want %v: %v", got, stop, report.Err())
		}
		if text := ours(); text != "" {
			t.Errorf("after Run (stopped: %v) these are at work:\n%s", stop, text)
		}
	}
}

// ours returns the stacks of goroutines in this module's packages, but for tests. Those that are about to end may do so.
func ours() string {
	var text string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var all bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		text = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(stack, "dkms-go/") && !strings.Contains(stack, "testing.tRunner") {
				text += stack + "\n\n"
			}
		}
		if text == "" {
			break
		}
	}
	return text
}
