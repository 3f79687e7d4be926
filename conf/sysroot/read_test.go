package sysroot_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf/sysroot"
)

func TestRead(t *testing.T) {
	t.Parallel()
	root := machine(t)
	for abs, want := range map[string]string{
		"/var/lib/dkms/m/1/source/dkms.conf": "conf",
		"/usr/src/m-1/double":                "conf",
		"/usr/src/m-1/escape":                "conf",
		"/lib/modules/6.1/build/Makefile":    "headers",
	} {
		if got, err := root.ReadFile(abs); string(got) != want || err != nil {
			t.Errorf("ReadFile(%q) = %q, %v, want %q", abs, got, err, want)
		}
		f, err := root.Open(abs)
		must(t, err)
		info, err := f.Stat()
		must(t, err)
		must(t, f.Close())
		stat, err := root.Stat(abs)
		if err != nil || info.Size() != int64(len(want)) || stat.Size() != info.Size() || !stat.Mode().IsRegular() {
			t.Errorf("Stat(%q) = %v, %v, want %d bytes", abs, stat, err, len(want))
		}
	}
	for abs, want := range map[string]error{
		"/etc/passwd": fs.ErrNotExist, "/usr/src/m-1/dangling": fs.ErrNotExist, "/usr/src/m-1/self": syscall.ELOOP,
	} {
		_, err := root.ReadFile(abs)
		wantError(t, fmt.Sprintf("ReadFile(%q)", abs), err, want)
		_, err = root.Open(abs)
		wantError(t, fmt.Sprintf("Open(%q)", abs), err, want)
		_, err = root.Stat(abs)
		wantError(t, fmt.Sprintf("Stat(%q)", abs), err, want)
		_, err = root.ReadDir(abs)
		wantError(t, fmt.Sprintf("ReadDir(%q)", abs), err, want)
	}
}

// An error names the file that the administrator can look at.
func TestReadErrorText(t *testing.T) {
	t.Parallel()
	root := machine(t)
	_, err := root.ReadFile("/etc/dkms/framework.conf")
	want := "open " + root.Dir() + "/etc/dkms/framework.conf: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("ReadFile = %v, want %s", err, want)
	}
}

func TestReadDir(t *testing.T) {
	t.Parallel()
	root := machine(t)
	entries, err := root.ReadDir("/var/lib/dkms/m/1/source/slash/lib/modules/6.1")
	if err != nil || len(entries) != 1 || entries[0].Name() != "build" || entries[0].Type() != fs.ModeSymlink {
		t.Errorf("ReadDir = %v, %v, want the link build", entries, err)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	root := machine(t)
	const link = "/var/lib/dkms/m/1/source/dangling"
	if got, err := root.Readlink(link); got != "/no/such" || err != nil {
		t.Errorf("Readlink(%q) = %q, %v, want %q", link, got, err, "/no/such")
	}
	if info, err := root.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("Lstat(%q) = %v, %v, want a link", link, info, err)
	}
	_, err := root.Readlink("/usr/src/m-1/dkms.conf")
	wantError(t, "Readlink of a file", err, syscall.EINVAL)
}

// Where there are no absolute links, filepath.Glob says the same.
func TestGlobConfirm(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"etc/conf.d/b.conf": "", "etc/conf.d/a.conf": "", "etc/conf.d/.hidden.conf": "", "etc/conf.d/Z.conf": "",
		"etc/conf.d/a.conf~": "", "etc/conf.d/dangling.conf": "-> no", "etc/conf.d/dir.conf/": "",
		"lib/modules/6.1/build": "-> ../../../usr/src/h", "lib/modules/6.2/build": "-> gone", "lib/modules/6.3/": "",
		"usr/src/h/Makefile": "", "lib/modules/[x]/build/": "", "lib/file": "",
	})
	for _, pattern := range []string{
		"/etc/conf.d/*.conf", "/etc/conf.d/*", "/etc/conf.d/[a-b].conf", "/etc/conf.d/?.conf", "/etc/conf.d/a.conf",
		"/lib/modules/*/build", "/lib/modules/*/build/*", "/lib/modules/*/build/Makefile", "/lib/modules/6.*",
		"/lib/modules/\\[x]/*", "/lib/*/*/build", "/*", "/no/*", "/lib/file/*", "/etc/conf.d/dangling.conf",
		"/etc//conf.d/*.conf",
	} {
		hosts, err := filepath.Glob(root.Dir() + pattern)
		must(t, err)
		want := []string{}
		for _, host := range hosts {
			want = append(want, path.Clean(strings.TrimPrefix(host, root.Dir())))
		}
		slices.Sort(want)
		got, err := root.Glob(pattern)
		if diff := cmp.Diff(slices.Compact(want), append([]string{}, got...)); diff != "" || err != nil {
			t.Errorf("Glob(%q): %v (-want +got):\n%s", pattern, err, diff)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	root := machine(t)
	for pattern, want := range map[string][]string{
		"/":                              {"/"},
		"/lib/modules/*/build/Make*":     {"/lib/modules/6.1/build/Makefile"},
		"/var/lib/dkms/*/*/source/*.co*": {"/var/lib/dkms/m/1/source/dkms.conf"},
		"/usr/src/m-1/slash/us*":         {"/usr/src/m-1/slash/usr"},
		"/usr/src/m-1/dangling":          {"/usr/src/m-1/dangling"},
		"/etc/*":                         nil,
	} {
		got, err := root.Glob(pattern)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Glob(%q): %v (-want +got):\n%s", pattern, err, diff)
		}
	}
	_, err := root.Glob("/etc/[")
	wantError(t, "Glob of a bad pattern", err, path.ErrBadPattern)
}

func TestFS(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"etc/a.conf": "a", "etc/link": "-> a.conf", "etc/abs": "-> /etc/a.conf", "lib/modules/6.1/build": "-> /etc", "empty/": "",
	})
	if err := fstest.TestFS(root.FS(), "etc/a.conf", "etc/link", "etc/abs", "lib/modules/6.1/build", "empty"); err != nil {
		t.Error(err)
	}
	if got, err := fs.ReadFile(root.FS(), "lib/modules/6.1/build/abs"); string(got) != "a" || err != nil {
		t.Errorf("ReadFile through links = %q, %v, want %q", got, err, "a")
	}
}

// TestSameFile: what Stat returns is compared by what it describes, also with what os returns, and tells of its inode as os does.
func TestSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "again")); err != nil {
		t.Fatal(err)
	}
	stat := func(name string) fs.FileInfo {
		fi, err := root.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return fi
	}
	theirs, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b fs.FileInfo
		want bool
	}{{stat("/a"), stat("/again"), true}, {stat("/a"), stat("/b"), false}, {stat("/a"), theirs, true}, {theirs, stat("/b"), false}} {
		if got := sysroot.SameFile(c.a, c.b); got != c.want {
			t.Errorf("SameFile(%s, %s) = %v, want %v", c.a.Name(), c.b.Name(), got, c.want)
		}
	}
	if diff := cmp.Diff(theirs.Sys(), stat("/a").Sys()); diff != "" {
		t.Errorf("Sys of os and of sysroot (-os +sysroot):\n%s", diff)
	}
}
