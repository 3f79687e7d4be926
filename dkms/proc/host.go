package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Host is the Runner that really runs programs. The zero value is ready, and it
// is safe for concurrent use.
type Host struct {
	// Grace is how long a program may go on after SIGTERM before SIGKILL.
	// Zero means five seconds.
	Grace time.Duration
}

// linger is how long output may go on after the leader has ended, if somebody
// still holds the pipe: the tee of a shell's "exec > >(tee log)" gets to finish,
// a daemon that never closes its output does not hold us up.
const linger = 200 * time.Millisecond

// Run implements Runner.
//
// The end of ctx or of the timeout sends SIGTERM to the process group and after
// Grace SIGKILL; a confined program that may write nowhere has nothing to tidy
// up and gets SIGKILL at once. When the leader has ended, what is left of the
// group is killed. All that the leader wrote has been written to Stdout and
// Stderr when Run returns, even if a process that left the group still holds
// the pipe. Should we die ourselves, the kernel sends the leader a SIGTERM.
func (h Host) Run(ctx context.Context, c Cmd) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// The kernel ties the signal for the parent's death to the thread that
	// started the child (prctl(2), PR_SET_PDEATHSIG), so that one must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	c = c.rooted()
	streams, err := openStreams(c)
	if err != nil {
		return err
	}
	defer streams.close()
	leader, err := start(c, streams.child[:])
	if err != nil {
		return err
	}
	defer leader.close()
	streams.started()

	var copies, waiter errgroup.Group
	for _, p := range streams.pipes {
		copies.Go(p.copy)
	}
	exited := make(chan struct{})
	waiter.Go(func() error {
		defer close(exited)
		return waitExit(leader.Pid)
	})
	stopped := h.supervise(ctx, c, leader.Pid, exited)
	if stopped != nil {
		kill(leader.Pid)
	}
	for _, p := range streams.pipes {
		p.finish(linger)
	}
	copied := copies.Wait()
	// Only now is the leader reaped: until then no other process group can
	// have got its number.
	kill(leader.Pid)
	if err := waiter.Wait(); err != nil {
		return err
	}
	state, err := leader.Wait()
	if err != nil {
		return err
	}
	ended, err := leader.reported(c, state.Sys().(syscall.WaitStatus))
	if err != nil && stopped == nil { // who is stopped right away has nothing to report
		return err
	}
	return result(c, ended, streams.tail, stopped, copied)
}

// errTimeout is why supervise stopped a program that ran for too long.
var errTimeout = errors.New("timeout")

// supervise waits until the leader has ended, and makes it end when ctx or the
// timeout does. It returns why the program was stopped, or nil.
func (h Host) supervise(ctx context.Context, c Cmd, pid int, exited <-chan struct{}) (stopped error) {
	var expired <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		stopped = context.Cause(ctx)
	case <-expired:
		stopped = errTimeout
	}
	if !c.Confine.harmless() {
		h.terminate(c, pid, exited)
	}
	kill(pid)
	<-exited
	return stopped
}

// terminate asks the group to end and gives the leader time to do so.
func (h Host) terminate(c Cmd, pid int, exited <-chan struct{}) {
	grace := h.Grace
	if grace == 0 {
		grace = 5 * time.Second
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	// A process that was stopped, say for reading from the terminal, notices
	// nothing until it is continued. Errors mean that nobody is left.
	target := -pid
	if c.Terminal {
		target = pid
	}
	_ = unix.Kill(target, unix.SIGTERM)
	_ = unix.Kill(target, unix.SIGCONT)
	select {
	case <-exited:
	case <-timer.C:
	}
}

// kill kills the leader pid, which has not been reaped yet, and its group. An
// error means that nobody is left.
func kill(pid int) {
	_ = unix.Kill(-pid, unix.SIGKILL)
	_ = unix.Kill(pid, unix.SIGKILL)
}

// waitExit waits until the child pid has ended, but leaves it to be reaped.
func waitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// result turns how a program ended into Run's error.
func result(c Cmd, status syscall.WaitStatus, tail *tail, stopped, copied error) error {
	failure := &ExitError{
		Args:     c.Args,
		Dir:      c.Dir,
		Status:   status.ExitStatus(),
		TimedOut: errors.Is(stopped, errTimeout),
	}
	if status.Signaled() {
		failure.Status = 128 + int(status.Signal())
		failure.Signal = unix.SignalName(status.Signal())
	}
	if tail != nil {
		failure.Tail = tail.String()
	}
	switch {
	case failure.TimedOut:
		return failure
	case stopped != nil:
		return fmt.Errorf("program %q was stopped: %w", c.Args[0], stopped)
	case copied != nil:
		return fmt.Errorf("output of program %q: %w", c.Args[0], copied)
	case failure.Status != 0:
		return failure
	}
	return nil
}
