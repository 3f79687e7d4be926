package proc

import (
	"context"
	"io"
	"os"
	"path"
	"time"
)

// Cmd describes one program to run. Nothing is inherited but what it says:
// with the zero values the program gets an empty environment, reads nothing and
// its output is thrown away.
type Cmd struct {
	// Args is the program and its arguments. A first element without a slash
	// is looked up by LookPath; one with a slash is taken from Dir.
	Args []string

	// Dir is the working directory, inside Root. Empty means "/" when there
	// is a Root and our own working directory otherwise.
	Dir string

	// Env is the complete environment, as "NAME=value".
	Env []string

	// Root is the host path of the directory to chroot into. Empty or "/"
	// means none.
	Root string

	// Stdin is read to its end before the program starts, so it should be
	// short, or an *os.File, which is handed over as it is. Nil is /dev/null.
	Stdin io.Reader

	// Stdout and Stderr receive the output. An *os.File is handed over as it
	// is. When both are the same, the program gets one descriptor for both
	// and the order is kept. A nil Stdout is discarded; of a nil Stderr the
	// end is kept for ExitError.Tail.
	Stdout, Stderr io.Writer

	// ExtraFiles become the descriptors 3, 4, ... of the program.
	ExtraFiles []*os.File

	// Terminal leaves the program in our own process group, which may read
	// from the terminal: it is for programs that ask somebody something.
	// What they start themselves is then nobody's to stop. It does not go
	// together with Confine.
	Terminal bool

	// Confine takes rights away from the program. Nil takes none.
	Confine *Confine

	// Private gives the program, and whatever it starts, a view of the machine
	// of its own. Nil leaves it ours. It cannot be had together with Confine.
	Private *Private

	// Timeout stops the program after that time, as the end of the context
	// does. Zero means never.
	Timeout time.Duration
}

// rooted returns the command with Root empty or a real change of root, and Dir
// an absolute path in the latter case.
func (c Cmd) rooted() Cmd {
	if c.Root == "/" {
		c.Root = ""
	}
	if c.Root != "" {
		c.Dir = path.Join("/", c.Dir)
	}
	return c
}

// Runner runs programs. Tests of other packages put a fake in its place.
type Runner interface {
	// Run runs the program to its end. It returns nil when the program ended
	// with status 0, *ExitError when it ended otherwise, *NotFoundError when
	// there is no such program, an error that wraps the cause of ctx when ctx
	// ended first, and other errors when the program could not be started or
	// its output not be written.
	Run(ctx context.Context, c Cmd) error
}
