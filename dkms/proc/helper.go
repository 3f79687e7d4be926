package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Helper is to be called first thing in main and in TestMain, with os.Args. In
// a process that Host.Run started for a confined program it gives up rights and
// becomes that program; it returns then only if that failed, with done true and
// the status to exit with. In any other process it returns false at once.
func Helper(args []string) (done bool, status int) {
	if len(args) < 3 || args[0] != helperName {
		return false, 0
	}
	text, ok := strings.CutPrefix(args[1], helperOption)
	if !ok {
		return false, 0
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return true, 127
	}
	// Capabilities belong to a thread, and execve takes those of the thread
	// that calls it.
	runtime.LockOSThread()
	// Whatever we inherited ourselves, dpkg's lock for one, is not the program's
	// business.
	unix.CloseOnExec(o.Report)
	_ = unix.CloseRange(uint(o.Report), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	report := os.NewFile(uintptr(o.Report), "report")
	fmt.Fprint(report, helperHere)
	fmt.Fprint(report, o.become(args[2:]))
	return true, 127
}

// become puts the process into its place, confines it and executes the program,
// or starts it if the process is to stay. It returns what is to be reported.
// Only those steps fail without which the program would run in a wrong place;
// rights that cannot be given up are kept.
func (o order) become(args []string) (report string) {
	if step, err := o.enter(); err != nil {
		return failed(step, err)
	}
	if o.Confine != nil {
		_ = o.Confine.landlock() // first, because nobody may not open all of Writable
		o.Confine.dropUser()
	}
	switch {
	case o.Program == "":
		return helperEnded + " 0"
	case o.Private != nil:
		return o.attend(args)
	}
	return failed("execve", syscall.Exec(o.Program, args, os.Environ())) //nolint:forbidigo // what the parent has set for this child
}

// enter goes to where the program is to run. It returns the step that failed.
func (o order) enter() (step string, err error) {
	if o.Private != nil {
		if err := o.Private.detach(); err != nil {
			return "mount", err
		}
	}
	if o.Root != "" {
		if err := unix.Chroot(o.Root); err != nil {
			return "chroot", err
		}
		if err := unix.Chdir("/"); err != nil {
			return "chdir", err
		}
	}
	if o.Private != nil {
		if err := o.Private.arrange(); err != nil {
			return "mount", err
		}
	}
	if o.Dir != "" {
		if err := unix.Chdir(o.Dir); err != nil {
			return "chdir", err
		}
	}
	return "", nil
}

// failed is the report of a step that failed.
func failed(step string, err error) string {
	var errno syscall.Errno
	errors.As(err, &errno)
	return fmt.Sprintf("%s %d", step, int(errno))
}
