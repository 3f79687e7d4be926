package depmod_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// layout makes a root; content "-> x" makes a link to x.
func layout(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		host := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, host)
		} else {
			err = os.WriteFile(host, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func indexer(t *testing.T, root, installTree string) *depmod.Indexer {
	t.Helper()
	r, err := sysroot.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return &depmod.Indexer{Root: r, InstallTree: installTree}
}

// module is a file that depmod takes for a module.
func module(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "little.ko")
	if text, err := exec.CommandContext(t.Context(), "as", "-o", out, "testdata/module.s").CombinedOutput(); err != nil {
		t.Fatalf("as: %v\n%s(install binutils)", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestIndexSkips(t *testing.T) {
	t.Parallel()
	dir := layout(t, map[string]string{"lib/modules/6.1/kernel/x.ko": ""})
	got, err := indexer(t, dir, "/lib/modules").Index(t.Context(), "6.1")
	want := depmod.Result{Outcome: depmod.Skipped, ModulesDep: "/lib/modules/6.1/modules.dep"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Index: %v (-want +got):\n%s", err, diff)
	}
}

func TestIndexFails(t *testing.T) {
	t.Parallel()
	dir := layout(t, map[string]string{
		"lib/modules/6.1/modules.dep": "", "lib/modules/6.1/modules.alias": "x",
		"lib/modules/6.1/kernel/ä.ko": "", // which no index can name
	})
	if _, err := indexer(t, dir, "/lib/modules").Index(t.Context(), "6.1"); err == nil || !strings.Contains(err.Error(), `"6.1"`) {
		t.Errorf("Index = %v, want an error that names the kernel", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lib/modules/6.1/modules.alias")); err != nil {
		t.Errorf("a failed run must remove nothing: %v", err)
	}
}

// A module below another root is indexed, and then the last one has gone.
func TestIndex(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		more map[string]string // files besides the module
		left []string          // what is there once the module has gone
	}{
		{"nothing else", nil, nil},
		{"a kernel that stays", map[string]string{
			"lib/modules/6.1/modules.order":   "",
			"lib/modules/6.1/modules.builtin": "",
			"lib/modules/6.1/build":           "-> /usr/src/linux",
		}, []string{"build", "modules.builtin", "modules.order"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"lib/modules/6.1/updates/dkms/little.ko": module(t),
				"lib/modules/6.1/modules.dep":            "",
				"boot/System.map-6.1":                    "",
			}
			maps.Copy(files, test.more)
			dir := layout(t, files)
			x := indexer(t, dir, "/lib/modules")
			modules := filepath.Join(dir, "lib/modules/6.1")

			want := depmod.Result{ModulesDep: "/lib/modules/6.1/modules.dep"}
			got, err := x.Index(t.Context(), "6.1")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("Index: %v (-want +got):\n%s", err, diff)
			}
			for name, line := range map[string]string{"modules.dep": "updates/dkms/little.ko:\n", "modules.alias": "alias pci:v00001AF4d* little\n"} {
				text, err := os.ReadFile(filepath.Join(modules, name))
				if err != nil || !strings.HasSuffix(string(text), line) {
					t.Errorf("%s = %q, %v, want %q", name, text, err, line)
				}
			}

			if err := os.RemoveAll(filepath.Join(modules, "updates")); err != nil {
				t.Fatal(err)
			}
			want.Outcome = depmod.Cleaned
			if test.left == nil {
				want.RemovedDir = "/lib/modules/6.1"
			}
			got, err = x.Index(t.Context(), "6.1")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("Index without modules: %v (-want +got):\n%s", err, diff)
			}
			entries, err := os.ReadDir(modules)
			if test.left == nil && !os.IsNotExist(err) {
				t.Errorf("module directory: %v, want it gone", err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if !slices.Equal(names, test.left) {
				t.Errorf("left = %q, want %q", names, test.left)
			}
		})
	}
}
