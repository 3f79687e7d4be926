package sysroot_test

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

func TestDir(t *testing.T) {
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"to/dir/file": "content", "outside": "inside the root", "etc/": ""})
	must(t, root.Symlink("/outside", "/to/dir/link"))
	must(t, root.Symlink("/to/dir", "/way"))
	must(t, syscall.Mkfifo(root.Dir()+"/to/dir/pipe", 0o600))
	d, err := root.OpenDir("/way")
	must(t, err)
	defer d.Close()
	for name, want := range map[string]string{"file": "content", "link": "inside the root"} {
		s, err := d.Stat(name)
		if s.Size != int64(len(want)) || s.Mode&syscall.S_IFMT != syscall.S_IFREG || err != nil {
			t.Errorf("Stat(%q) = size %d, mode %o, %v, want a file of %d bytes", name, s.Size, s.Mode, err, len(want))
		}
	}
	if _, err := d.Stat("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat(missing) = %v, want fs.ErrNotExist", err)
	}
	f, err := root.OpenNonblock("/way/pipe") // must not hang
	must(t, err)
	must(t, f.Close())
	if _, err := root.OpenDir("/outside"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("OpenDir of a file = %v, want ENOTDIR", err)
	}
}
