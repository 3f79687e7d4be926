package proc

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// streams are the standard input and output of one program.
type streams struct {
	child [3]*os.File // what the child gets
	pipes []*pipe     // what is read on our side
	tail  *tail       // the end of stderr, if it was not wanted otherwise
	ours  []*os.File  // those of child that we opened
}

// pipe carries output from the child to a writer.
type pipe struct {
	from *os.File
	to   io.Writer
}

// openStreams opens what c asks for.
func openStreams(c Cmd) (s *streams, err error) {
	s = &streams{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.child[0], err = s.input(c.Stdin); err != nil {
		return s, err
	}
	if s.child[1], err = s.output(c.Stdout, c.Confine); err != nil {
		return s, err
	}
	if c.Stderr != nil && same(c.Stdout, c.Stderr) {
		s.child[2] = s.child[1]
		return s, nil
	}
	stderr := c.Stderr
	if stderr == nil {
		s.tail = &tail{}
		stderr = s.tail
	}
	s.child[2], err = s.output(stderr, c.Confine)
	return s, err
}

// input returns a file that the child reads what r holds from. A file in
// memory needs nobody who feeds it while the program runs, or who is left over
// when the program does not read to the end.
func (s *streams) input(r io.Reader) (*os.File, error) {
	switch r := r.(type) {
	case nil:
		return s.own(os.Open(os.DevNull))
	case *os.File:
		return r, nil
	}
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f, _ := s.own(os.NewFile(uintptr(fd), "stdin"), nil)
	if _, err := io.Copy(f, r); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// output returns a file that carries what the child writes to w.
func (s *streams) output(w io.Writer, confine *Confine) (*os.File, error) {
	switch w := w.(type) {
	case nil:
		return s.own(os.OpenFile(os.DevNull, os.O_WRONLY, 0)) //nolint:forbidigo // no file
	case *os.File:
		return w, nil
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.pipes = append(s.pipes, &pipe{from: from, to: w})
	if confine != nil && confine.User {
		// A pipe opened again as /dev/stderr is subject to its mode, 0600.
		// Where this fails the user is not changed either.
		_ = to.Chown(nobody, nobody)
	}
	return s.own(to, nil)
}

// own notes that f is to be closed once the child has it.
func (s *streams) own(f *os.File, err error) (*os.File, error) {
	if err == nil {
		s.ours = append(s.ours, f)
	}
	return f, err
}

// started closes what only the child needs. Without this no pipe would end.
func (s *streams) started() {
	for _, f := range s.ours {
		_ = f.Close() // nothing was written through it by us
	}
	s.ours = nil
}

// close closes whatever is still open.
func (s *streams) close() {
	s.started()
	for _, p := range s.pipes {
		_ = p.from.Close() // read only
	}
}

// copy carries output until everybody has closed the pipe, or until finish says
// that it is enough. After an error of the writer the pipe is closed, and who
// goes on writing gets SIGPIPE.
func (p *pipe) copy() error {
	defer p.from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := p.from.Read(buf)
		if n > 0 {
			if _, err := p.to.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return p.rest(buf)
		case err != nil:
			return err
		}
	}
}

// finish makes copy end after the given time at the latest. The leader has
// ended.
func (p *pipe) finish(after time.Duration) {
	_ = p.from.SetReadDeadline(time.Now().Add(after)) // fails when copy has ended
}

// rest carries over what the pipe holds at this moment. The leader's last words
// are among it; a straggler who writes without end gets no more than one
// pipe's capacity.
func (p *pipe) rest(buf []byte) error {
	if err := p.from.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := p.from.SyscallConn()
	if err != nil {
		return err
	}
	for left := pipeSize(raw); left > 0; {
		var n int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.Read(int(fd), buf)
			return true // never wait
		})
		switch {
		case err != nil:
			return err
		case errors.Is(failed, unix.EINTR):
			continue
		case failed != nil || n == 0: // nothing there, or closed
			return nil //nolint:nilerr // err is the conversation's, and nil
		}
		if _, err := p.to.Write(buf[:n]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// pipeSize returns how much the pipe can hold.
func pipeSize(raw interface{ Control(func(fd uintptr)) error }) int {
	size := 64 << 10 // pipe(7)
	_ = raw.Control(func(fd uintptr) {
		if n, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil {
			size = n
		}
	})
	return size
}

// same tells whether two writers are the same one.
func same(a, b io.Writer) bool {
	return a != nil && b != nil &&
		reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// tail keeps the last lines written to it.
type tail struct{ text []byte }

const (
	tailBytes = 8 << 10
	tailLines = 20
)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytes; extra > tailBytes {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

// String returns at most the last 20 lines and 8 KiB.
func (t *tail) String() string {
	text := string(t.text[max(0, len(t.text)-tailBytes):])
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "")
}
