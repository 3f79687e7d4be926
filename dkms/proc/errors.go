package proc

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
)

// ExitError says that a program ran and did not end with status 0.
type ExitError struct {
	Args     []string // the program and its arguments
	Dir      string   // its working directory
	Status   int      // its exit status, 128+n when signal n ended it
	Signal   string   // the signal's name such as "SIGKILL", or empty
	Tail     string   // the last lines it wrote to stderr, if nobody else got them
	TimedOut bool     // it was stopped because Cmd.Timeout had passed
}

// Error names the program, how it ended, and the last line it wrote.
func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "program %q ", e.Args[0])
	switch {
	case e.TimedOut:
		b.WriteString("took too long and was stopped")
	case e.Signal != "":
		fmt.Fprintf(&b, "was ended by signal %s", e.Signal)
	default:
		fmt.Fprintf(&b, "ended with status %d", e.Status)
	}
	if line := lastLine(e.Tail); line != "" {
		fmt.Fprintf(&b, ": %s", line)
	}
	return b.String()
}

// Is makes a timeout a context.DeadlineExceeded.
func (e *ExitError) Is(target error) bool {
	return e.TimedOut && target == context.DeadlineExceeded
}

// NotFoundError says that there is no such program: not in any directory of
// PATH, or not at the path given.
type NotFoundError struct {
	Name string // as the caller gave it
}

// Error names the program.
func (e *NotFoundError) Error() string { return fmt.Sprintf("program %q not found", e.Name) }

// Is makes a missing program an fs.ErrNotExist.
func (e *NotFoundError) Is(target error) bool { return target == fs.ErrNotExist }

// lastLine returns the last line of text that holds more than white space.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
