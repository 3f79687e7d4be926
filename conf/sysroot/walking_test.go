package sysroot_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"dkms-go/conf/sysroot"
)

// Paths read alike whether the kernel resolves them or walk does.
func TestReadingWithAndWithoutTheKernel(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	lay(t, root.Dir(), map[string]string{
		"dir/file": "x", "dir/sub/": "", "up": "-> ../../..", "abs": "-> /dir/file", "rel": "-> dir/sub/../file", "loop": "-> loop",
		"dangling": "-> /nothing", "todir": "-> /dir", "todir2": "-> ../../todir", "deep/a/b": "-> /../../dir",
	})
	for _, abs := range []string{
		"/", "", ".", "/..", "/dir", "/dir/", "/dir/file", "/dir/file/", "/dir/file/x", "/dir/../dir/file", "/up/dir/file",
		"/abs", "/abs/", "/rel", "/loop", "/loop/x", "/dangling", "/dangling/x", "/todir", "/todir/", "/todir/file", "/todir2/file",
		"/deep/a/b/file", "/deep/a/b/../deep", "/nothing", "/nothing/../dir", "dir//sub",
	} {
		if got, want := readings(root, abs), readings(root.Walking(), abs); got != want {
			t.Errorf("%q reads as\n%s\nwith the kernel's help, and as\n%s\nwithout", abs, got, want)
		}
	}
}

func readings(r *sysroot.Root, abs string) string {
	var text string
	note := func(what string, value any, err error) {
		var failed *fs.PathError
		if errors.As(err, &failed) {
			value, err = nil, failed.Err
		}
		text += fmt.Sprintln(what, value, err)
	}
	fi, err := r.Stat(abs)
	note("stat", mode(fi), err)
	fi, err = r.Lstat(abs)
	note("lstat", mode(fi), err)
	target, err := r.Readlink(abs)
	note("readlink", target, err)
	data, err := r.ReadFile(abs)
	note("read", string(data), err)
	entries, err := r.ReadDir(abs)
	note("readdir", len(entries), err)
	return text
}

func mode(fi fs.FileInfo) any {
	if fi == nil {
		return nil
	}
	return fi.Mode()
}
