package sysroot_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// everything is what cp -a keeps, as far as find(1) can show it.
const everything = `%P %y %m %U %G %T@ %l %s\0`

// source lays a directory with all that a copy can get wrong.
func source(t testing.TB, dir string) {
	t.Helper()
	lay(t, dir, map[string]string{
		"file": "content", "empty": "", ".hidden": "h", ".hidden.d/.x": "x", "empty.d/": "", "sub/deep/er/file": "deep",
		"with space\n\xff": "odd name", "-dash": "dash", "large": strings.Repeat("0123456789abcdef", 1<<17),
		"link": "-> file", "dirlink": "-> sub", "dangling": "-> /no/such/file", "absolute": "-> " + dir + "/file",
		"odd": "-> a b\n\xff", "up": "-> ../../..", "loop": "-> loop",
		"readonly.d/file": "x", "readonly.d/sub/file": "y",
	})
	for name, perm := range map[string]fs.FileMode{
		"file": 0o640, "empty": 0o400, "sub": 0o777 | fs.ModeSticky, "sub/deep": 0o755 | fs.ModeSetgid, "large": 0o755 | fs.ModeSetuid,
		"-dash": 0o777, "sub/deep/er": 0o711, ".hidden": 0o6711&0o777 | fs.ModeSetuid | fs.ModeSetgid,
		"readonly.d/sub": 0o500, "readonly.d": 0o555,
	} {
		must(t, os.Chmod(filepath.Join(dir, name), perm))
	}
	if os.Geteuid() == 0 {
		for name, id := range map[string]int{"file": 1, "link": 2, "sub": 3, "sub/deep": 4, ".hidden": 5, "dangling": 6} {
			must(t, os.Lchown(filepath.Join(dir, name), id, id+1))
		}
		// A change of owner takes these away.
		must(t, os.Chmod(filepath.Join(dir, ".hidden"), 0o711|fs.ModeSetuid|fs.ModeSetgid))
		must(t, os.Chmod(filepath.Join(dir, "sub/deep"), 0o755|fs.ModeSetgid))
		must(t, os.Chmod(filepath.Join(dir, "empty"), 0))
	}
	age(t, dir)
}

// age gives everything below dir its own time, links included.
func age(t testing.TB, dir string) {
	t.Helper()
	n := int64(0)
	var hosts []string
	must(t, filepath.WalkDir(dir, func(host string, _ fs.DirEntry, err error) error {
		hosts = append(hosts, host)
		return err
	}))
	for _, host := range hosts {
		n++
		stamp := unix.NsecToTimespec(1_000_000_000_123_456_789 + n*86_400_000_000_001)
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, host, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// writable lets the test's directory be removed again by somebody other than
// root.
func writable(t testing.TB, dir string) {
	t.Cleanup(func() {
		c := exec.CommandContext(context.Background(), "chmod", "-R", "u+rwX", dir)
		_ = c.Run()
	})
}

func TestCopyTreeConfirm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		dst  map[string]string // what the destination holds before
	}{
		{"nothing there", nil},
		{"empty directory", map[string]string{"./": ""}},
		{"merge", map[string]string{
			"other": "stays", "file": "goes", "link": "-> other", "sub/deep/other": "stays", "sub/deep/er/file": "goes",
			"empty.d/other": "stays", "dangling": "a file", "readonly.d/sub/other": "stays", "empty": "longer than before",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := newRoot(t)
			writable(t, root.Dir())
			lay(t, root.Dir(), map[string]string{"src/": "", "source": "-> /src"})
			source(t, root.Path("/src"))
			for _, dst := range []string{"got", "want"} {
				for name, content := range test.dst {
					lay(t, root.Dir(), map[string]string{dst + "/" + name: content})
				}
				if test.dst != nil {
					age(t, root.Path(dst))
				}
			}
			cp := exec.CommandContext(t.Context(), "cp", "-a", "src/.", "want/")
			if test.dst == nil {
				cp = exec.CommandContext(t.Context(), "cp", "-a", "src", "want")
			}
			cp.Dir = root.Dir()
			if out, err := cp.CombinedOutput(); err != nil {
				t.Fatalf("%q: %v\n%s", cp.Args, err, out)
			}
			wantError(t, "CopyTree", root.CopyTree(t.Context(), "/source", "/got"), nil)
			if diff := cmp.Diff(list(t, root.Path("/want"), everything), list(t, root.Path("/got"), everything)); diff != "" {
				t.Errorf("CopyTree (-cp -a +got):\n%s", diff)
			}
			compare := exec.CommandContext(t.Context(), "diff", "-r", "--no-dereference", "want", "got")
			compare.Dir = root.Dir()
			if out, err := compare.CombinedOutput(); err != nil && os.Geteuid() == 0 {
				t.Errorf("contents differ: %v\n%s", err, out)
			}
		})
	}
}

// A link in the destination is replaced and what it leads to left alone, where
// cp -a would write through it.
func TestCopyTreeReplacesLinks(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"src/file": "new", "dst/file": "-> /precious", "precious": "old"})
	lay(t, root.Dir(), map[string]string{"src/host": "new", "dst/host": "-> " + root.Dir() + "/precious"})
	wantError(t, "CopyTree", root.CopyTree(t.Context(), "/src", "/dst"), nil)
	wantContent(t, root.Path("/precious"), "old")
	wantContent(t, root.Path("/dst/file"), "new")
	wantMode(t, root.Path("/dst/host"), 0o600)
}

func TestCopyTreeRefuses(t *testing.T) {
	t.Parallel()
	fifo := func(t *testing.T, r *sysroot.Root) { must(t, syscall.Mkfifo(r.Path("/src/pipe"), 0o600)) }
	tests := []struct {
		name    string
		files   map[string]string
		prepare func(*testing.T, *sysroot.Root)
		dst     string
		want    string // a part of the message
	}{
		{"named pipe", map[string]string{"src/": ""}, fifo, "/dst", "/src/pipe: not a regular file (named pipe)"},
		{"file over directory", map[string]string{"src/x": "", "dst/x/": ""}, nil, "/dst", "/dst/x: is a directory"},
		{"link over directory", map[string]string{"src/x": "-> y", "dst/x/": ""}, nil, "/dst", "/dst/x: is a directory"},
		{"directory over file", map[string]string{"src/x/y": "", "dst/x": ""}, nil, "/dst", "/dst/x: not a directory"},
		{"directory over link", map[string]string{"src/x/y": "", "dst/x": "-> /etc"}, nil, "/dst", "/dst/x: not a directory"},
		{"into itself", map[string]string{"src/x/": ""}, nil, "/src/x/y", "is inside it"},
		{"onto itself", map[string]string{"src/x/": ""}, nil, "/src", "is inside it"},
		{"into itself by a link", map[string]string{"src/x/": "", "l": "-> /src/x"}, nil, "/l/y", "is inside it"},
		{"no source", map[string]string{}, nil, "/dst", "/src: no such file or directory"},
		{"source is a file", map[string]string{"src": "x"}, nil, "/dst", "/src: not a directory"},
		{"source is a loop", map[string]string{"src": "-> src"}, nil, "/dst", "too many levels of symbolic links"},
		{"no parent", map[string]string{"src/": ""}, nil, "/none/dst", "/none/dst: no such file or directory"},
		{"destination is a file", map[string]string{"src/": "", "dst": ""}, nil, "/dst", "/dst: not a directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := newRoot(t)
			lay(t, root.Dir(), test.files)
			if test.prepare != nil {
				test.prepare(t, root)
			}
			err := root.CopyTree(t.Context(), "/src", test.dst)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("CopyTree = %v, want %s", err, test.want)
			}
		})
	}
}

func TestCopyTreeCancel(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	const files = 1000
	for i := range files {
		lay(t, root.Dir(), map[string]string{fmt.Sprintf("src/%03d", i): "x"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := root.Before(func(s sysroot.Step) error {
		if filepath.Base(s.Path) == "100" {
			cancel()
		}
		return nil
	}).CopyTree(ctx, "/src", "/dst")
	wantError(t, "CopyTree", err, context.Canceled)
	entries, err := root.ReadDir("/dst")
	if err != nil || len(entries) >= files {
		t.Errorf("cancelled CopyTree copied %d files, %v, want fewer than %d", len(entries), err, files)
	}
	wantError(t, "CopyTree", root.CopyTree(ctx, "/src", "/never"), context.Canceled)
	_, err = root.Lstat("/never")
	wantError(t, "Lstat", err, fs.ErrNotExist)
}

// A fault in any file or directory is reported.
func TestCopyTreeFaults(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"src/file": "x", "src/dir/": "", "src/link": "-> file"})
	for _, fault := range []sysroot.Step{
		{Op: "copy", Path: "/file"},
		{Op: "mkdir", Path: "/dir"},
		{Op: "mkdir", Path: ""},
		{Op: "symlink", Path: "/link"},
		{Op: "utimes", Path: "/dir"},
		{Op: "utimes", Path: ""},
	} {
		must(t, root.RemoveAll("/dst"))
		fault.Path = root.Path("/dst" + fault.Path)
		err := root.Before(func(s sysroot.Step) error {
			if s == fault {
				return errFault
			}
			return nil
		}).CopyTree(t.Context(), "/src", "/dst")
		if !errors.Is(err, errFault) {
			t.Errorf("CopyTree with %v failing = %v, want %v", fault, err, errFault)
		}
	}
}

// BenchmarkCopyTree copies a tree like a large driver's: 2,000 files of 20 KiB.
func BenchmarkCopyTree(b *testing.B) {
	root := newRoot(b)
	text := strings.Repeat("static int x;  \n", 20<<10/16)
	for i := range 2000 {
		lay(b, root.Dir(), map[string]string{fmt.Sprintf("src/%02d/%04d.c", i%40, i): text})
	}
	n := 0
	next := func(b *testing.B) string {
		b.StopTimer()
		defer b.StartTimer()
		must(b, root.RemoveAll(fmt.Sprint("/dst", n)))
		n++
		return fmt.Sprint("/dst", n)
	}
	b.Run("CopyTree", func(b *testing.B) {
		for b.Loop() {
			must(b, root.CopyTree(b.Context(), "/src", next(b)))
		}
	})
	b.Run("cp -a", func(b *testing.B) {
		for b.Loop() {
			must(b, exec.CommandContext(b.Context(), "cp", "-a", root.Path("/src"), root.Path(next(b))).Run())
		}
	})
}
