package kbuild

import (
	"context"
	"errors"
	"time"

	"dkms-go/dkms/proc"
)

// run runs a command of the build in the build directory, with the build's
// environment and within the time that is left. what names it in a
// *TimeoutError. It waits for a token if there is a jobserver, and lets make
// draw more with jobserved.
func (t *Tree) run(ctx context.Context, what string, c proc.Cmd, jobserved bool) (err error) {
	c = t.Place(c)
	c.Env = t.env
	server := t.job.Jobserver
	switch {
	case jobserved:
		member, err := server.Join(ctx)
		if err != nil {
			return err
		}
		defer func() { member.Leave(killed(err)) }()
		c = member.Attach(c)
	case server != nil:
		if err := server.Acquire(ctx); err != nil {
			return err
		}
		defer server.Release()
	}
	if t.job.Timeout > 0 {
		c.Timeout = max(t.job.Timeout-t.spent, 1)
		defer func(begin time.Time) { t.spent += time.Since(begin) }(time.Now())
	}
	err = t.job.Runner.Run(ctx, c)
	var exit *proc.ExitError
	if errors.As(err, &exit) && exit.TimedOut {
		return &TimeoutError{After: t.job.Timeout, Step: what, Log: t.logPath(), err: err}
	}
	return err
}

// Place puts a command into the build directory, where it sees what commands of
// the build see.
func (t *Tree) Place(c proc.Cmd) proc.Cmd {
	c.Dir, c.Root = t.job.BuildDir, t.job.Root.Dir()
	if t.point != nil {
		c.Private = &proc.Private{Binds: []proc.Bind{{Source: t.dir, Target: t.job.BuildDir}}}
	}
	return c
}

// killed tells whether make may have been kept from returning its tokens: it did
// not end by itself, or says so of one that it started.
func killed(err error) bool {
	var exit *proc.ExitError
	return err != nil && (!errors.As(err, &exit) || exit.TimedOut || exit.Status > 128)
}
