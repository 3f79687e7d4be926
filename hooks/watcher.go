package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"
)

// Watcher reconciles a system: once when it starts, then whenever it has become quiet after something happened in the
// directories that it watches, and every so often because events can be missed. What exactly happened it does not care.
//
// One reconciliation is at work at a time. Events go on being taken off the kernel's queue meanwhile; they cost a flag.
type Watcher struct {
	Timing
	Dirs []string // watched as they are, not what is below them; their parents too, to see them come and go

	// Reconcile does what is missing. It says that there is something to wait for by returning true: a package manager is
	// at work, headers are not complete. An error is told and changes nothing else.
	Reconcile func(ctx context.Context) (again bool, err error)

	Open     func() (Source, error) // the source of events
	Reload   <-chan os.Signal       // asks for settings to be read again
	Settings func() (Timing, error) // reads them; nil for none
	Notifier Notifier
	Watchdog time.Duration // how often the service manager wants to hear that we live; 0 for never
	Log      *slog.Logger
}

// Timing is how patient a watcher is, which can change while it runs.
type Timing struct {
	Settle time.Duration // how long it must have been quiet
	Limit  time.Duration // after which it is time even though it has not become quiet
	Every  time.Duration // when to look without having been told anything
	Retry  time.Duration // when to look again if there is something to wait for; then after twice that, and so on
}

// Source is where events come from: in life inotify(7) through fsnotify.
type Source interface {
	Add(dir string) error
	Events() <-chan fsnotify.Event
	Errors() <-chan error
	Close() error
}

// Inotify opens the kernel's own source of events.
func Inotify() (Source, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch directories: %w", err)
	}
	return inotify{w}, nil
}

type inotify struct{ *fsnotify.Watcher }

func (i inotify) Events() <-chan fsnotify.Event { return i.Watcher.Events }
func (i inotify) Errors() <-chan error          { return i.Watcher.Errors }

// Run watches until ctx ends, which is no error. What is being reconciled then is stopped, and waited for.
func (w *Watcher) Run(ctx context.Context) error {
	source, err := w.Open()
	if err != nil {
		return err
	}
	defer source.Close() //nolint:errcheck // nothing is lost with it
	v := &vigil{Watcher: *w, source: source, done: make(chan verdict, 1), watched: map[string]bool{}}
	v.begin()
	defer v.end()
	v.watch()
	v.tell("READY=1", "STATUS=Watching")
	return v.wait(ctx)
}

// verdict is how a reconciliation ended.
type verdict struct {
	again bool
	err   error
}

// vigil is a watcher at work.
type vigil struct {
	Watcher
	source   Source
	watched  map[string]bool // directories, and whether a watch for them could be set
	bell     *time.Timer     // when to reconcile
	watchdog *time.Ticker
	work     errgroup.Group
	done     chan verdict  // of the reconciliation at work; has room for it
	busy     bool          // one is at work
	rung     bool          // something has happened since it began
	patience time.Duration // how long to wait before looking again
	first    time.Time     // when the bell rang first since the last reconciliation; zero for not yet
}

func (v *vigil) begin() {
	v.bell = time.NewTimer(0) // at once
	v.watchdog = time.NewTicker(time.Hour)
	if v.Watchdog > 0 {
		v.watchdog.Reset(v.Watchdog / 2)
	}
}

func (v *vigil) end() {
	v.bell.Stop()
	v.watchdog.Stop()
}

// wait is the life of a watcher.
func (v *vigil) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return v.leave()
		case e, ok := <-v.source.Events():
			if !ok {
				return errors.New("the source of events has dried up")
			}
			v.event(e)
		case err, ok := <-v.source.Errors():
			if !ok {
				return errors.New("the source of events has dried up")
			}
			v.missed(err)
		case <-v.bell.C:
			v.reconcile(ctx)
		case d := <-v.done:
			v.reconciled(d)
		case <-v.Reload:
			v.reload()
		case <-v.watchdog.C:
			v.alive()
		}
	}
}

// watch sets the watches that are missing. Where a directory is not there, its parent tells when it comes.
func (v *vigil) watch() {
	for _, dir := range v.Dirs {
		for _, d := range []string{path.Dir(dir), dir} {
			if v.watched[d] {
				continue
			}
			err := v.source.Add(d)
			v.watched[d] = err == nil
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				// Too many watches, for one. The clock will do.
				v.Log.Warn("cannot watch", "directory", d, "error", err)
			}
		}
	}
}

// event looks whether an event matters. In a parent only what happens to a watched directory does.
func (v *vigil) event(e fsnotify.Event) {
	name := path.Clean(e.Name)
	_, known := v.watched[name]
	if !known && !v.lies(path.Dir(name)) || e.Op == fsnotify.Chmod {
		return
	}
	if known {
		if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
			v.watched[name] = false // the watch has gone with it
		}
		v.watch()
	}
	v.ring()
}

// lies reports whether a directory is one of those that are watched for their own sake.
func (v *vigil) lies(dir string) bool {
	return slices.Contains(v.Dirs, dir)
}

// missed takes an error of the source. After an overflow nobody knows what has happened, so everything may have.
func (v *vigil) missed(err error) {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		v.Log.Warn("watching", "error", err)
	}
	v.forgetWatches()
	v.watch()
	v.ring()
}

// forgetWatches has every watch set again. That does no harm where it still exists.
func (v *vigil) forgetWatches() { clear(v.watched) }

// ring puts the next reconciliation off until it is quiet, but not for ever.
func (v *vigil) ring() {
	if v.busy {
		v.rung = true
		return
	}
	now := time.Now()
	if v.first.IsZero() {
		v.first = now
	}
	v.bell.Reset(min(v.Settle, v.first.Add(v.Limit).Sub(now)))
}

func (v *vigil) reconcile(ctx context.Context) {
	v.busy, v.rung, v.first = true, false, time.Time{}
	v.tell("STATUS=Looking for what is missing")
	v.watch()
	v.work.Go(func() error {
		again, err := v.Reconcile(ctx)
		v.done <- verdict{again, err}
		return nil
	})
}

func (v *vigil) reconciled(d verdict) {
	v.busy = false
	next, status := v.Every, "Watching"
	if d.again {
		v.patience = min(max(2*v.patience, v.Retry), v.Every)
		next, status = v.patience, "Waiting for headers to be complete"
	} else {
		v.patience = 0
	}
	if d.err != nil {
		v.Log.Error("reconcile", "error", d.err)
		status = "Watching; the last attempt failed: " + d.err.Error()
	}
	v.tell("STATUS=" + status)
	v.bell.Reset(next)
	if v.rung {
		v.ring()
	}
}

func (v *vigil) reload() {
	v.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic()))
	if v.Settings != nil {
		t, err := v.Settings()
		if err != nil {
			v.Log.Error("settings stay as they were", "error", err)
		} else {
			v.Timing = t
		}
	}
	v.Log.Info("reloaded")
	v.forgetWatches()
	v.watch()
	v.tell("READY=1", "STATUS=Watching")
	if v.busy {
		v.rung = true
		return
	}
	v.bell.Reset(0)
}

// leave waits for what is at work, which ctx has told to stop.
func (v *vigil) leave() error {
	v.tell("STOPPING=1", "STATUS=Stopping")
	return v.work.Wait()
}

func (v *vigil) alive() {
	if v.Watchdog > 0 {
		v.tell("WATCHDOG=1")
	}
}

func (v *vigil) tell(lines ...string) {
	if err := v.Notifier.Notify(lines...); err != nil {
		v.Log.Warn("notify", "error", err)
	}
}
