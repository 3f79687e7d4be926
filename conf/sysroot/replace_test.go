package sysroot_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// modes are the kinds of permissions that a umask or a careless chmod changes.
func modes() []fs.FileMode {
	return []fs.FileMode{0o644, 0o600, 0o755, 0o777, 0o400, 0, 0o755 | fs.ModeSetuid, 0o755 | fs.ModeSetgid, 0o666}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	for _, perm := range modes() {
		for _, before := range []string{"", "old content", "-> /somewhere/else", "-> missing"} {
			t.Run(fmt.Sprint(perm, " over ", before), func(t *testing.T) {
				t.Parallel()
				root := newRoot(t)
				lay(t, root.Dir(), map[string]string{"data/": "", "link": "-> /data"})
				if before != "" {
					lay(t, root.Dir(), map[string]string{"data/file": before})
				}
				wantError(t, "WriteFile", root.WriteFile("/link/file", []byte("new"), perm), nil)
				got, err := root.ReadFile("/data/file")
				if os.Geteuid() == 0 || perm&0o400 != 0 {
					if string(got) != "new" || err != nil {
						t.Errorf("ReadFile = %q, %v, want %q", got, err, "new")
					}
				}
				wantMode(t, root.Path("/data/file"), perm)
				wantEntries(t, root, "/data", "file")
			})
		}
	}
}

// wantEntries fails unless the directory holds exactly these names.
func wantEntries(t *testing.T, root *sysroot.Root, dir string, want ...string) {
	t.Helper()
	entries, err := root.ReadDir(dir)
	must(t, err)
	got := []string{}
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Errorf("entries of %s (-want +got):\n%s", dir, diff)
	}
}

func TestReplaceLarge(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	want := strings.Repeat("0123456789abcdef", 1<<16)
	err := root.Replace("/file", 0o644, func(w io.Writer) error {
		for part := want; part != ""; part = part[min(len(part), 1000):] {
			if _, err := io.WriteString(w, part[:min(len(part), 1000)]); err != nil {
				return err
			}
		}
		return nil
	})
	wantError(t, "Replace", err, nil)
	wantContent(t, root.Path("/file"), want)
}

func TestReplaceRefuses(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"dir/": "", "full/file": "", "file": "x", "loop": "-> loop"})
	must(t, syscall.Mkfifo(root.Path("/fifo"), 0o600))
	// The path of a socket may not be longer than 107 bytes (unix(7)).
	short, err := os.MkdirTemp("", "s") //nolint:usetesting // its path would be too long
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(short) })
	listener, err := net.Listen("unix", filepath.Join(short, "socket"))
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	must(t, os.Rename(filepath.Join(short, "socket"), root.Path("/socket")))
	tests := []struct {
		abs  string
		want string // the end of the message
	}{
		{"/dir", "is a directory"},
		{"/full", "is a directory"},
		{"/", "is a directory"},
		{"/fifo", "not a regular file (named pipe)"},
		{"/socket", "not a regular file (socket)"},
		{"/file/x", "not a directory"},
		{"/loop/x", "too many levels of symbolic links"},
		{"/missing/file", "no such file or directory"},
	}
	before := list(t, root.Dir(), `%p %y %s\0`)
	for _, test := range tests {
		for call, err := range map[string]error{
			"WriteFile": root.WriteFile(test.abs, []byte("new"), 0o644),
			"Copy":      root.Copy("/file", test.abs, 0o644),
		} {
			if err == nil || !strings.HasSuffix(err.Error(), ": "+test.want) {
				t.Errorf("%s(%q) = %v, want %s", call, test.abs, err, test.want)
			}
		}
	}
	if diff := cmp.Diff(before, list(t, root.Dir(), `%p %y %s\0`)); diff != "" {
		t.Errorf("refused writes changed something (-before +after):\n%s", diff)
	}
}

var errFill = errors.New("fill failed")

func TestReplaceFillFails(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"file": "old"})
	for _, abs := range []string{"/file", "/new"} {
		err := root.Replace(abs, 0o644, func(w io.Writer) error {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<20)); err != nil {
				return err
			}
			return errFill
		})
		wantError(t, "Replace", err, errFill)
	}
	wantContent(t, root.Path("/file"), "old")
	wantEntries(t, root, "/", "file")
}

// Even a fill that panics leaves nothing.
func TestReplaceFillPanics(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = root.Replace("/file", 0o644, func(io.Writer) error { panic("fill") })
	}()
	wantEntries(t, root, "/")
}

// Readers and several writers at once see whole files only.
func TestReplaceConcurrent(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	content := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprint(i), 100_000)) }
	must(t, root.WriteFile("/file", content(0), 0o644))
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			for range 25 {
				if err := root.WriteFile("/file", content(i), 0o644); err != nil {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for range 100 {
				got, err := root.ReadFile("/file")
				if err != nil {
					return err
				}
				if len(got) != 100_000 || strings.Trim(string(got), string(got[:1])) != "" {
					return fmt.Errorf("a mixture of %d bytes", len(got))
				}
			}
			return nil
		})
	}
	wantError(t, "concurrent WriteFile and ReadFile", group.Wait(), nil)
	wantEntries(t, root, "/", "file")
}

func TestReplaceLongName(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	name := strings.Repeat("n", 255)
	wantError(t, "WriteFile", root.WriteFile("/"+name, []byte("x"), 0o644), nil)
	wantError(t, "Symlink", root.Symlink("x", "/"+name), nil)
	wantEntries(t, root, "/", name)
}

func TestCopy(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	large := strings.Repeat("0123456789abcdef", 1<<17)
	lay(t, root.Dir(), map[string]string{
		"src/large": large, "src/empty": "", "src/link": "-> /src/large", "src/dir/": "", "dst/old": "old", "dst/link": "-> old",
	})
	for _, test := range []struct{ from, to, want string }{
		{"/src/large", "/dst/new", large},
		{"/src/large", "/dst/old", large},
		{"/src/empty", "/dst/empty", ""},
		{"/src/link", "/dst/link", large},
		{"/src/large", "/src/large", large},
	} {
		wantError(t, fmt.Sprintf("Copy(%q, %q)", test.from, test.to), root.Copy(test.from, test.to, 0o640), nil)
		wantContent(t, root.Path(test.to), test.want)
		wantMode(t, root.Path(test.to), 0o640)
	}
	wantError(t, "Copy of a directory", root.Copy("/src/dir", "/dst/x", 0o644), syscall.EISDIR)
	wantError(t, "Copy of nothing", root.Copy("/src/none", "/dst/x", 0o644), fs.ErrNotExist)
	wantEntries(t, root, "/dst", "empty", "link", "new", "old")
}

func TestSymlink(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"to/": "", "via": "-> /to", "to/file": "x", "to/link": "-> file", "to/dangling": "-> no", "to/dirlink": "-> /to", "to/dir/": "",
	})
	for _, name := range []string{"new", "file", "link", "dangling", "dirlink"} {
		const target = "../odd target\n"
		wantError(t, "Symlink over "+name, root.Symlink(target, "/via/"+name), nil)
		if got, err := root.Readlink("/to/" + name); got != target || err != nil {
			t.Errorf("Readlink(%s) = %q, %v, want %q", name, got, err, target)
		}
	}
	wantError(t, "Symlink over a directory", root.Symlink("x", "/to/dir"), syscall.EISDIR)
	wantError(t, "Symlink without a directory", root.Symlink("x", "/no/link"), fs.ErrNotExist)
	wantEntries(t, root, "/to", "dangling", "dir", "dirlink", "file", "link", "new")
}
