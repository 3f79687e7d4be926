package hooks_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/hooks"
)

func TestCompareDebian(t *testing.T) {
	t.Parallel()
	versions := []string{
		"6.1.0-9", "6.1.0-10", "6.1.0-010", "6.1-1", "6.1.0-rc1", "6.1~rc1-1", "6.1.0+1-1", "6.1.0a-1", "6.1.0-amd64",
		"10.0-1", "6.12.107+deb13-1", "6.12.107-deb13", "6.1.0-1.el9", "6.1.0-6.1.0", "99999999999999999999-1", "99999999999999999998-1",
	}
	for _, a := range versions {
		for _, b := range versions {
			want := 0
			if dpkgSays(t, a, "lt", b) {
				want = -1
			} else if dpkgSays(t, a, "gt", b) {
				want = 1
			}
			if got := hooks.CompareDebian(a, b); got != want {
				t.Errorf("CompareDebian(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func dpkgSays(t *testing.T, a, relation, b string) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", a, relation, b)
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return err == nil
}

// Kernels are in the order of ls -v.
func TestCompareNatural(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	for _, k := range []string{
		"6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-cloud-amd64", "6.1", "6.1.0", "6.12.0-rc1", "6.12.0", "6.2~x", "6.2.0-BOOT", "6.2",
		"5.14.0-427.el9.x86_64", "5.14.0-70.el9.x86_64", "6.1.0-010-amd64", "test", "Test", "6.12.107+deb13-amd64",
	} {
		paths = append(paths, filepath.Join(dir, k, "build"))
		if err := os.MkdirAll(filepath.Join(dir, k, "build"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "ls", append([]string{"-dv"}, paths...)...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(out))
	slices.Sort(paths)
	slices.SortStableFunc(paths, hooks.CompareNatural)
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("order (-ls +ours):\n%s", diff)
	}
}
