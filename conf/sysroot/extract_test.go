package sysroot_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
)

func TestMkdir(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	if err := root.Mkdir("/a", 0o775); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(root.Path("/a")); err != nil || fi.Mode() != fs.ModeDir|0o775 {
		t.Errorf("Mkdir made %v, %v; want a directory of mode 0775", fi, err)
	}
	if err := root.Mkdir("/a", 0o755); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Mkdir of what exists = %v, want ErrExist", err)
	}
	if err := root.Mkdir("/b/c", 0o755); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Mkdir without parent = %v, want ErrNotExist", err)
	}
}

func TestChtimes(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"file": "x", "dir/": "", "link": "-> file"})
	want := time.Unix(1_000_000_000, 0)
	for _, abs := range []string{"/link", "/file", "/dir"} {
		if err := root.Chtimes(abs, want); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Lstat(root.Path(abs)); err != nil || !fi.ModTime().Equal(want) {
			t.Errorf("%s was changed at %v, %v; want %v", abs, fi.ModTime(), err, want)
		}
		want = want.Add(time.Hour)
	}
	if err := root.Chtimes("/nothing", want); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Chtimes of nothing = %v, want ErrNotExist", err)
	}
}
