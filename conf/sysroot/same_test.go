package sysroot_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"
)

// The answers are those of cmp(1).
func TestSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("0123456789abcdef", 10000)
	for name, text := range map[string]string{
		"a": long, "same": long, "last": long[:len(long)-1] + "x", "first": "x" + long[1:], "longer": long + "x", "empty": "", "nothing": "",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	must(t, os.Symlink("/a", filepath.Join(dir, "link")))
	root, err := sysroot.Open(dir)
	must(t, err)
	for _, pair := range [][2]string{
		{"a", "a"}, {"a", "same"}, {"a", "last"}, {"a", "first"}, {"a", "longer"}, {"longer", "a"}, {"empty", "nothing"}, {"empty", "a"},
	} {
		want := exec.CommandContext(t.Context(), "cmp", "-s", filepath.Join(dir, pair[0]), filepath.Join(dir, pair[1])).Run() == nil
		if got, err := root.Same("/"+pair[0], "/"+pair[1]); got != want || err != nil {
			t.Errorf("Same(%q, %q) = %v, %v, want %v", pair[0], pair[1], got, err, want)
		}
	}
	if got, err := root.Same("/link", "/same"); !got || err != nil {
		t.Errorf("Same of a link = %v, %v, want true", got, err)
	}
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for name, want := range map[string]error{"/none": fs.ErrNotExist, "/pipe": fs.ErrInvalid, "/": fs.ErrInvalid} {
		_, err := root.Same(name, "/a")
		wantError(t, "Same("+name+")", err, want)
		_, err = root.Same("/a", name)
		wantError(t, "Same of "+name, err, want)
	}
}

// What Stat and Lstat say is what those of package os say.
func TestStatLikeOS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("text"), 0o640))
	must(t, os.Symlink("f", filepath.Join(dir, "l")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "p"), 0o600))
	for name, mode := range map[string]fs.FileMode{
		"special": fs.ModeSetuid | fs.ModeSetgid | 0o755, "sticky": fs.ModeSticky | 0o777,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	must(t, syscall.Mknod(filepath.Join(dir, "s"), syscall.S_IFSOCK|0o600, 0))
	root, err := sysroot.Open("/")
	must(t, err)
	for _, name := range []string{"d", "f", "l", "p", "s", "special", "sticky", "/dev/null"} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		for call, stat := range map[string][2]func(string) (fs.FileInfo, error){
			"Stat": {root.Stat, os.Stat}, "Lstat": {root.Lstat, os.Lstat},
		} {
			got, err := stat[0](name)
			must(t, err)
			want, err := stat[1](name)
			must(t, err)
			if got.Name() != want.Name() || got.Mode() != want.Mode() || got.Size() != want.Size() || !got.ModTime().Equal(want.ModTime()) || got.IsDir() != want.IsDir() {
				t.Errorf("%s(%q) = %v, want %v", call, name, fs.FormatFileInfo(got), fs.FormatFileInfo(want))
			}
		}
	}
}
