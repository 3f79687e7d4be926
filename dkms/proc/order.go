package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// order is what the helper is told to do.
type order struct {
	Confine *Confine
	Private *Private
	Program string // what to execute, inside Root; empty to only see whether the rest can be had
	Root    string // where to chroot to, or empty
	Dir     string // where to change to, or empty
	Report  int    // the descriptor to report on
}

// The helper is recognised by its name together with the beginning of its first
// argument. Nobody types the former, and a program that never calls Helper
// takes the latter for an option it does not know and ends, rather than
// doing its usual work once more.
const (
	helperName   = "dkms: confined program, about to start"
	helperOption = "--confine-as="
)

// startHelper starts the helper in the namespaces that sys names, with the order
// to become the program, or to look after it.
func startHelper(c Cmd, program string, files []*os.File, sys *syscall.SysProcAttr) (*leader, error) {
	report, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer to.Close()
	text, err := json.Marshal(order{
		Confine: c.Confine, Private: c.Private, Program: program, Root: c.Root, Dir: c.Dir, Report: len(files),
	})
	if err != nil {
		return nil, errors.Join(err, report.Close())
	}
	argv := append([]string{helperName, helperOption + string(text)}, c.Args...)
	process, err := os.StartProcess("/proc/self/exe", argv, &os.ProcAttr{
		Env: environ(c), Files: append(files[:len(files):len(files)], to), Sys: sys,
	})
	if err != nil {
		return nil, errors.Join(err, report.Close())
	}
	return &leader{Process: process, program: program, report: report}, nil
}

// The helper reports on a pipe that execve closes: first that it is there, then
// nothing if all went well, or the step that failed and its errno. A helper that
// stays, as the first process of a private view, reports as the last thing how
// the program ended (wait(2)).
const (
	helperHere  = "helper "
	helperEnded = "wait"
)

// reported reads what the helper, which has ended, has to say. It returns how
// the program ended: as the helper says, or as the leader did.
func (l *leader) reported(c Cmd, ended syscall.WaitStatus) (syscall.WaitStatus, error) {
	if l.report == nil {
		return ended, nil
	}
	said, err := io.ReadAll(l.report)
	if err != nil {
		return ended, err
	}
	text, here := strings.CutPrefix(string(said), helperHere)
	if !here {
		return ended, fmt.Errorf("confine program %q: the running program does not call proc.Helper", c.Args[0])
	}
	if text == "" {
		return ended, nil
	}
	step, value, _ := strings.Cut(text, " ")
	number, err := strconv.Atoi(value)
	switch {
	case err != nil:
		return ended, fmt.Errorf("confine program %q: %s", c.Args[0], text)
	case step == helperEnded:
		return syscall.WaitStatus(number), nil
	case step == "execve":
		return ended, startError(c, l.program, &fs.PathError{Op: "fork/exec", Path: l.program, Err: syscall.Errno(number)})
	}
	return ended, fmt.Errorf("confine program %q: %w", c.Args[0], os.NewSyscallError(step, syscall.Errno(number)))
}
