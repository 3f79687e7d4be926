package hooks_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"

	"dkms-go/hooks"
)

// fake is a source of events that a test feeds.
type fake struct {
	events chan fsnotify.Event
	errors chan error
	absent map[string]bool
	added  []string
}

func newFake() *fake {
	return &fake{events: make(chan fsnotify.Event), errors: make(chan error), absent: map[string]bool{}}
}

func (f *fake) Add(dir string) error {
	if f.absent[dir] {
		return fmt.Errorf("watch %s: %w", dir, fs.ErrNotExist)
	}
	f.added = append(f.added, dir)
	return nil
}
func (f *fake) Events() <-chan fsnotify.Event { return f.events }
func (f *fake) Errors() <-chan error          { return f.errors }
func (f *fake) Close() error                  { return nil }

// scene is a watcher in a bubble of made-up time, and when it reconciled: seconds since it began.
type scene struct {
	*fake
	*hooks.Watcher
	began  time.Time
	at     []float64
	cancel context.CancelFunc
	ended  chan error
	reload chan os.Signal
	log    strings.Builder
}

// begin starts a watcher with the usual times: settle 2, limit 9.75, every 600, retry 30 seconds.
func begin(t *testing.T, reconcile func(ctx context.Context, n int) (bool, error)) *scene {
	t.Helper()
	s := &scene{fake: newFake(), began: time.Now(), ended: make(chan error, 1), reload: make(chan os.Signal)}
	s.Watcher = &hooks.Watcher{
		Dirs:   []string{"/lib/modules", "/usr/src"},
		Timing: hooks.Timing{Settle: 2 * time.Second, Limit: 9750 * time.Millisecond, Every: 10 * time.Minute, Retry: 30 * time.Second},
		Reconcile: func(ctx context.Context) (bool, error) {
			s.at = append(s.at, time.Since(s.began).Seconds())
			return reconcile(ctx, len(s.at))
		},
		Open: func() (hooks.Source, error) { return s.fake, nil }, Reload: s.reload,
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.ended <- s.Run(ctx) }()
	synctest.Wait()
	return s
}

func (s *scene) event(op fsnotify.Op, name string) {
	s.events <- fsnotify.Event{Name: name, Op: op}
	synctest.Wait()
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble: no time at all
	synctest.Wait()
}

func (s *scene) end(t *testing.T) {
	t.Helper()
	s.cancel()
	if err := <-s.ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func (s *scene) want(t *testing.T, at ...float64) {
	t.Helper()
	if diff := cmp.Diff(at, s.at); diff != "" {
		t.Errorf("reconciled at (-want +got):\n%s", diff)
	}
}

func fine(context.Context, int) (bool, error) { return false, nil }

func TestWatcherSettles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, fine)
		pass(5 * time.Second)
		for range 4 { // at 5, 6, 7, 8
			s.event(fsnotify.Create, "/lib/modules/6.1.0")
			pass(time.Second)
		}
		pass(21 * time.Second)
		for range 25 { // from 30 to 54: it never becomes quiet
			s.event(fsnotify.Write, "/usr/src/x")
			pass(time.Second)
		}
		pass(11 * time.Minute)
		s.end(t)
		s.want(t, 0, 10, 39.75, 49.75, 56, 656)
	})
}

// Nothing that happens besides the watched directories, and no change of mode, rings the bell.
func TestWatcherIgnores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, fine)
		s.event(fsnotify.Create, "/usr/lib")
		s.event(fsnotify.Create, "/lib/x")
		s.event(fsnotify.Chmod, "/lib/modules/6.1.0")
		pass(time.Minute)
		s.end(t)
		s.want(t, 0)
	})
}

// What happens while modules are being built is looked at afterwards, once.
func TestWatcherWhileBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, func(_ context.Context, n int) (bool, error) {
			if n == 1 {
				time.Sleep(time.Minute)
			}
			return false, nil
		})
		for range 1000 {
			s.event(fsnotify.Create, "/usr/src/x")
		}
		pass(2 * time.Minute)
		s.end(t)
		s.want(t, 0, 62)
	})
}

// Headers that are not complete are looked at again, less and less often, and at once when something happens.
func TestWatcherWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, func(_ context.Context, n int) (bool, error) { return n < 6, nil })
		pass(211 * time.Second) // 30, 90, 210
		s.event(fsnotify.Create, "/usr/src/x")
		pass(30 * time.Minute)
		s.end(t)
		s.want(t, 0, 30, 90, 210, 213, 693, 1293, 1893)
	})
}

func TestWatcherSurvives(t *testing.T) {
	t.Parallel()
	full := fmt.Errorf("write make.log: %w", syscall.ENOSPC)
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, func(_ context.Context, n int) (bool, error) {
			if n < 3 {
				return false, full
			}
			return false, nil
		})
		pass(time.Second)
		s.errors <- fsnotify.ErrEventOverflow // at 1: everything may have happened
		pass(time.Second)
		s.errors <- errors.New("a directory that cannot be read") // at 2
		pass(20 * time.Minute)
		s.end(t)
		s.want(t, 0, 4, 604)
		if got := s.log.String(); strings.Count(got, "no space left on device") != 2 {
			t.Errorf("log is\n%s\nwant two errors about the disk", got)
		}
		want := []string{"/lib", "/lib/modules", "/usr", "/usr/src"}
		if got := s.added[len(s.added)-4:]; !slices.Equal(got, want) || len(s.added) != 12 {
			t.Errorf("watches set: %v, want %v three times", s.added, want)
		}
	})
}

// A directory that goes and comes again is watched again; dpkg does that with an empty /lib/modules.
func TestWatcherFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, fine)
		s.absent["/lib/modules"] = true
		s.event(fsnotify.Remove, "/lib/modules")
		pass(time.Minute) // reconciles at 2
		s.added = nil
		s.absent["/lib/modules"] = false
		s.event(fsnotify.Create, "/lib/modules")
		if !slices.Equal(s.added, []string{"/lib/modules"}) {
			t.Errorf("watches set: %v, want /lib/modules", s.added)
		}
		s.event(fsnotify.Create, "/lib/modules/6.1.0")
		pass(time.Minute)
		s.end(t)
		s.want(t, 0, 2, 62)
	})
}

func TestWatcherReloads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{}
		*s = scene{fake: newFake(), began: time.Now(), ended: make(chan error, 1), reload: make(chan os.Signal)}
		times := []hooks.Timing{{Settle: time.Second, Every: time.Minute}}
		w := &hooks.Watcher{
			Dirs: []string{"/usr/src"}, Timing: hooks.Timing{Settle: time.Hour, Limit: time.Hour, Every: time.Hour, Retry: time.Hour},
			Reconcile: func(context.Context) (bool, error) {
				s.at = append(s.at, time.Since(s.began).Seconds())
				return false, nil
			},
			Open: func() (hooks.Source, error) { return s.fake, nil }, Reload: s.reload,
			Settings: func() (hooks.Timing, error) {
				if len(times) == 0 {
					return hooks.Timing{}, errors.New("dkms.toml:1: no such thing")
				}
				next := times[0]
				times = times[1:]
				return next, nil
			},
			Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		}
		ctx, cancel := context.WithCancel(t.Context())
		s.cancel = cancel
		go func() { s.ended <- w.Run(ctx) }()
		pass(10 * time.Second)
		s.reload <- syscall.SIGHUP // reconciles at once, and every minute from then on
		pass(65 * time.Second)
		s.reload <- syscall.SIGHUP // settings that cannot be read change nothing
		pass(61 * time.Second)
		s.end(t)
		s.want(t, 0, 10, 70, 75, 135)
		if !strings.Contains(s.log.String(), "no such thing") {
			t.Errorf("log is\n%s\nwant the error in the settings", s.log.String())
		}
	})
}

// When it is to stop it waits for what is at work, and that is told to stop.
func TestWatcherStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		s := begin(t, func(ctx context.Context, _ int) (bool, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second) // to take back what was begun
			stopped = true
			return false, ctx.Err()
		})
		pass(time.Second)
		s.end(t)
		if !stopped {
			t.Error("Run returned before the reconciliation did")
		}
	})
}
