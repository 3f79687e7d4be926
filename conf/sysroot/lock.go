package sysroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lock is an advisory lock (flock(2)) that a file stands for. It belongs to the
// open file and not to the process, so it also keeps goroutines of one process
// apart, and the kernel takes it back when its owner dies, however that comes.
//
// The file is there while somebody holds or awaits the lock. Whoever comes last
// removes it.
type Lock struct {
	root   *Root
	host   string
	file   *os.File
	shared bool
	once   sync.Once
}

// HeldError says that somebody else holds a lock.
type HeldError struct {
	Path string // host path of the file
	Note string // what the holder has written down about itself, if anything
}

// Error names the file and the holder.
func (e *HeldError) Error() string {
	if e.Note == "" {
		return e.Path + " is locked"
	}
	return e.Path + " is locked by " + e.Note
}

// TryLock takes the lock that the file abs stands for, alone or together with
// others that share it, and notes in the file who holds it. The directory must
// exist. A lock that cannot be had now is a *HeldError.
func (r *Root) TryLock(abs string, shared bool, note string) (*Lock, error) {
	host, err := r.Resolve(abs)
	if err != nil {
		return nil, err
	}
	for {
		l, gone, err := r.tryLock(host, shared)
		if err != nil {
			return nil, err
		}
		if gone { // removed between open and flock: there is a new file, or none
			continue
		}
		return l, l.note(note)
	}
}

func (r *Root) tryLock(host string, shared bool) (l *Lock, gone bool, err error) {
	f, err := os.OpenFile(host, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := flock(f, shared); err != nil {
		held := &HeldError{Path: host}
		if text, readErr := io.ReadAll(io.LimitReader(f, 4096)); readErr == nil {
			held.Note = strings.TrimSpace(string(text))
		}
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = held
		}
		return nil, false, err
	}
	if !same(f, host) {
		f.Close()
		return nil, true, nil
	}
	return &Lock{root: r, host: host, file: f, shared: shared}, false, nil
}

func flock(f *os.File, shared bool) error {
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// same reports whether f still is the file at host.
func same(f *os.File, host string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(host)
	return err == nil && os.SameFile(open, there)
}

// note writes down who holds the lock. A full disk is no reason not to hold it.
func (l *Lock) note(text string) error {
	if err := l.file.Truncate(0); err != nil {
		return errors.Join(&fs.PathError{Op: "lock", Path: l.host, Err: err}, l.Unlock())
	}
	_, _ = l.file.WriteAt([]byte(text+"\n"), 0)
	return nil
}

// Unlock gives the lock back, and removes its file unless others share it. A
// second call does nothing.
func (l *Lock) Unlock() error {
	var err error
	l.once.Do(func() {
		defer l.file.Close()
		// Who shares the lock must become the only one before the file may go.
		if l.shared && flock(l.file, false) != nil || !same(l.file, l.host) {
			return
		}
		if err = l.root.step("remove", l.host); err == nil {
			err = os.Remove(l.host)
		}
	})
	return err
}
