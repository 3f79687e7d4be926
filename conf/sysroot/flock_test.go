package sysroot_test

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestWriteNew(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"file": "old", "dir/x": "", "link": "-> missing", "good": "-> file"})
	for _, name := range []string{"/file", "/dir", "/link", "/good"} {
		if err := root.WriteNew(name, []byte("new"), 0o600); !errors.Is(err, fs.ErrExist) {
			t.Errorf("WriteNew(%s) = %v, want %v", name, err, fs.ErrExist)
		}
	}
	wantContent(t, root.Path("/file"), "old")
	wantError(t, "WriteNew", root.WriteNew("/new", []byte("new"), 0o600), nil)
	wantContent(t, root.Path("/new"), "new")
	wantMode(t, root.Path("/new"), 0o600)
	wantEntries(t, root, "/", "dir", "file", "good", "link", "new")
}

// Of many that write the same new file, one does.
func TestWriteNewAtOnce(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	var written atomic.Int32
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			err := root.WriteNew("/file", []byte("new"), 0o600)
			if err == nil {
				written.Add(1)
			} else if !errors.Is(err, fs.ErrExist) {
				return err
			}
			return nil
		})
	}
	must(t, g.Wait())
	if n := written.Load(); n != 1 {
		t.Errorf("%d of 20 wrote the file, want 1", n)
	}
	wantEntries(t, root, "/", "file")
}

// flock(1) cannot have what Flock has, and the other way round.
func TestFlock(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"dir/": ""})
	other := func() error { return exec.Command("flock", "--nonblock", root.Path("/dir"), "true").Run() }
	unlock, err := root.Flock(t.Context(), "/dir")
	must(t, err)
	if other() == nil {
		t.Error("flock(1) has the lock as well")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := root.Flock(ctx, "/dir"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flock of what is locked = %v, want %v", err, context.DeadlineExceeded)
	}
	unlock()
	must(t, other())
	if _, err := root.Flock(t.Context(), "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Flock of nothing = %v, want %v", err, fs.ErrNotExist)
	}
	wantEntries(t, root, "/dir")
}
