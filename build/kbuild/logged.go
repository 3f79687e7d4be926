package kbuild

import (
	"context"
	"time"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// Command is a command that belongs to no build but is run and recorded like a step of one.
type Command struct {
	Root        *sysroot.Root
	Runner      proc.Runner
	Env         []string
	Dir         string // working directory
	Log         string // file that the record is appended to
	Description string
	Line        string // what the shell runs
	Quiet       bool   // passed on in the Begin event
	Now         func() time.Time
	Report      func(Event)
}

// Logged runs a command and appends a record of it to its log (invoke_command with a log file). A non-zero status is no
// error: the End event carries it.
func Logged(ctx context.Context, c Command) error {
	t := newTree(Job{Root: c.Root, Runner: c.Runner, BuildDir: c.Dir, Now: c.Now, Quiet: c.Quiet, Report: c.Report})
	t.env, t.log.abs = c.Env, c.Log
	_, err := t.step(ctx, c.Description, c.Line, false)
	return err
}
