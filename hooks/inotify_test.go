package hooks_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"dkms-go/hooks"
)

// state is what a reconciliation of these tests makes equal to the directory: the names in it.
type state struct {
	mu    sync.Mutex
	names []string
	count atomic.Int32
	done  chan struct{} // has room for one: something was reconciled
}

func (s *state) reconcile(dir string) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) {
		ents, err := os.ReadDir(dir)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count.Add(1)
		s.names = nil
		for _, e := range ents {
			s.names = append(s.names, e.Name())
		}
		select {
		case s.done <- struct{}{}:
		default:
		}
		return false, err
	}
}

// until waits until the names are those wanted. The deadline only keeps a failure from hanging.
func (s *state) until(t *testing.T, want []string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		s.mu.Lock()
		got := slices.Clone(s.names)
		s.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-s.done:
		case <-deadline:
			t.Fatalf("reconciled to (-want +got):\n%s", cmp.Diff(want, got))
		}
	}
}

func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The kernel's own events, 20,000 and more of them, as 50 kernels come and go: in the end everything is as it should be, memory
// does not grow with the number of events, and a watcher that nothing happens to does nothing. Not parallel, for the figures.
func TestWatcherUnderLoad(t *testing.T) { //nolint:paralleltest // measures this process
	base := t.TempDir()
	modules := filepath.Join(base, "lib/modules")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &state{done: make(chan struct{}, 1)}
	w := &hooks.Watcher{
		Dirs:      []string{modules},
		Timing:    hooks.Timing{Settle: 20 * time.Millisecond, Limit: 200 * time.Millisecond, Every: 100 * time.Millisecond, Retry: time.Second},
		Reconcile: s.reconcile(modules), Open: hooks.Inotify, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	s.until(t, nil)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began, spent := time.Now(), cpu()
	const rounds, kernels = 100, 50
	for range rounds { // each makes 200 events: directory and file, made and deleted
		for k := range kernels {
			dir := filepath.Join(modules, fmt.Sprintf("6.1.0-%d-amd64", k))
			for _, err := range []error{
				os.Mkdir(dir, 0o755), os.WriteFile(dir+".tmp", nil, 0o644), os.Remove(dir + ".tmp"), os.Remove(dir),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var want []string
	for k := range kernels {
		if k%2 == 0 {
			name := fmt.Sprintf("6.12.%d-amd64", k)
			want = append(want, name)
			if err := os.Mkdir(filepath.Join(modules, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(want)
	s.until(t, want)
	took, used := time.Since(began), cpu()-spent
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d events: %v, of which %v CPU, the making of files included; %d reconciliations; heap grown by %d bytes", rounds*kernels*4, took, used, s.count.Load(), grown)
	if grown > 1<<20 {
		t.Errorf("heap grew by %d bytes, want less than 1 MiB", grown)
	}
	if n := s.count.Load(); n > 200 {
		t.Errorf("%d reconciliations, want far fewer than events", n)
	}

	// Idle, it looks every 100 ms and is asleep in between.
	began, spent = time.Now(), cpu()
	for range 5 {
		<-s.done
	}
	took, used = time.Since(began), cpu()-spent
	t.Logf("idle: %v CPU in %v", used, took)
	if used > took/5 {
		t.Errorf("idle: %v CPU in %v, want next to nothing", used, took)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := watching(); text != "" {
		t.Errorf("after Run these are at work:\n%s", text)
	}
}

// watching returns the stacks of goroutines that watch, but for those that are about to end.
func watching() string {
	var text string
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		var all bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&all, 2)
		text = ""
		for stack := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(stack, "fsnotify") || strings.Contains(stack, "dkms-go/hooks.") {
				text += stack + "\n\n"
			}
		}
		if text == "" {
			break
		}
	}
	return text
}

// The watched directory goes, with the watch on it, and comes again.
func TestWatcherOfRecreatedDirectory(t *testing.T) {
	t.Parallel()
	modules := filepath.Join(t.TempDir(), "lib/modules")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &state{done: make(chan struct{}, 1)}
	w := &hooks.Watcher{
		Dirs: []string{modules}, Timing: hooks.Timing{Settle: 20 * time.Millisecond, Limit: time.Second, Every: time.Hour, Retry: time.Hour},
		Open: hooks.Inotify, Log: slog.New(slog.DiscardHandler),
	}
	look := s.reconcile(modules)
	w.Reconcile = func(ctx context.Context) (bool, error) {
		_, _ = look(ctx) // without the directory it is an error
		return false, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for _, name := range []string{"6.1.0", "6.2.0", "6.3.0"} {
		dir := filepath.Join(modules, name)
		if err := os.MkdirAll(dir, 0o755); err != nil { // the directory too, from the second time on
			t.Fatal(err)
		}
		s.until(t, []string{name})
		if err := os.RemoveAll(modules); err != nil {
			t.Fatal(err)
		}
		s.until(t, nil)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
