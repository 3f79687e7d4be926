package sign_test

import (
	"os"
	"path/filepath"
	"testing"

	"dkms-go/build/sign"
)

func TestInChroot(t *testing.T) {
	t.Parallel()
	fake := []string{"FAKECHROOT=true", "FAKECHROOT_BASE=", "LD_PRELOAD=/usr/lib/libfakechroot.so"}
	for _, test := range []struct {
		name      string
		env       []string
		first     string // what process 1 has mounted; "-" when that cannot be read
		otherRoot bool
		noRoot    bool
		uid       int
		want      bool
	}{
		{name: "outside", first: "a"},
		{name: "fakechroot", env: fake, first: "a", want: true},
		{name: "fakechroot without base", env: []string{fake[0], fake[2]}, first: "a"},
		{name: "fakechroot off", env: []string{"FAKECHROOT=false", fake[1], fake[2]}, first: "a"},
		{name: "fakechroot without library", env: []string{fake[0], fake[1], "LD_PRELOAD=/x.so"}, first: "a"},
		{name: "other mounts", first: "b", uid: 1000, want: true},
		{name: "mounts of process 1 not readable", first: "-"},
		{name: "another root", first: "a", otherRoot: true, want: true},
		{name: "another root, but not told to users", first: "a", otherRoot: true, uid: 1000},
		{name: "root of process 1 hidden from root", first: "-", noRoot: true, want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			proc, top := filepath.Join(dir, "proc"), filepath.Join(dir, "top")
			write(t, filepath.Join(proc, "self/mountinfo"), "a")
			write(t, filepath.Join(proc, "1/x"), "")
			write(t, filepath.Join(top, "x"), "")
			write(t, filepath.Join(dir, "else/x"), "")
			if test.first != "-" {
				write(t, filepath.Join(proc, "1/mountinfo"), test.first)
			}
			target := top
			if test.otherRoot {
				target = filepath.Join(dir, "else")
			}
			if !test.noRoot {
				if err := os.Symlink(target, filepath.Join(proc, "1/root")); err != nil {
					t.Fatal(err)
				}
			}
			got := sign.Jail{Env: test.env, Proc: proc, Top: top, UID: test.uid}.InChroot()
			if got != test.want {
				t.Errorf("InChroot = %v, want %v", got, test.want)
			}
		})
	}
}
