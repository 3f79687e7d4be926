package kernel_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kernel"
)

// layout writes files (path inside the root to content) into a new root. A
// path that ends in a slash is a directory; content "-> x" makes a link to x.
func layout(t *testing.T, files map[string]string) *sysroot.Root {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		host := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, link := strings.CutPrefix(content, "-> "); {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(host, 0o755)
		case link:
			err = os.Symlink(target, host)
		default:
			err = os.WriteFile(host, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return rootAt(t, dir)
}

func rootAt(t testing.TB, dir string) *sysroot.Root {
	t.Helper()
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// installed returns the kernels whose headers are on this machine.
func installed(t *testing.T) []*kernel.Kernel {
	t.Helper()
	root := rootAt(t, "/")
	releases, err := kernel.List(root, "/lib/modules")
	if err != nil {
		t.Fatal(err)
	}
	var kernels []*kernel.Kernel
	for _, release := range releases {
		k := find(t, root, kernel.Options{InstallTree: "/lib/modules"}, release)
		if k.CheckHeaders() == nil {
			kernels = append(kernels, k)
		}
	}
	if len(kernels) == 0 {
		t.Fatal("no kernel headers at /lib/modules/*/build: install linux-headers-amd64 (Debian) or your kernel's headers")
	}
	return kernels
}

func find(t *testing.T, root *sysroot.Root, o kernel.Options, release string) *kernel.Kernel {
	t.Helper()
	k, err := kernel.Find(root, o, release, "x86_64")
	if err != nil {
		t.Fatalf("Find(%q) = %v", release, err)
	}
	return k
}

// bash runs a script of upstream's and returns its output without final newlines.
func bash(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", append([]string{"-c", script, "bash"}, args...)...).Output()
	if err != nil {
		t.Fatalf("bash -c %q %q: %v", script, args, err)
	}
	return strings.TrimRight(string(out), "\n")
}
