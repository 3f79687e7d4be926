package sysroot_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"

	"github.com/google/go-cmp/cmp"
)

// change is a durable operation, together with what the tree looks like without
// it and after it (as find(1) says).
type change struct {
	name  string
	make  func(*sysroot.Root) error
	steps string // what it does, in order

	partly bool // no more than each step is whole
}

func changes() []change {
	write := func(r *sysroot.Root) error { return r.WriteFile("/dir/file", []byte("new"), 0o600) }
	return []change{
		{name: "WriteFile", make: write, steps: "create file.tmp, write file.tmp, chmod file.tmp, sync file.tmp, rename file, sync dir"},
		{
			name: "Rewrite", make: func(r *sysroot.Root) error {
				return r.Rewrite("/dir/file", 0o600, func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err })
			},
			steps: "create file.tmp, write file.tmp, chmod file.tmp, rename file",
		},
		{
			name: "WriteNew", make: func(r *sysroot.Root) error { return r.WriteNew("/dir/none", []byte("new"), 0o600) },
			steps: "create none.tmp, write none.tmp, chmod none.tmp, sync none.tmp, rename none, sync dir",
		},
		{
			name: "Copy", make: func(r *sysroot.Root) error { return r.Copy("/dir/other", "/dir/file", 0o600) },
			steps: "create file.tmp, copy file.tmp, chmod file.tmp, sync file.tmp, rename file, sync dir",
		},
		{
			name: "Symlink", make: func(r *sysroot.Root) error { return r.Symlink("new", "/dir/file") },
			steps: "symlink file.tmp, rename file, sync dir",
		},
		{
			name: "Rename", make: func(r *sysroot.Root) error { return r.Rename("/dir/other", "/dir/file") },
			steps: "rename file, sync dir",
		},
		{
			name: "Rename between directories", make: func(r *sysroot.Root) error { return r.Rename("/dir/file", "/to/file") },
			steps: "rename file, sync to, sync dir",
		},
		{
			name: "Rename of a directory", make: func(r *sysroot.Root) error { return r.Rename("/dir", "/new") },
			steps: "rename new, sync root",
		},
		{
			name: "Remove", make: func(r *sysroot.Root) error { return r.Remove("/dir/file") },
			steps: "remove file, sync dir",
		},
		{
			name: "RemoveAll", make: func(r *sysroot.Root) error { return r.RemoveAll("/dir") },
			steps: "remove file, remove other, remove dir, sync root", partly: true,
		},
		{
			name: "RemoveEmpty", make: func(r *sysroot.Root) error { return r.RemoveEmpty("/to", "/") },
			steps: "rmdir to, sync root",
		},
		{
			name: "MkdirAll", make: func(r *sysroot.Root) error { return r.MkdirAll("/to/a", 0o755) },
			steps: "mkdir a, sync to",
		},
		{
			name: "SyncTree", make: func(r *sysroot.Root) error { return r.SyncTree("/dir") },
			steps: "sync dir, sync file, sync other",
		},
	}
}

func faultRoot(t *testing.T) *sysroot.Root {
	t.Helper()
	root := newRoot(t)
	must(t, os.Rename(root.Dir(), root.Dir()+"root"))
	root, err := sysroot.Open(root.Dir() + "root")
	must(t, err)
	lay(t, root.Dir(), map[string]string{"dir/file": "old", "dir/other": "other", "to/": ""})
	return root
}

// Syncing comes before renaming, and the directory after it: that is what
// durability rests on.
func TestSteps(t *testing.T) {
	t.Parallel()
	temp := regexp.MustCompile(`^\.(.*)\.[A-Za-z0-9]{6}$`)
	for _, change := range changes() {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			root := faultRoot(t)
			var steps []string
			err := change.make(root.Before(func(s sysroot.Step) error {
				name := temp.ReplaceAllString(filepath.Base(s.Path), "$1.tmp")
				if s.Path == root.Dir() {
					name = "root"
				}
				steps = append(steps, s.Op+" "+name)
				return nil
			}))
			wantError(t, change.name, err, nil)
			if diff := cmp.Diff(change.steps, strings.Join(steps, ", ")); diff != "" {
				t.Errorf("steps of %s (-want +got):\n%s", change.name, diff)
			}
		})
	}
}

var errFault = errors.New("injected fault")

// When any one step fails, the error is reported, the tree is as before or as
// after, and no temporary file remains.
func TestEveryStepMayFail(t *testing.T) {
	t.Parallel()
	for _, change := range changes() {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			before, after := outcomes(t, change)
			for n := 0; ; n++ {
				root := faultRoot(t)
				reached := false
				count := 0
				err := change.make(root.Before(func(sysroot.Step) error {
					if count++; count == n+1 {
						reached = true
						return errFault
					}
					return nil
				}))
				if !reached {
					wantError(t, change.name, err, nil)
					if n < 2 {
						t.Errorf("%s has %d steps, want more", change.name, n)
					}
					return
				}
				wantError(t, change.name, err, errFault)
				if got := list(t, root.Dir(), `%P %y %s %l\0`); got != before && got != after && !change.partly {
					t.Errorf("after fault %d of %s the tree is neither old nor new:\n%s", n, change.name, got)
				}
			}
		})
	}
}

// When the machine stops before any one step, the tree is as before or as after,
// but for a temporary file.
func TestPlugPulled(t *testing.T) {
	t.Parallel()
	temp := regexp.MustCompile(`(?m)^\S*/\.\w+\.\w{6} .*\n`)
	for _, change := range changes() {
		t.Run(change.name, func(t *testing.T) {
			t.Parallel()
			before, after := outcomes(t, change)
			for n := 0; ; n++ {
				root := faultRoot(t)
				count := 0
				err := change.make(root.Before(func(sysroot.Step) error {
					if count++; count > n {
						return errFault
					}
					return nil
				}))
				if err == nil {
					return
				}
				got := temp.ReplaceAllString(list(t, root.Dir(), `%P %y %s %l\0`), "")
				if got != before && got != after && !change.partly {
					t.Errorf("%s stopped before step %d: the tree is neither old nor new:\n%s", change.name, n, got)
				}
			}
		})
	}
}

// outcomes returns the tree before and after the change.
func outcomes(t *testing.T, c change) (before, after string) {
	t.Helper()
	root := faultRoot(t)
	before = list(t, root.Dir(), `%P %y %s %l\0`)
	must(t, c.make(root))
	return before, list(t, root.Dir(), `%P %y %s %l\0`)
}

// A disk that is full, or another file system, shows up as an error of the
// system call; the step that stands for it lets a test have one.
func TestRenameAcrossFileSystems(t *testing.T) {
	t.Parallel()
	across := func(r *sysroot.Root) *sysroot.Root {
		failed := false
		return r.Before(func(s sysroot.Step) error {
			if s.Op == "rename" && !failed {
				failed = true
				return syscall.EXDEV
			}
			return nil
		})
	}
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"a/file": "content", "a/link": "-> file", "a/dir/x": "", "b/file": "old", "b/link": "-> old"})
	must(t, os.Chmod(root.Path("/a/file"), 0o755|os.ModeSetuid))
	must(t, os.Chtimes(root.Path("/a/file"), aTime(), aTime()))
	info, err := root.Lstat("/a/file")
	must(t, err)

	wantError(t, "Rename of a file", across(root).Rename("/a/file", "/b/file"), nil)
	wantContent(t, root.Path("/b/file"), "content")
	moved, err := root.Lstat("/b/file")
	must(t, err)
	if moved.Mode() != info.Mode() || !moved.ModTime().Equal(info.ModTime()) {
		t.Errorf("after Rename: %v %v, want %v %v", moved.Mode(), moved.ModTime(), info.Mode(), info.ModTime())
	}
	wantError(t, "Rename of a link", across(root).Rename("/a/link", "/b/link"), nil)
	if got, err := root.Readlink("/b/link"); got != "file" || err != nil {
		t.Errorf("Readlink = %q, %v, want %q", got, err, "file")
	}
	wantError(t, "Rename of a directory", across(root).Rename("/a/dir", "/b/dir"), syscall.EXDEV)
	wantEntries(t, root, "/a", "dir")
	wantEntries(t, root, "/b", "file", "link")
}

// The real thing: most machines have a second file system in memory.
func TestRenameToAnotherFileSystem(t *testing.T) {
	t.Parallel()
	memory, err := os.MkdirTemp("/dev/shm", "sysroot") //nolint:usetesting // not where temporary files are
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(memory) })
	dir := t.TempDir()
	lay(t, dir, map[string]string{"file": "content"})
	if os.Link(dir+"/file", memory+"/file") == nil {
		t.Skip("/dev/shm is on the same file system")
	}
	root, err := sysroot.Open("/")
	must(t, err)
	wantError(t, "Rename", root.Rename(dir+"/file", memory+"/file"), nil)
	wantContent(t, memory+"/file", "content")
	_, err = root.Lstat(dir + "/file")
	wantError(t, "Lstat of the old name", err, os.ErrNotExist)
}

// A full disk: the write fails, not the step before it.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"file": "old"})
	err := root.Replace("/file", 0o644, func(w io.Writer) error {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer full.Close()
		_, err = io.WriteString(io.MultiWriter(w, full), "new")
		return err
	})
	wantError(t, "Replace", err, syscall.ENOSPC)
	wantContent(t, root.Path("/file"), "old")
	wantEntries(t, root, "/", "file")
}
