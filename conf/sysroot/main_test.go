package sysroot_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"
)

// The modes that a Root sets must not depend on the umask, so all tests run
// under one that would show.
func TestMain(m *testing.M) {
	syscall.Umask(0o077)
	os.Exit(m.Run())
}

// newRoot opens an empty directory as a root.
func newRoot(t testing.TB) *sysroot.Root {
	t.Helper()
	root, err := sysroot.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// lay makes files below dir, with the directories they need: a path that ends
// in "/" is a directory, content "-> x" is a link that holds x, anything else
// is the content of a file.
func lay(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		host := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(host, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(host), 0o755))
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			must(t, os.Symlink(target, host))
			continue
		}
		must(t, os.WriteFile(host, []byte(content), 0o644))
	}
}

// list describes everything below dir with find(1): path, kind, permissions,
// owner, size of files, time and target of links, as far as format says.
func list(t testing.TB, dir, format string) string {
	t.Helper()
	// The size of a directory is the file system's business.
	dirs := strings.ReplaceAll(format, " %s", "")
	c := exec.CommandContext(t.Context(), "find", ".", "-type", "d", "-printf", dirs, "-o", "-printf", format)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		t.Fatalf("find %s: %v", dir, err)
	}
	lines := strings.Split(string(out), "\x00")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// chrooted runs program with args in root, where it must have been put, and
// returns its output. The test is skipped where nobody can chroot.
func chrooted(t testing.TB, root string, args ...string) string {
	t.Helper()
	argv := append([]string{"chroot", root}, args...)
	if os.Geteuid() != 0 {
		argv = append([]string{"unshare", "--user", "--map-root-user"}, argv...)
		probe := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "chroot", "/", "true")
		if err := probe.Run(); err != nil {
			t.Skipf("no right to chroot here: %v", err)
		}
	}
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return string(out)
}

// install copies programs and what they load to the same paths in root, so that
// they run there.
func install(t testing.TB, root string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		name, err := exec.LookPath(program)
		must(t, err)
		out, err := exec.CommandContext(t.Context(), "ldd", name).Output()
		must(t, err)
		copyProgram(t, name, filepath.Join(root, "tools", program))
		for word := range strings.FieldsSeq(string(out)) {
			if filepath.IsAbs(word) {
				copyProgram(t, word, filepath.Join(root, word))
			}
		}
	}
}

func copyProgram(t testing.TB, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(t, os.WriteFile(to, data, 0o755))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantMode fails unless the file at host has exactly this mode.
func wantMode(t *testing.T, host string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(host)
	if err != nil || info.Mode() != want {
		t.Errorf("mode of %s = %v, %v, want %v", host, info.Mode(), err, want)
	}
}

// wantContent fails unless the file at host has exactly this content.
func wantContent(t *testing.T, host, want string) {
	t.Helper()
	got, err := os.ReadFile(host)
	if err != nil || string(got) != want {
		t.Errorf("content of %s = %q, %v, want %q", host, got, err, want)
	}
}

// wantError fails unless err is want, where nil means success.
func wantError(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

// matches tells whether the whole text matches the expression.
func matches(expression, text string) bool {
	return regexp.MustCompile("^(?:" + expression + ")$").MatchString(text)
}
