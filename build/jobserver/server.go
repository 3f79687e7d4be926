package jobserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"dkms-go/conf/sysroot"
)

// Server holds the tokens of one run. It is safe for concurrent use.
type Server struct {
	root   *sysroot.Root
	tokens int
	abs    string // the pipe's name inside the root; gone with Style Pipe
	style  Style
	pipe   int         // both ends, for us; reading never waits
	ends   [2]*os.File // for members of Style Pipe: what they read and write

	mu      sync.Mutex    // held while a token changes hands with us
	own     int           // tokens that we have given to Acquire and Join
	members int           // make runs that have joined and not left
	settled chan struct{} // not nil: tokens may be lost; closed when they have been counted
	hurried int           // calls of Acquire that wait
	calm    chan struct{} // not nil: somebody is in a hurry; closed when nobody is any more
}

// most is how many bytes any pipe holds (pipe(7): a single page at least).
const most = 4096

// Open makes a server with so many tokens, at least one, for make runs in this
// root. The directory dir is where the pipe gets its name, ".jobserver-XXXXXX";
// a path inside the root as make will see it. Names that killed programs have left
// there are removed, see [Sweep].
func Open(root *sysroot.Root, dir string, tokens int, style Style) (*Server, error) {
	s := &Server{root: root, tokens: min(max(tokens, 1), most), style: style, pipe: -1}
	err := Sweep(root, dir)
	if err == nil {
		err = s.open(dir)
	}
	if err == nil {
		_, err = unix.Write(s.pipe, make([]byte, s.tokens))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open jobserver: %w", err), s.Close())
	}
	return s, nil
}

// pattern is what names of pipes look like, and what Glob finds them by.
const pattern = ".jobserver-*"

// open makes the pipe and opens it.
func (s *Server) open(dir string) (err error) {
	if s.abs, err = s.root.MkfifoTemp(dir, pattern); err != nil {
		return err
	}
	if err := s.openEnds(); err != nil || s.style == Fifo {
		return err
	}
	abs := s.abs
	s.abs = ""
	return s.root.Remove(abs)
}

// openEnds opens the pipe for us and, each time as an open file of its own, for
// members: whether reading waits is a setting of the open file, and that of
// members is their own business.
func (s *Server) openEnds() error {
	host, err := s.root.Resolve(s.abs)
	if err != nil {
		return err
	}
	if s.pipe, err = open(host, unix.O_RDWR|unix.O_NONBLOCK); err != nil || s.style == Fifo {
		return err
	}
	for i, mode := range []int{unix.O_RDONLY, unix.O_WRONLY} {
		fd, err := open(host, mode)
		if err != nil {
			return err
		}
		s.ends[i] = os.NewFile(uintptr(fd), host)
	}
	return nil
}

func open(host string, flags int) (int, error) {
	fd, err := unix.Open(host, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: host, Err: err}
	}
	return fd, nil
}

// opening is how long a pipe may take from being made to being open.
const opening = time.Minute

// Sweep removes the names of pipes that killed programs have left in a directory.
// Those of the last minute stay: who has made them may be about to open them.
func Sweep(root *sysroot.Root, dir string) error {
	left, err := root.Glob(path.Join(dir, pattern))
	if err != nil {
		return err
	}
	for _, abs := range left {
		info, err := root.Lstat(abs)
		if err != nil || time.Since(info.ModTime()) < opening {
			continue
		}
		host, err := root.Resolve(abs)
		if err != nil {
			continue // somebody else was faster
		}
		fd, err := open(host, unix.O_WRONLY|unix.O_NONBLOCK)
		switch {
		case err == nil:
			_ = unix.Close(fd)
		case errors.Is(err, unix.ENXIO): // a pipe without a reader (open(2))
			if err := root.Remove(abs); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Close ends the server. All members must have left.
func (s *Server) Close() error {
	s.closeEnds()
	if s.abs == "" {
		return nil
	}
	abs := s.abs
	s.abs = ""
	return s.root.Remove(abs)
}

func (s *Server) closeEnds() {
	if s.pipe >= 0 {
		_ = unix.Close(s.pipe)
	}
	for _, f := range s.ends {
		if f != nil {
			_ = f.Close() // nothing was written through it by us
		}
	}
	s.pipe, s.ends = -1, [2]*os.File{}
}

// Tokens returns how many there are in all.
func (s *Server) Tokens() int { return s.tokens }

// Acquire takes a token for work of our own and waits for it if need be. It
// fails when ctx ends first, with its cause. Release gives the token back.
//
// Make runs that want to join wait until it has one: our own work is short, and
// ends a build, while theirs begins one.
func (s *Server) Acquire(ctx context.Context) error {
	s.hurry(1)
	defer s.hurry(-1)
	return s.wait(ctx, false)
}

// hurry counts the calls of Acquire that wait.
func (s *Server) hurry(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried += more
	switch {
	case s.hurried > 0 && s.calm == nil:
		s.calm = make(chan struct{})
	case s.hurried == 0:
		close(s.calm)
		s.calm = nil
	}
}

// Release gives back a token that Acquire has taken.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own--
	s.put(1)
}

// wait takes a token, for a member that joins or for ourselves.
func (s *Server) wait(ctx context.Context, joins bool) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// A descriptor of its own has a deadline of its own.
	fd, err := unix.FcntlInt(uintptr(s.pipe), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "jobserver")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		var settled chan struct{}
		var failed error
		err := raw.Read(func(uintptr) (done bool) {
			done, settled, failed = s.take(joins)
			return done
		})
		switch {
		case ctx.Err() != nil && (err != nil || settled != nil):
			return context.Cause(ctx)
		case err != nil:
			return err
		case settled == nil:
			return failed
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take takes an idle token if there is one. One that joins may have to wait
// until the tokens have been counted, or until nobody is in a hurry.
func (s *Server) take(joins bool) (done bool, settled chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case joins && s.settled != nil:
		return true, s.settled, nil
	case joins && s.calm != nil:
		return true, s.calm, nil
	}
	var token [1]byte
	for {
		_, err = unix.Read(s.pipe, token[:])
		switch err {
		case nil:
			s.own++
			if joins {
				s.members++
			}
			return true, nil, nil
		case unix.EAGAIN:
			return false, nil, nil
		case unix.EINTR:
		default:
			return true, nil, os.NewSyscallError("read", err)
		}
	}
}

// put makes so many tokens idle. It never waits: the pipe has room for all.
func (s *Server) put(tokens int) {
	for tokens > 0 {
		n, err := unix.Write(s.pipe, make([]byte, tokens))
		if err != nil && err != unix.EINTR {
			return // somebody else has written more tokens than there are
		}
		tokens -= max(n, 0)
	}
}

// count makes as many tokens idle as nobody has. There must be no members.
func (s *Server) count() {
	idle, err := unix.IoctlGetInt(s.pipe, unix.TIOCINQ)
	if err == nil {
		want := s.tokens - s.own
		s.put(want - idle)
		if surplus := idle - want; surplus > 0 {
			_, _ = unix.Read(s.pipe, make([]byte, surplus)) // from somebody who returned what he had not drawn
		}
	}
	if s.settled != nil {
		close(s.settled)
		s.settled = nil
	}
}
