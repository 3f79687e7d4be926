package sysroot_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestMkfifoTemp(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{"run/": "", "link": "-> /run"})
	names := map[string]bool{}
	for range 3 {
		abs, err := root.MkfifoTemp("/link", ".pipe-*")
		must(t, err)
		if !strings.HasPrefix(abs, "/link/.pipe-") || names[abs] {
			t.Errorf("MkfifoTemp = %q, want a new name below /link", abs)
		}
		names[abs] = true
		info, err := root.Lstat(abs)
		must(t, err)
		if got, want := info.Mode(), fs.ModeNamedPipe|0o600; got != want {
			t.Errorf("mode of %s = %v, want %v", abs, got, want)
		}
	}
	_, err := root.MkfifoTemp("/missing", "x")
	wantError(t, "MkfifoTemp", err, syscall.ENOENT)
	if abs, err := root.MkfifoTemp("/run", "../x"); err == nil {
		t.Errorf("MkfifoTemp with a slash = %q, want an error", abs)
	}
}
