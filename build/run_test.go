package build_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"dkms-go/build"
	"dkms-go/dkms/proc"
)

// worker makes a machine one that can build: without root, so that no namespaces are in the way.
func worker(t *testing.T, s shell) *machine {
	t.Helper()
	m := newMachine(t)
	s.dir = m.dir
	m.Runner = s
	m.Conf.Runner = m.Runner
	m.Host = build.Host{UID: 1, Root: m.Root}
	m.Now = time.Now
	m.Stdout, m.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	m.Options.Jobs = "2"
	return m
}

// shell stands for make and the compiler: it makes the products of a build when it may.
type shell struct {
	dir  string
	made map[string]chan struct{}                       // by module: closed when it is made
	wait func(ctx context.Context, module string) error // until it may be made
}

func (s shell) Run(ctx context.Context, c proc.Cmd) error {
	name, err := os.ReadFile(filepath.Join(s.dir, c.Dir, "name"))
	if err != nil || !strings.Contains(strings.Join(c.Args, " "), "mould") {
		return nil // any other program
	}
	if err := s.wait(ctx, string(name)); err != nil {
		return err
	}
	defer close(s.made[string(name)])
	return os.WriteFile(filepath.Join(s.dir, c.Dir, "lamp.ko"), name, 0o644)
}

// lamp registers a module that brings lamp.ko.
func (m *machine) lamp(t *testing.T, name string) {
	t.Helper()
	m.add(t, name, "1", "AUTOINSTALL=yes\nBUILT_MODULE_NAME=lamp\nMAKE=mould\nSTRIP=no\n")
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
	for first, second := range map[string]string{"a": "b", "b": "a"} {
		made := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
		m := worker(t, shell{made: made, wait: func(ctx context.Context, module string) error {
			if module == second {
				select {
				case <-made[first]:
				case <-ctx.Done():
				}
			}
			return ctx.Err()
		}})
		m.kernel(t, "6.1.0-1-test")
		m.lamp(t, "a")
		m.lamp(t, "b")
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
				t.Errorf("with %s first: %s holds %q (%v), want %q", first, file, got, err, want)
			}
		}
	}
}

// Run leaves no goroutine behind, whether it comes to its end or is stopped.
func TestRunLeavesNoGoroutines(t *testing.T) { //nolint:paralleltest // it counts goroutines
	for _, stop := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		made := map[string]chan struct{}{}
		m := worker(t, shell{made: made, wait: func(ctx context.Context, _ string) error {
			if stop {
				cancel()
			}
			return ctx.Err()
		}})
		m.kernel(t, "6.1.0-1-test")
		for _, name := range []string{"a", "b", "c", "d"} {
			made[name] = make(chan struct{})
			m.lamp(t, name)
		}
		p, err := m.Plan(t.Context(), build.Request{Goal: build.Sync, Targets: targets("6.1.0-1-test")})
		if err != nil {
			t.Fatal(err)
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
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
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
