package conf_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
)

// update rewrites the golden files from what bash says; never from what this package says.
var update = flag.Bool("update", false, "ask bash for new golden files")

// fixtures returns the names of the fixtures.
func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(fixture(t, "*.conf"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	return paths
}

// fixtureLoader evaluates beside the fixtures, where the directory "kernel" stands for kernel headers.
func fixtureLoader(t testing.TB) *conf.Loader {
	l := hostLoader(t)
	l.Dir = fixture(t, ".")
	return l
}

func fixtureTarget() conf.Target {
	return conf.Target{Kernel: "6.1.0-56-amd64", Arch: "x86_64", KernelSourceDir: "kernel", KernelConfig: "kernel/.config"}
}

// askBash returns what real bash makes of a dkms.conf.
func askBash(t testing.TB, l *conf.Loader, path string, target conf.Target) map[string]map[int]string {
	t.Helper()
	args := []string{
		"--norc", "testdata/oracle.bash", path, "kernelver=" + target.Kernel, "arch=" + target.Arch,
		"kernel_source_dir=" + target.KernelSourceDir, "kernel_config=" + target.KernelConfig,
	}
	args[1] = absolute(t, args[1])
	for name, value := range l.Vars {
		args = append(args, name+"="+value)
	}
	args = append(append(args, "--"), conf.DirectiveNames()...)
	cmd := exec.Command("bash", args...)
	cmd.Dir, cmd.Env = l.Dir, l.Env
	return dumpOf(t, cmd)
}

func absolute(t testing.TB, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// golden renders values one a line.
func golden(values map[string]map[int]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, i := range slices.Sorted(maps.Keys(values[name])) {
			fmt.Fprintf(&b, "%s[%d]=%q\n", name, i, values[name][i])
		}
	}
	return b.String()
}

// TestGolden evaluates every fixture in every way it can be, and compares with bash as it was and as it is.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, path := fixtureLoader(t), fixture(t, name)
			file := strings.TrimSuffix(path, ".conf") + ".golden"
			bash := golden(askBash(t, l, path, fixtureTarget()))
			if *update {
				if err := os.WriteFile(file, []byte(bash), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), bash); diff != "" {
				t.Errorf("bash does not agree with %s any more (-golden +bash):\n%s", file, diff)
			}
			src := conf.Source{Path: path}
			got, _, err := l.Evaluate(t.Context(), conf.InBash, src, fixtureTarget())
			if err != nil {
				t.Fatalf("Evaluate(InBash, %s) = %v", name, err)
			}
			if diff := cmp.Diff(string(want), golden(got)); diff != "" {
				t.Errorf("Evaluate(InBash, %s) mismatch (-want +got):\n%s", name, diff)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, plain, err := l.Evaluate(t.Context(), conf.InProcess, src, fixtureTarget())
			if want := strings.HasPrefix(string(data), "# Plain."); plain != want || err != nil {
				t.Fatalf("Evaluate(InProcess, %s) = %v, %v, want plain = %v", name, plain, err, want)
			}
			if !plain {
				return
			}
			if diff := cmp.Diff(string(want), golden(got)); diff != "" {
				t.Errorf("Evaluate(InProcess, %s) mismatch (-want +got):\n%s", name, diff)
			}
		})
	}
}
