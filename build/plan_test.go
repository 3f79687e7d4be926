package build_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build"
	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/proc"
)

// machine is a root directory with a builder for it that must not start programs.
type machine struct {
	dir string
	*build.Builder
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir()}
	m.write(t, "etc/os-release", "ID=debian\n")
	root, err := sysroot.Open(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &conf.Loader{Root: root, Runner: noPrograms{t}, Dir: "/"}
	f, err := l.Framework(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	m.Builder = &build.Builder{
		Root: root, Conf: l, Framework: f, Runner: noPrograms{t},
		Tree: dkms.Open(root, dkms.Options{
			DKMSTree: f.DKMSTree, SourceTree: f.SourceTree, InstallTree: f.InstallTree, Distribution: "debian",
		}),
		Emit: func(dkms.Event) {},
	}
	return m
}

// noPrograms fails the test that starts one.
type noPrograms struct{ t *testing.T }

func (n noPrograms) Run(_ context.Context, c proc.Cmd) error {
	n.t.Errorf("started %q", c.Args)
	return errors.New("no programs here")
}

func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	abs := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(abs, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) link(t *testing.T, target, name string) {
	t.Helper()
	abs := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, abs); err != nil {
		t.Fatal(err)
	}
}

// add registers a module whose dkms.conf has further lines.
func (m *machine) add(t *testing.T, name, version, lines string) {
	t.Helper()
	m.write(t, "usr/src/"+name+"-"+version+"/dkms.conf",
		"PACKAGE_NAME="+name+"\nPACKAGE_VERSION="+version+"\nDEST_MODULE_LOCATION=/kernel/misc\n"+lines)
	m.link(t, "/usr/src/"+name+"-"+version, "var/lib/dkms/"+name+"/"+version+"/source")
}

func (m *machine) built(t *testing.T, name, kernel string) {
	t.Helper()
	m.write(t, "var/lib/dkms/"+name+"/1/"+kernel+"/x86_64/module/"+name+".ko", name)
}

func (m *machine) installed(t *testing.T, name, kernel string) {
	t.Helper()
	m.built(t, name, kernel)
	m.link(t, "1/"+kernel+"/x86_64", "var/lib/dkms/"+name+"/kernel-"+kernel+"-x86_64")
}

// tree lists every file below dir with its content, to see that nothing changed.
func (m *machine) tree(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(m.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		files[p] = fi.Mode().String() + fi.ModTime().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func targets(kernels ...string) []build.Target {
	ts := make([]build.Target, len(kernels))
	for n, k := range kernels {
		ts[n] = build.Target{Kernel: k, Arch: "x86_64"}
	}
	return ts
}

func TestPlan(t *testing.T) {
	t.Parallel()
	mod := dkms.Module{Name: "m", Version: "1"}
	for _, tt := range []struct {
		name string
		have func(*testing.T, *machine)
		r    build.Request
		want string
	}{
		{
			"install from nothing", nil,
			build.Request{Goal: build.Install, Module: mod, Targets: targets("K")},
			`
add m/1 for kernel K (x86_64)
build m/1 for kernel K (x86_64)
install m/1 for kernel K (x86_64)
depmod for kernel K
`,
		},
		{
			"two kernels, one of them built",
			func(t *testing.T, m *machine) { m.add(t, "m", "1", ""); m.built(t, "m", "K1") },
			build.Request{Goal: build.Install, Module: mod, Targets: targets("K1", "K2")},
			`
install m/1 for kernel K1 (x86_64)
depmod for kernel K1
build m/1 for kernel K2 (x86_64)
install m/1 for kernel K2 (x86_64)
depmod for kernel K2
`,
		},
		{
			"built, and the same kernel twice",
			func(t *testing.T, m *machine) { m.add(t, "m", "1", ""); m.built(t, "m", "K") },
			build.Request{Goal: build.Build, Module: mod, Targets: targets("K", "K")},
			`
build m/1 for kernel K (x86_64): already built
build m/1 for kernel K (x86_64): already built
`,
		},
		{
			"install again by force writes the indexes once",
			func(t *testing.T, m *machine) { m.add(t, "m", "1", ""); m.installed(t, "m", "K") },
			build.Request{Goal: build.Install, Module: mod, Targets: targets("K"), Force: true},
			`
uninstall m/1 for kernel K (x86_64)
depmod for kernel K: done by a later step
install m/1 for kernel K (x86_64)
depmod for kernel K
`,
		},
		{
			"remove",
			func(t *testing.T, m *machine) { m.add(t, "m", "1", ""); m.installed(t, "m", "K1") },
			build.Request{Goal: build.Remove, Module: mod, Targets: targets("K1", "K2")},
			`
uninstall m/1 for kernel K1 (x86_64)
depmod for kernel K1
unbuild m/1 for kernel K1 (x86_64)
uninstall m/1 for kernel K2 (x86_64): not installed
unbuild m/1 for kernel K2 (x86_64): not built
remove m/1
`,
		},
		{
			"autoinstall takes the newest versions in the order of their dependencies",
			func(t *testing.T, m *machine) {
				m.add(t, "a", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=b\n")
				m.add(t, "b", "9", "AUTOINSTALL=yes\n")
				m.add(t, "b", "10", "AUTOINSTALL=yes\n")
				m.add(t, "c", "1", "AUTOINSTALL=no\n")
				m.add(t, "d", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=e\n")
				m.add(t, "e", "1", "")
				m.installed(t, "e", "K")
			},
			build.Request{Goal: build.Autoinstall, Targets: targets("K")},
			`
prepare for kernel K
build b/10 for kernel K (x86_64)
install b/10 for kernel K (x86_64)
depmod for kernel K: done by a later step
build d/1 for kernel K (x86_64)
install d/1 for kernel K (x86_64)
depmod for kernel K: done by a later step
build a/1 for kernel K (x86_64)
install a/1 for kernel K (x86_64)
depmod for kernel K
`,
		},
		{
			"a circle is not planned",
			func(t *testing.T, m *machine) {
				m.add(t, "a", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=b\n")
				m.add(t, "b", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=a\n")
			},
			build.Request{Goal: build.Autoinstall, Targets: targets("K")},
			"\n",
		},
		{
			"a kernel goes away",
			func(t *testing.T, m *machine) {
				m.add(t, "a", "1", "")
				m.add(t, "b", "1", "")
				m.installed(t, "a", "K")
				m.built(t, "b", "K")
				m.built(t, "b", "L")
			},
			build.Request{Goal: build.Vacate, Targets: targets("K")},
			`
uninstall a/1 for kernel K (x86_64)
unbuild a/1 for kernel K (x86_64)
uninstall b/1 for kernel K (x86_64): not installed
unbuild b/1 for kernel K (x86_64)
depmod for kernel K
prune for kernel K
`,
		},
		{
			"a dependency that was never there makes those built without it anew",
			func(t *testing.T, m *machine) {
				m.write(t, "usr/src/m-1/dkms.conf", "PACKAGE_NAME=m\nPACKAGE_VERSION=1\nDEST_MODULE_LOCATION=/extra\n")
				m.add(t, "above", "1", "BUILD_DEPENDS=m\nBUILD_DEPENDS_REBUILD=yes\n")
				m.installed(t, "above", "K")
			},
			build.Request{Goal: build.Install, Module: mod, Targets: targets("K")},
			`
add m/1 for kernel K (x86_64)
build m/1 for kernel K (x86_64)
install m/1 for kernel K (x86_64)
depmod for kernel K: done by a later step
uninstall above/1 for kernel K (x86_64)
depmod for kernel K: done by a later step
build above/1 for kernel K (x86_64)
install above/1 for kernel K (x86_64)
depmod for kernel K
`,
		},
		{
			"a dependency in another version makes those built with it anew",
			func(t *testing.T, m *machine) {
				m.add(t, "m", "1", "")
				m.add(t, "above", "1", "BUILD_DEPENDS=m\nBUILD_DEPENDS_REBUILD=yes\n")
				m.installed(t, "above", "K")
				m.write(t, "var/lib/dkms/above/1/K/x86_64/.dep_m", "0\n")
			},
			build.Request{Goal: build.Install, Module: mod, Targets: targets("K")},
			`
build m/1 for kernel K (x86_64)
install m/1 for kernel K (x86_64)
depmod for kernel K: done by a later step
uninstall above/1 for kernel K (x86_64)
depmod for kernel K: done by a later step
build above/1 for kernel K (x86_64)
install above/1 for kernel K (x86_64)
depmod for kernel K
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			if tt.have != nil {
				tt.have(t, m)
			}
			before := m.tree(t)
			p, err := m.Plan(t.Context(), tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), p.String()); diff != "" {
				t.Errorf("Plan (-want +got):\n%s", diff)
			}
			again, err := m.Plan(t.Context(), tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p, again); diff != "" {
				t.Errorf("two plans for the same differ:\n%s", diff)
			}
			if diff := cmp.Diff(before, m.tree(t)); diff != "" {
				t.Errorf("Plan changed something (-before +after):\n%s", diff)
			}
		})
	}
}

// Modules that need each other are named, those that merely need one of them are not called part of the circle.
func TestPlanNamesCircles(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.kernel(t, "K")
	m.add(t, "a", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=b\n")
	m.add(t, "b", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=(c far)\n")
	m.add(t, "c", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=a\n")
	m.add(t, "d", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=a\n")
	m.add(t, "e", "1", "AUTOINSTALL=yes\nBUILD_DEPENDS=e\n")
	p, err := m.Plan(t.Context(), build.Request{Goal: build.Sync, Targets: targets("K")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, part := range p.Parts {
		got[part.Instance.Name] = part.Circle
	}
	want := map[string][]string{
		"a": {"a", "b", "c", "a"}, "b": {"b", "c", "a", "b"}, "c": {"c", "a", "b", "c"}, "d": nil, "e": {"e", "e"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("circles (-want +got):\n%s", diff)
	}
}

// Of two modules with a file of the same name the later one is installed behind the earlier one, whichever is built first.
func TestPlanOrdersFilesOfOneName(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.kernel(t, "K")
	m.kernel(t, "L")
	m.add(t, "a", "1", "AUTOINSTALL=yes\nBUILT_MODULE_NAME=lamp\n")
	m.add(t, "b", "1", "AUTOINSTALL=yes\nBUILT_MODULE_NAME=bulb\n")
	m.add(t, "c", "1", "AUTOINSTALL=yes\nBUILT_MODULE_NAME=torch\nDEST_MODULE_NAME=lamp\n")
	m.add(t, "d", "1", "AUTOINSTALL=yes\nBUILT_MODULE_NAME=lamp\n")
	p, err := m.Plan(t.Context(), build.Request{Goal: build.Sync, Targets: targets("K", "L")})
	if err != nil {
		t.Fatal(err)
	}
	var got [][]int
	for _, part := range p.Parts {
		got = append(got, part.Behind)
	}
	want := [][]int{nil, nil, {0}, {0, 2}, nil, nil, {4}, {4, 6}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Behind (-want +got):\n%s", diff)
	}
}

// Names that are no names never reach a path.
func TestPlanRefusesNames(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	good := dkms.Module{Name: "m", Version: "1"}
	for _, r := range []build.Request{
		{Goal: build.Remove, Module: dkms.Module{Name: "..", Version: "1"}, Targets: targets("K")},
		{Goal: build.Remove, Module: dkms.Module{Name: "m", Version: "../../etc"}, Targets: targets("K")},
		{Goal: build.Remove, Module: dkms.Module{Name: "m", Version: "*"}, Targets: targets("K")},
		{Goal: build.Build, Module: good, Targets: targets("../K")},
		{Goal: build.Build, Module: good, Targets: []build.Target{{Kernel: "K", Arch: "a\nb"}}},
		{Goal: build.Vacate, Targets: targets(".")},
	} {
		_, err := m.Plan(t.Context(), r)
		var e *dkms.Error
		if !errors.As(err, &e) || e.Kind != dkms.BadName {
			t.Errorf("Plan(%+v) = %v, want an error of kind %v", r, err, dkms.BadName)
		}
	}
}
