package kbuild

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dkms-go/dkms/proc"
)

// result is the outcome of a step that ran to its end.
type result struct {
	status int
	output string // what the command wrote into the log
}

// step runs command with a shell in the build directory and records it in the
// log (invoke_command). With jobserved true make finds the jobserver. A non-zero
// status is no error here.
func (t *Tree) step(ctx context.Context, description, command string, jobserved bool) (result, error) {
	j := &t.job
	j.report(Begin{Description: description, Command: command, Quiet: j.Quiet})
	r, err := t.record(ctx, description, command, jobserved)
	var timeout *TimeoutError
	if errors.As(err, &timeout) {
		j.report(End{Command: command, Status: r.status})
		return result{}, err
	}
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", description, err)
	}
	j.report(End{Command: command, Status: r.status})
	return r, nil
}

// record writes one record of the log, running the command in the middle.
func (t *Tree) record(ctx context.Context, description, command string, jobserved bool) (result, error) {
	if err := t.log.write("\n" + echo(description) + echo("# command: "+command)); err != nil {
		return result{}, err
	}
	begin := t.job.Now()
	status, output, err := t.shell(ctx, description, command, jobserved)
	note := ""
	var timeout *TimeoutError
	if errors.As(err, &timeout) {
		note = "# stopped, because the build took longer than " + timeout.After.String() + "\n"
	} else if err != nil {
		return result{}, err
	}
	elapsed := int(t.job.Now().Sub(begin) / time.Second)
	logged := t.log.write(fmt.Sprintf("\n%s# exit code: %d\n# elapsed time: %s\n%s\n", note, status, clock(elapsed), ruler))
	return result{status: status, output: output}, errors.Join(err, logged)
}

// shell runs command, its output going to the end of the log, and returns its
// status and that output. It fails when the command could not be run to its end.
func (t *Tree) shell(ctx context.Context, description, command string, jobserved bool) (status int, output string, err error) {
	out, err := t.log.open()
	if err != nil {
		return 0, "", err
	}
	defer out.Close()
	before, err := out.Stat()
	if err != nil {
		return 0, "", err
	}
	if jobserved {
		command = t.job.drawing(command)
	}
	err = t.run(ctx, description, proc.Cmd{
		Args:   []string{"bash", "-O", "extglob", "-c", command},
		Stdout: out,
		Stderr: out,
	}, jobserved)
	var exit *proc.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, "", ctx.Err()
	case errors.As(err, &exit) && exit.TimedOut:
		return exit.Status, "", err
	case errors.As(err, &exit):
		status = exit.Status
	case err != nil:
		return 0, "", err
	}
	output, err = t.log.since(before.Size())
	return status, output, err
}

// clock formats seconds as HH:MM:SS, beginning anew after a day as upstream's
// call of date does.
func clock(seconds int) string {
	return fmt.Sprintf("%02d:%02d:%02d", seconds/3600%24, seconds/60%60, seconds%60)
}
