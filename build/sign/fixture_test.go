package sign_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dkms-go/build/sign"
	"dkms-go/conf/sysroot"
)

// bench is a root to work in, and what a request reported about it.
type bench struct {
	dir      string
	root     *sysroot.Root
	messages []sign.Message
	ran      []string
}

// newBench writes files into a new root; those whose path contains "/bin/" or
// "sign-file" are executable.
func newBench(t testing.TB, files map[string]string) *bench {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{dir: dir, root: root}
}

func write(t testing.TB, host, content string) {
	t.Helper()
	perm := os.FileMode(0o644)
	if strings.Contains(host, "/bin/") || strings.HasSuffix(host, "sign-file") {
		perm = 0o755
	}
	if strings.Contains(content, "PRIVATE KEY-----") {
		perm = 0o600
	}
	if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(host, []byte(content), perm); err != nil {
		t.Fatal(err)
	}
}

// request is one that ends in a signer: a Debian kernel with everything there
// but the keys. Programs are those in /usr/bin of the root; running one records
// it and calls run.
func (b *bench) request(run func(argv []string) error) sign.Request {
	return sign.Request{
		Root:         b.root,
		Distribution: "debian",
		Release:      "6.1.0-9-amd64",
		InstallTree:  "/lib/modules",
		Headers:      "/lib/modules/6.1.0-9-amd64/build",
		Config:       "/config",
		ConfigValue: func(name string) (string, bool) {
			text, _ := os.ReadFile(filepath.Join(b.dir, "config"))
			for line := range strings.Lines(string(text)) {
				if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
					return value, true
				}
			}
			return "", false
		},
		InChroot: func() bool { return false },
		LookPath: func(program string) (string, bool) {
			_, err := os.Stat(filepath.Join(b.dir, "usr/bin", program))
			return "/usr/bin/" + program, err == nil
		},
		Runner: func(_ context.Context, argv, _ []string, _ io.Writer) error {
			b.ran = append(b.ran, strings.Join(argv, " "))
			if run == nil {
				return errors.New("nothing was to be run")
			}
			return run(argv)
		},
		Now:    func() time.Time { return time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC) },
		Report: func(m sign.Message) { b.messages = append(b.messages, m) },
	}
}

// files are everything in the root, sorted, with their permissions.
func (b *bench) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(b.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(p)
		all[strings.TrimPrefix(p, b.dir)] = info.Mode().String() + " " + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// tool runs a program that the tests need; a missing one is a failure.
func tool(t testing.TB, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "MAKE") }), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}
