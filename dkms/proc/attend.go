package proc

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attend starts the program and looks after it as the first process of a PID
// namespace: it passes signals on to everybody, buries whoever dies, and returns
// when all are gone. Who outlives the program by more than linger is killed. It
// returns what is to be reported.
func (o order) attend(args []string) (report string) {
	signals := make(chan os.Signal, 8)
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGCONT} {
		if !signal.Ignored(s) { // as by nohup(1), and then by the program too
			signal.Notify(signals, s)
		}
	}
	files := make([]*os.File, o.Report)
	for fd := range files {
		files[fd] = os.NewFile(uintptr(fd), "inherited")
	}
	program, err := os.StartProcess(o.Program, args, &os.ProcAttr{
		Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Setpgid: true}, //nolint:forbidigo // what the parent has set for this child
	})
	if err != nil {
		return failed("execve", err)
	}
	for _, f := range files {
		_ = f.Close() // whoever waits for the end of a pipe does not wait for us
	}
	go func() { // for as long as this process lives
		for s := range signals {
			_ = unix.Kill(-1, s.(syscall.Signal))
		}
	}()
	return fmt.Sprintf("%s %d", helperEnded, bury(program.Pid))
}

// bury waits until no other process is left, and returns how pid ended.
func bury(pid int) (ended unix.WaitStatus) {
	for {
		var status unix.WaitStatus
		switch gone, err := unix.Wait4(-1, &status, 0, nil); {
		case err == unix.EINTR:
		case err != nil: // ECHILD
			return ended
		case gone == pid:
			ended = status
			time.AfterFunc(linger, func() { _ = unix.Kill(-1, unix.SIGKILL) })
		}
	}
}
