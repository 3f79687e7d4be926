package proc_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dkms-go/dkms/proc"
)

// newRoot makes a directory that one can chroot into, with bash, cat and what
// they load.
func newRoot(t *testing.T) string {
	t.Helper()
	root := open(t)
	for _, program := range []string{"bash", "cat"} {
		name, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		install(t, name, filepath.Join(root, "real", program))
		libraries, err := exec.CommandContext(t.Context(), "ldd", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsSeq(string(libraries)) {
			if filepath.IsAbs(word) {
				install(t, word, filepath.Join(root, word))
			}
		}
	}
	// As on a merged /usr with alternatives: links that only hold in there.
	for link, target := range map[string]string{
		"bin": "/usr/bin", "usr/bin": "/etc/alternatives", "etc/alternatives": "../../../real",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func install(t *testing.T, from, to string) {
	t.Helper()
	script(t, to, read(t, from))
}

// needChroot skips the test where unshare(1) cannot chroot either.
func needChroot(t *testing.T) {
	t.Helper()
	for _, user := range []string{"--ipc", "--user"} {
		args := []string{"--map-root-user", "chroot", "/", "true"}
		if user == "--ipc" {
			args = args[1:]
		}
		if exec.CommandContext(t.Context(), "unshare", append([]string{user}, args...)...).Run() == nil {
			return
		}
	}
	t.Skip("nobody can chroot here")
}

func TestRunInRoot(t *testing.T) {
	t.Parallel()
	needChroot(t)
	root := newRoot(t)
	if err := os.Mkdir(filepath.Join(root, "work"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "marker"), "inside\n", 0o644)
	tests := []struct {
		name string
		cmd  proc.Cmd
		want string
	}{
		{"lookup", proc.Cmd{Args: []string{"cat", "/marker"}, Env: []string{"PATH=/usr/bin"}}, "inside\n"},
		{"absolute", proc.Cmd{Args: []string{"/bin/cat", "/marker"}}, "inside\n"},
		{"directory", proc.Cmd{Args: []string{"/bin/bash", "-c", "pwd -P"}, Dir: "/work"}, "/work\n"},
		{"relative directory", proc.Cmd{Args: []string{"/bin/bash", "-c", "pwd -P"}, Dir: "work"}, "/work\n"},
		{"no directory", proc.Cmd{Args: []string{"/bin/bash", "-c", "pwd -P"}}, "/\n"},
		{"linked directory", proc.Cmd{Args: []string{"/bin/bash", "-c", "pwd -P"}, Dir: "/usr/bin"}, "/real\n"},
		{"relative program", proc.Cmd{Args: []string{"./cat", "../marker"}, Dir: "/bin"}, "inside\n"},
	}
	for _, test := range tests {
		for _, confine := range []*proc.Confine{nil, {}, {ReadOnly: true, NoNetwork: true, User: true}} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				c := test.cmd
				c.Root = root
				c.Confine = confine
				if got, err := output(t, c); got != test.want || err != nil {
					t.Errorf("Run(%q) with %+v = %q, %v, want %q", c.Args, confine, got, err, test.want)
				}
			})
		}
	}
}

func TestConfinedInRootMayNotWrite(t *testing.T) {
	t.Parallel()
	needChroot(t)
	needLandlock(t)
	root := newRoot(t)
	for _, dir := range []string{"free", "fixed"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
		chmod(t, filepath.Join(root, dir), 0o777)
	}
	var out bytes.Buffer
	err := proc.Host{}.Run(t.Context(), proc.Cmd{
		Args:    []string{"bash", "-c", "echo x > /free/file && echo free; echo x > /fixed/file && echo fixed; :"},
		Env:     []string{"PATH=/usr/bin"},
		Root:    root,
		Stdout:  &out,
		Confine: &proc.Confine{ReadOnly: true, User: true, Writable: []string{"/free"}},
	})
	if err != nil || out.String() != "free\n" {
		t.Errorf("Run = %v, could write to %q, want %q", err, &out, "free\n")
	}
}

func TestRunInRootFindsNothingOutside(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	for _, name := range []string{"env", "/usr/bin/env"} {
		for _, confine := range []*proc.Confine{nil, {}} {
			var missing *proc.NotFoundError
			err := proc.Host{}.Run(t.Context(), proc.Cmd{
				Args: []string{name}, Env: []string{path}, Root: root, Confine: confine,
			})
			if os.Geteuid() != 0 && !errors.As(err, &missing) {
				continue // chroot itself may be denied
			}
			if !errors.As(err, &missing) {
				t.Errorf("Run(%q) = %v, want it not found", name, err)
			}
		}
	}
}

// lookups are laid out so that what is found says by which rule.
func lookups(t *testing.T, root string) (env []string) {
	t.Helper()
	script(t, filepath.Join(root, "a/only-a"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "a/both"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "b/both"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "b/only-b"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "b/dir-in-a"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "b/data-in-a"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "b/dangling-in-a"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "c/elsewhere"), "#!/bin/sh\n")
	write(t, filepath.Join(root, "a/data-in-a"), "", 0o644)
	if err := os.Mkdir(filepath.Join(root, "a/dir-in-a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"a/linked": "/c/elsewhere", "a/up": "../../../../c/elsewhere", "a/loop": "loop",
		"a/dangling-in-a": "/no/such", "b/through": "/d/elsewhere", "d": "c",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"PATH=/not:here", "X=1", "PATH=/missing:/a:/b"}
}

// In a chroot, bash finds the same.
func TestLookPathConfirm(t *testing.T) {
	t.Parallel()
	needChroot(t)
	root := newRoot(t)
	env := lookups(t, root)
	for _, name := range []string{
		"only-a", "only-b", "both", "dir-in-a", "data-in-a", "dangling-in-a", "linked", "up", "loop", "through", "no-such", "elsewhere",
	} {
		var out bytes.Buffer
		err := proc.Host{}.Run(t.Context(), proc.Cmd{
			Args: []string{"/bin/bash", "-c", `type -P "$1"; :`, "bash", name}, Env: env[2:], Root: root, Stdout: &out,
		})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(out.String(), "\n")
		got, err := proc.LookPath(root, env, name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("LookPath(root, %q, %q) = %q, %v, want %q", env, name, got, err, want)
		}
	}
}

func TestLookPath(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	script(t, filepath.Join(root, "bin/tool"), "#!/bin/sh\n")
	script(t, filepath.Join(root, "opt/tool"), "#!/bin/sh\n")
	tests := []struct {
		env  []string
		name string
		want string
	}{
		{nil, "tool", "/bin/tool"},
		{[]string{"PATH="}, "tool", ""},
		{[]string{"PATH=bin:.::/opt"}, "tool", "/opt/tool"},
		{[]string{"PATH=/opt/../bin"}, "tool", "/bin/tool"},
		{nil, "", ""},
		{nil, "bin/tool", ""},
		{nil, "/bin/tool", ""},
		{nil, "..", ""},
	}
	for _, test := range tests {
		got, err := proc.LookPath(root, test.env, test.name)
		var missing *proc.NotFoundError
		if got != test.want || (test.want == "") != errors.As(err, &missing) {
			t.Errorf("LookPath(root, %q, %q) = %q, %v, want %q", test.env, test.name, got, err, test.want)
		}
	}
}
