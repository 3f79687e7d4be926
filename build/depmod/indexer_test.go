package depmod_test

import (
	"context"
	"errors"
	"io"
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

// run is a Runner without any frills.
func run(ctx context.Context, argv []string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return cmd.Run()
}

func none(context.Context, []string, io.Writer) error {
	return errors.New("nothing was to be run")
}

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

func indexer(t *testing.T, root, installTree string, run depmod.Runner) *depmod.Indexer {
	t.Helper()
	r, err := sysroot.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return &depmod.Indexer{Root: r, InstallTree: installTree, Runner: run}
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

func TestCommand(t *testing.T) {
	t.Parallel()
	dir := layout(t, map[string]string{
		"boot/System.map-6.1":   "-> map-6.1",
		"boot/map-6.1":          "",
		"lib":                   "-> /usr/lib",
		"usr/lib/modules/6.1/x": "",
		"opt/lib/modules/6.1/x": "",
		"short":                 "-> /opt/lib/modules",
		"srv/lib/modules":       "-> /somewhere/else",
		"somewhere/else/x":      "",
	})
	for _, test := range []struct {
		root, tree, release string
		want                []string
	}{
		{"/", "/lib/modules", "0-none", []string{"depmod", "-a", "0-none"}},
		{"/", "/lib/modules/", "0-none", []string{"depmod", "-a", "0-none"}},
		{"/", dir + "/opt/lib/modules", "0-none", []string{"depmod", "-a", "0-none", "-b", dir + "/opt"}},
		{dir, "/lib/modules", "6.1", []string{"depmod", "-a", "6.1", "-F", dir + "/boot/map-6.1", "-b", dir + "/usr"}},
		{dir, "/opt/lib/modules", "6.2", []string{"depmod", "-a", "6.2", "-b", dir + "/opt"}},
		{dir, "/short", "6.2", []string{"depmod", "-a", "6.2", "-b", dir + "/opt"}},
		{dir, "/none/lib/modules", "6.2", []string{"depmod", "-a", "6.2", "-b", dir + "/none"}},
	} {
		got, err := indexer(t, test.root, test.tree, none).Command(test.release)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("command(%s in %s of %s): %v (-want +got):\n%s", test.release, test.tree, test.root, err, diff)
		}
	}
	var layoutError *depmod.LayoutError
	if got, err := indexer(t, dir, "/somewhere/else", none).Command("6.1"); !errors.As(err, &layoutError) {
		t.Errorf("command for /somewhere/else = %q, %v, want a *LayoutError", got, err)
	}
}

func TestIndexSkips(t *testing.T) {
	t.Parallel()
	dir := layout(t, map[string]string{"lib/modules/6.1/kernel/x.ko": ""})
	got, err := indexer(t, dir, "/lib/modules", none).Index(t.Context(), "6.1")
	want := depmod.Result{Outcome: depmod.Skipped, ModulesDep: "/lib/modules/6.1/modules.dep"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Index: %v (-want +got):\n%s", err, diff)
	}
}

func TestIndexFails(t *testing.T) {
	t.Parallel()
	dir := layout(t, map[string]string{"lib/modules/6.1/modules.dep": "", "lib/modules/6.1/modules.alias": "x"})
	if _, err := indexer(t, dir, "/lib/modules", none).Index(t.Context(), "6.1"); err == nil || !strings.Contains(err.Error(), `"6.1"`) {
		t.Errorf("Index = %v, want an error that names the kernel", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lib/modules/6.1/modules.alias")); err != nil {
		t.Errorf("a failed run must remove nothing: %v", err)
	}
}

// The installed depmod indexes another root, then finds its last module gone.
func TestIndexWithDepmod(t *testing.T) {
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
			x := indexer(t, dir, "/lib/modules", run)
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
