package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path"
	"strconv"
	"syscall"
	"time"

	"dkms-go/build"
	"dkms-go/dkms"
	"dkms-go/hooks"
)

func watchVerb() verb {
	return verb{
		name: "watch", about: "wait for kernels and headers, and do what sync does when they come",
		usage:   "watch [-j NUMBER]",
		options: []string{"j", "no-depmod"},
		run:     func(ctx context.Context, s *session) error { return s.watch(ctx) },
	}
}

// How patient a watcher is where dkms.toml does not say.
const (
	settleTime = 3 * time.Second
	everyTime  = 5 * time.Minute
	limitTimes = 20 // times to settle
	retryTimes = 10
)

// watch runs until it is stopped. SIGHUP has it read its settings again.
func (s *session) watch(ctx context.Context) error {
	if err := s.noAll(); err != nil {
		return err
	}
	if err := s.needRoot(); err != nil {
		return err
	}
	timing, err := s.timing()
	if err != nil {
		return err
	}
	// Everywhere else a hang-up is a reason to stop.
	signal.Reset(syscall.SIGHUP)
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	w := &watch{session: s, log: s.logger(), told: map[string]string{}}
	return (&hooks.Watcher{
		Dirs: s.watchedDirs(), Timing: timing,
		Reconcile: w.reconcile, Open: hooks.Inotify, Reload: hangUp, Settings: s.timing,
		Notifier: hooks.Notifier{Socket: s.getenv("NOTIFY_SOCKET")}, Watchdog: s.watchdog(), Log: w.log,
	}).Run(ctx)
}

// watchedDirs are where kernels, headers and sources come to, and where package managers note that they have finished.
func (s *session) watchedDirs() []string {
	o := s.Tree.Options()
	dirs := []string{o.InstallTree, o.SourceTree}
	for _, abs := range []string{"/boot", "/var/lib/dpkg", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/pacman/local"} {
		if _, err := s.root.Stat(abs); err == nil {
			dirs = append(dirs, abs)
		}
	}
	for n, abs := range dirs {
		dirs[n] = path.Clean(s.root.Path(abs))
	}
	return dirs
}

// timing reads how patient the watcher is to be.
func (s *session) timing() (hooks.Timing, error) {
	settings, err := s.settings()
	if err != nil {
		return hooks.Timing{}, err
	}
	t := hooks.Timing{Settle: settleTime, Every: everyTime}
	if d := settings.Watch.Settle.Duration; d > 0 {
		t.Settle = d
	}
	if d := settings.Watch.Every.Duration; d > 0 {
		t.Every = d
	}
	t.Limit, t.Retry = limitTimes*t.Settle, retryTimes*t.Settle
	return t, nil
}

// watchdog is how often the service manager wants to hear of us (sd_watchdog_enabled(3)); 0 when it does not.
func (s *session) watchdog() time.Duration {
	if pid := s.getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(s.getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// logger writes diagnostics to stderr. The journal knows the time without being told.
func (s *session) logger() *slog.Logger {
	o := &slog.HandlerOptions{}
	if s.getenv("JOURNAL_STREAM") != "" {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	if s.debug {
		o.Level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(s.err, o))
}

// watch is what a watcher reconciles with.
type watch struct {
	*session
	log  *slog.Logger
	told map[string]string // by kernel or module: what was last said of it, which is said once
}

// reconcile does what sync does, for the kernels whose headers are complete, while no package manager is at work.
func (w *watch) reconcile(ctx context.Context) (again bool, err error) {
	if name := hooks.PackageManagerAtWork(w.root); name != "" {
		w.log.Debug("not now", "at work", name)
		return true, nil
	}
	if w.switchedOff() {
		return false, nil
	}
	b, err := w.freshBuilder(ctx)
	if err != nil {
		return false, err
	}
	s := *w.session
	s.Builder = b
	ts, err := s.kernelsToSync(ctx)
	if err != nil {
		return false, err
	}
	due, unfinished := hooks.Due(b, ts)
	for _, u := range unfinished {
		w.once(u.Release, "headers are not complete", "kernel", u.Release, "missing", u.Missing)
	}
	if len(due) == 0 {
		return len(unfinished) > 0, nil
	}
	p, err := b.Plan(ctx, build.Request{Goal: build.Sync, Targets: due})
	if err != nil {
		return false, err
	}
	report := b.Run(ctx, p)
	w.conclude(ctx, b, due, report)
	return len(unfinished) > 0, nil
}

// freshBuilder reads all settings anew. What programs print goes to their logs; the watcher's own log has what comes of it.
func (w *watch) freshBuilder(ctx context.Context) (*build.Builder, error) {
	quiet := &printer{out: io.Discard, err: io.Discard}
	m, o := *w.machine, *w.request
	o.debug = false // it would trace what is traced
	b, err := m.builder(ctx, &o, quiet, nil)
	if err != nil {
		return nil, err
	}
	b.Emit = func(e dkms.Event) {
		if ended, ok := e.(build.StepEnded); ok {
			w.step(ended)
		}
	}
	return b, nil
}

// step logs what became of a step that was not for nothing.
func (w *watch) step(e build.StepEnded) {
	i := e.Step.Instance
	attrs := []any{"module", i.Module.String(), "kernel", i.Kernel}
	if i.Name == "" {
		attrs = []any{"kernel", i.Kernel}
	}
	switch {
	case e.Err != nil && e.Outcome == build.Excluded:
	case e.Err != nil:
		w.log.Error(e.Step.Action.String(), append(attrs, "error", e.Err)...)
	case e.Outcome == build.Done && (e.Step.Action == build.Build || e.Step.Action == build.Install || e.Step.Action == build.Uninstall):
		w.log.Info(e.Step.Action.String(), attrs...)
	}
}

// conclude notes what failed, and lets the administrator's command follow where something was installed.
func (w *watch) conclude(ctx context.Context, b *build.Builder, ts []build.Target, report *build.Report) {
	for _, wait := range report.Plan.Waiting {
		w.once(wait.Target.Kernel, "waiting for headers", "kernel", wait.Target.Kernel, "package", wait.Package, "modules", fmt.Sprint(wait.Modules))
	}
	for _, t := range ts {
		sum := report.Summary(t)
		for _, f := range sum.Hopeless {
			w.once(f.Instance.String(), "failed before, not tried again", "module", f.Instance.Module.String(), "kernel", t.Kernel, "log", f.Log)
		}
		if ctx.Err() != nil {
			return
		}
		if err := b.NoteFailures(t, sum); err != nil {
			w.log.Error("note failures", "kernel", t.Kernel, "error", err)
		}
		if len(sum.Missing()) == 0 && report.Installed(t) {
			if err := b.Finish(ctx, t); err != nil && !errors.Is(err, context.Canceled) {
				w.log.Error("post_transaction", "kernel", t.Kernel, "error", err)
			}
		}
	}
}

// once logs what has not been the last thing that was said of a subject.
func (w *watch) once(subject, message string, attrs ...any) {
	text := fmt.Sprint(message, attrs)
	if w.told[subject] != text {
		w.told[subject] = text
		w.log.Info(message, attrs...)
	}
}
