package sysroot_test

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"dkms-go/conf/sysroot"

	"github.com/google/go-cmp/cmp"
)

// aTime is a time in the past with all digits.
func aTime() time.Time { return time.Unix(1_500_000_000, 123_456_789) }

func TestRename(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"a/file": "content", "a/dir/x": "x", "a/link": "-> /b/target", "b/file": "old", "b/target": "target", "b/full/y": "y",
		"to-a": "-> /a", "to-b": "-> /b",
	})
	wantError(t, "Rename of a file", root.Rename("/to-a/file", "/to-b/file"), nil)
	wantContent(t, root.Path("/b/file"), "content")
	wantError(t, "Rename of a directory", root.Rename("/to-a/dir", "/to-b/dir"), nil)
	wantContent(t, root.Path("/b/dir/x"), "x")
	wantError(t, "Rename of a link", root.Rename("/to-a/link", "/to-b/link"), nil)
	if got, err := root.Readlink("/b/link"); got != "/b/target" || err != nil {
		t.Errorf("Readlink = %q, %v, want %q", got, err, "/b/target")
	}
	wantError(t, "Rename onto a link", root.Rename("/b/file", "/b/link"), nil)
	wantContent(t, root.Path("/b/link"), "content")
	wantContent(t, root.Path("/b/target"), "target")
	wantError(t, "Rename onto a directory", root.Rename("/b/dir", "/b/full"), syscall.EEXIST)
	wantError(t, "Rename of nothing", root.Rename("/b/none", "/b/x"), fs.ErrNotExist)
	wantError(t, "Rename into nothing", root.Rename("/b/dir", "/none/x"), fs.ErrNotExist)
	wantEntries(t, root, "/a")
	wantEntries(t, root, "/b", "dir", "full", "link", "target")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"a/file": "", "a/link": "-> /keep", "a/empty/": "", "a/full/x": "", "keep/x": "", "to-a": "-> /a",
	})
	for _, name := range []string{"file", "link", "empty"} {
		wantError(t, "Remove "+name, root.Remove("/to-a/"+name), nil)
	}
	wantError(t, "Remove of a full directory", root.Remove("/a/full"), syscall.ENOTEMPTY)
	wantError(t, "Remove of nothing", root.Remove("/a/none"), fs.ErrNotExist)
	wantEntries(t, root, "/a", "full")
	wantEntries(t, root, "/keep", "x")
}

func TestRemoveAll(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"a/file": "", "a/link": "-> /keep", "a/full/x/y": "", "a/full/link": "-> /keep", "keep/x": "", "to-a": "-> /a",
	})
	for _, name := range []string{"file", "link", "full", "none", "none/at/all"} {
		wantError(t, "RemoveAll "+name, root.RemoveAll("/to-a/"+name), nil)
	}
	wantEntries(t, root, "/a")
	wantEntries(t, root, "/keep", "x")
}

// No misread variable makes us remove everything.
func TestRootStays(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"slash": "-> /", "dir/": ""})
	for _, abs := range []string{"", "/", "//", "/.", "/..", "/dir/..", "/slash/.", "/slash/../.."} {
		if err := root.RemoveAll(abs); err == nil || !strings.HasSuffix(err.Error(), "is the root directory") {
			t.Errorf("RemoveAll(%q) = %v, want it refused", abs, err)
		}
		if err := root.Remove(abs); err == nil || !strings.HasSuffix(err.Error(), "is the root directory") {
			t.Errorf("Remove(%q) = %v, want it refused", abs, err)
		}
	}
	wantEntries(t, root, "/", "dir", "slash")
}

func TestRemoveEmpty(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, abs, stop string
		want            string // the directories that are left
	}{
		{"all", "/top/a/b/c", "/top", ". ./top"},
		{"stop in the middle", "/top/a/b/c", "/top/a", ". ./top ./top/a"},
		{"stop at itself", "/top/a/b/c", "/top/a/b/c", ". ./top ./top/a ./top/a/b ./top/a/b/c"},
		{"missing", "/top/a/b/c/d/e", "/top", ". ./top"},
		{"not empty", "/top/a", "/top", ". ./top ./top/a ./top/a/b ./top/a/b/c"},
		{"up to the root", "/top/a/b/c", "/", "."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := newRoot(t)
			lay(t, root.Dir(), map[string]string{"top/a/b/c/": ""})
			wantError(t, "RemoveEmpty", root.RemoveEmpty(test.abs, test.stop), nil)
			got := strings.Fields(list(t, root.Dir(), `%p\0`))
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("RemoveEmpty(%q, %q) leaves (-want +got):\n%s", test.abs, test.stop, diff)
			}
		})
	}
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"a/": "", "b/": "", "file": "", "ab/": ""})
	for _, abs := range []string{"/b", "/ab", "/", "/a/.."} {
		if err := root.RemoveEmpty(abs, "/a"); err == nil {
			t.Errorf("RemoveEmpty(%q, %q) succeeded, want an error", abs, "/a")
		}
	}
	wantError(t, "RemoveEmpty of a file", root.RemoveEmpty("/file", "/"), syscall.ENOTDIR)
	wantEntries(t, root, "/", "a", "ab", "b", "file")
}

func TestMkdirAll(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"old/": "", "link": "-> /old", "dangling": "-> /far/away", "file": "", "loop": "-> loop", "up": "-> ../../../old",
	})
	must(t, os.Chmod(root.Path("/old"), 0o711))
	for abs, want := range map[string]string{
		"/old": "/old", "/old/a/b": "/old/a/b", "/link/c": "/old/c", "/dangling/d": "/far/away/d", "/up/e/../f": "/old/f", "/": "/",
		"/../g": "/g", "/link": "/old",
	} {
		wantError(t, "MkdirAll "+abs, root.MkdirAll(abs, 0o775), nil)
		if info, err := os.Lstat(root.Path(want)); err != nil || !info.IsDir() {
			t.Errorf("MkdirAll(%q) made no %s: %v", abs, want, err)
		}
	}
	for _, abs := range []string{"/old/a", "/old/a/b", "/far", "/far/away", "/far/away/d"} {
		wantMode(t, root.Path(abs), 0o775|fs.ModeDir)
	}
	wantMode(t, root.Path("/old"), 0o711|fs.ModeDir)
	wantError(t, "MkdirAll over a file", root.MkdirAll("/file", 0o755), syscall.ENOTDIR)
	wantError(t, "MkdirAll below a file", root.MkdirAll("/file/x", 0o755), syscall.ENOTDIR)
	wantError(t, "MkdirAll through a loop", root.MkdirAll("/loop/x", 0o755), syscall.ELOOP)
	wantError(t, "MkdirAll", root.MkdirAll("/sticky", 0o777|fs.ModeSticky), nil)
	wantMode(t, root.Path("/sticky"), 0o777|fs.ModeSticky|fs.ModeDir)
}

func TestMkdirTemp(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"real/tmp/": "", "tmp": "-> /real/tmp", "file": ""})
	for pattern, want := range map[string]string{
		"dkms.*": `/tmp/dkms\.[A-Za-z0-9]{6}`, ".tmp_x86_*": `/tmp/\.tmp_x86_[A-Za-z0-9]{6}`,
		"a*b*c": `/tmp/a\*b[A-Za-z0-9]{6}c`, "": `/tmp/[A-Za-z0-9]{6}`,
	} {
		abs, err := root.MkdirTemp("/tmp", pattern)
		if !matches(want, abs) || err != nil {
			t.Errorf("MkdirTemp(%q) = %q, %v, want %s", pattern, abs, err, want)
			continue
		}
		again, err := root.MkdirTemp("/tmp", pattern)
		if again == abs || err != nil {
			t.Errorf("MkdirTemp(%q) again = %q, %v, want another one", pattern, again, err)
		}
		host, err := root.Resolve(abs)
		must(t, err)
		wantMode(t, host, 0o700|fs.ModeDir)
	}
	for _, test := range []struct {
		dir, pattern string
		want         error
	}{{"/none", "x", fs.ErrNotExist}, {"/file", "x", syscall.ENOTDIR}} {
		_, err := root.MkdirTemp(test.dir, test.pattern)
		wantError(t, "MkdirTemp in "+test.dir, err, test.want)
	}
	if abs, err := root.MkdirTemp("/tmp", "../x*"); err == nil {
		t.Errorf("MkdirTemp with a slash = %q, want an error", abs)
	}
}

func TestScratchFiles(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"d/old": "old", "d/link": "-> old", "d/dir/": "", "to-d": "-> /d"})
	must(t, syscall.Mkfifo(root.Path("/d/fifo"), 0o600))
	must(t, os.Chmod(root.Path("/d/old"), 0o640))
	write := func(call string, abs string, perm fs.FileMode, text string) error {
		t.Helper()
		open := root.Create
		if call == "Append" {
			open = root.Append
		}
		f, err := open(abs, perm)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		must(t, err)
		return f.Close()
	}
	wantError(t, "Append", write("Append", "/to-d/old", 0o666, "+more"), nil)
	wantContent(t, root.Path("/d/old"), "old+more")
	wantMode(t, root.Path("/d/old"), 0o640)
	wantError(t, "Append", write("Append", "/to-d/new", 0o666, "more"), nil)
	wantContent(t, root.Path("/d/new"), "more")
	wantMode(t, root.Path("/d/new"), 0o666)
	wantError(t, "Create", write("Create", "/to-d/old", 0o664, "new"), nil)
	wantContent(t, root.Path("/d/old"), "new")
	wantMode(t, root.Path("/d/old"), 0o664)
	wantError(t, "Create", write("Create", "/to-d/fresh", 0o666, "x"), nil)
	wantMode(t, root.Path("/d/fresh"), 0o666)
	for _, call := range []string{"Create", "Append"} {
		wantError(t, call+" of a link", write(call, "/d/link", 0o644, ""), syscall.ELOOP)
		wantError(t, call+" of a directory", write(call, "/d/dir", 0o644, ""), syscall.EISDIR)
		wantError(t, call+" in nothing", write(call, "/none/x", 0o644, ""), fs.ErrNotExist)
		if err := write(call, "/d/fifo", 0o644, ""); err == nil {
			t.Errorf("%s of a named pipe succeeded, want an error", call)
		}
	}
}

func TestChmod(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"d/file": "", "d/link": "-> file", "to-d": "-> /d"})
	for _, perm := range modes() {
		wantError(t, "Chmod", root.Chmod("/to-d/file", perm), nil)
		wantMode(t, root.Path("/d/file"), perm)
	}
	wantError(t, "Chmod of a directory", root.Chmod("/d", 0o711), nil)
	wantMode(t, root.Path("/d"), 0o711|fs.ModeDir)
	wantError(t, "Chmod of a link", root.Chmod("/d/link", 0o644), syscall.ELOOP)
	wantError(t, "Chmod of nothing", root.Chmod("/d/none", 0o644), fs.ErrNotExist)
}

func TestSyncTree(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"d/a": "", "d/e/f": "", "d/link": "-> /outside", "outside": "", "to-d": "-> /d"})
	must(t, syscall.Mkfifo(root.Path("/d/fifo"), 0o600))
	synced := map[string]bool{}
	err := root.Before(func(s sysroot.Step) error {
		synced[s.Op+" "+strings.TrimPrefix(s.Path, root.Dir())] = true
		return nil
	}).SyncTree("/to-d")
	wantError(t, "SyncTree", err, nil)
	want := map[string]bool{"sync /d": true, "sync /d/a": true, "sync /d/e": true, "sync /d/e/f": true}
	if diff := cmp.Diff(want, synced); diff != "" {
		t.Errorf("SyncTree syncs (-want +got):\n%s", diff)
	}
	wantError(t, "SyncTree of nothing", root.SyncTree("/none"), fs.ErrNotExist)
}
