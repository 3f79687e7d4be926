package proc

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// leader is a started program.
type leader struct {
	*os.Process
	program string   // the path of what it executes, inside the root
	report  *os.File // what the helper says, nil when there was none
}

// close lets go of what is still open.
func (l *leader) close() {
	if l.report != nil {
		_ = l.report.Close() // read only
	}
}

// start starts c with the given standard input and output.
func start(c Cmd, stdio []*os.File) (*leader, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("no program to run")
	}
	if err := checkDir(c); err != nil {
		return nil, err
	}
	program := c.Args[0]
	if !strings.Contains(program, "/") {
		abs, err := LookPath(c.Root, c.Env, program)
		if err != nil {
			return nil, err
		}
		program = abs
	}
	files := append(append([]*os.File(nil), stdio...), c.ExtraFiles...)
	switch {
	case c.Private != nil:
		return startPrivate(c, program, files)
	case c.Confine != nil:
		return startConfined(c, program, files)
	}
	return startPlain(c, program, files)
}

// startPlain starts the program as it is.
func startPlain(c Cmd, program string, files []*os.File) (*leader, error) {
	attr := &os.ProcAttr{Dir: c.Dir, Env: environ(c), Files: files, Sys: &syscall.SysProcAttr{
		Setpgid:   !c.Terminal,
		Pdeathsig: syscall.SIGTERM,
		Chroot:    c.Root,
	}}
	process, err := os.StartProcess(program, c.Args, attr)
	if errors.Is(err, fs.ErrPermission) && c.Root != "" && os.Geteuid() != 0 {
		// Where the kernel lets ordinary users have a user namespace, they
		// can chroot in there.
		inUserNamespace(attr.Sys)
		process, err = os.StartProcess(program, c.Args, attr)
	}
	if err != nil {
		return nil, startError(c, program, err)
	}
	return &leader{Process: process, program: program}, nil
}

// environ returns the environment for the child, never nil, which package os
// would take for our own.
func environ(c Cmd) []string {
	return append([]string{}, c.Env...)
}

// checkDir names the working directory when that is what is wrong: execve's
// error would blame the program.
func checkDir(c Cmd) error {
	if !strings.HasPrefix(c.Dir, "/") { // our own, or relative to it
		return nil
	}
	host, err := follow(c.Root, c.Dir)
	if err != nil {
		return err
	}
	info, err := os.Lstat(host)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "chdir", Path: host, Err: syscall.ENOTDIR}
	}
	return err
}

// startError turns the error of execve into ours.
func startError(c Cmd, program string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !strings.HasPrefix(program, "/") {
		program = strings.TrimSuffix(c.Dir, "/") + "/" + program
	}
	if executable(c.Root, program) {
		// The file is there, so what is missing is the interpreter it names.
		return &fs.PathError{Op: "start interpreter of", Path: program, Err: syscall.ENOENT}
	}
	return &NotFoundError{Name: c.Args[0]}
}
