package conf_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// treeVars are variables that the program presets for every dkms.conf.
func treeVars() map[string]string {
	return map[string]string{"dkms_tree": "/var/lib/dkms", "source_tree": "/usr/src", "install_tree": "/lib/modules"}
}

func target(kernel string) conf.Target {
	return conf.Target{
		Kernel: kernel, Arch: "x86_64",
		KernelSourceDir: "/lib/modules/" + kernel + "/build",
		KernelConfig:    "/lib/modules/" + kernel + "/build/.config",
	}
}

// fixture returns the host path of a file in the shared testdata.
func fixture(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "testdata", "conf", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// hostLoader evaluates files of the host, with a small environment of its own.
func hostLoader(t testing.TB) *conf.Loader {
	t.Helper()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Loader{
		Root: root, Runner: &proc.Host{}, Dir: t.TempDir(), Vars: treeVars(),
		Env: []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"},
	}
}

// noProcess fails the test when a process is to be started.
type noProcess struct{ t testing.TB }

func (n noProcess) Run(_ context.Context, c proc.Cmd) error {
	n.t.Errorf("Run(%q) called, want no process", c.Args)
	return &proc.NotFoundError{Name: c.Args[0]}
}

// write makes a root with files.
func write(t testing.TB, files map[string]string) *sysroot.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		host := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(host, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
