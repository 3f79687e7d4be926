package dkms_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// place is a root directory with a registry in it.
type place struct {
	dir  string
	root *sysroot.Root
	*dkms.Tree
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{dir: memory(t)}
	root, err := sysroot.Open(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	p.open(root)
	return p
}

// memory is a directory in memory where there is such a thing: what waits for a disk here is not what is tested.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dkms") //nolint:usetesting // not where temporary files are
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// recover does what the next run does, with a disk that works again.
func (p *place) recover(t *testing.T) {
	t.Helper()
	root, err := sysroot.Open(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	p.open(root)
	if err := p.Recover(t.Context(), silent); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	if records := p.files(t, "var/lib/dkms/.journal"); len(records) > 1 || len(records) == 1 && records["index!6.1.0"] != "" {
		t.Errorf("after Recover the journal holds %v", records)
	}
}

func (p *place) open(root *sysroot.Root) {
	p.root = root
	p.Tree = dkms.Open(root, dkms.Options{
		DKMSTree: "/var/lib/dkms", SourceTree: "/usr/src", InstallTree: "/lib/modules", Distribution: "debian",
	})
}

// write makes files from pairs of name and content; a content "-> X" makes a link to X.
func (p *place) write(t *testing.T, pairs ...string) {
	t.Helper()
	for n := 0; n < len(pairs); n += 2 {
		abs := filepath.Join(p.dir, pairs[n])
		if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(pairs[n+1], "-> "); ok {
			err = os.Symlink(target, abs)
		} else {
			err = os.WriteFile(abs, []byte(pairs[n+1]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// files lists what is below a directory: names with contents, links with "-> " and their targets, empty directories as "/". The
// reserve is left out: it is there where there is room for it.
func (p *place) files(t *testing.T, below string) map[string]string {
	t.Helper()
	top := filepath.Join(p.dir, below)
	files := map[string]string{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == top {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		switch {
		case d.Name() == ".spare":
			return nil
		case d.IsDir():
			if ents, err := os.ReadDir(name); err == nil && len(ents) == 0 {
				files[rel] = "/"
			}
			return err
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			files[rel] = "-> " + target
			return err
		}
		text, err := os.ReadFile(name)
		files[rel] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func module(version string) dkms.Module { return dkms.Module{Name: "m", Version: version} }

func instance(version string) dkms.Instance {
	return dkms.Instance{Module: module(version), Kernel: "6.1.0", Arch: "x86_64"}
}

func placements(names ...string) []dkms.Placement {
	ps := make([]dkms.Placement, len(names))
	for n, name := range names {
		ps[n] = dkms.Placement{Record: n, Name: name, Dest: "/updates/dkms", ConfDest: "/kernel/misc", Suffix: ".ko"}
	}
	return ps
}

// nowhere is a kernel without other modules.
func nowhere([]string) (map[string][]string, error) { return nil, nil }

func silent(dkms.Event) {}

func kindOf(err error) dkms.Kind {
	var e *dkms.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return dkms.Internal
}

func TestStates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files []string
		want  dkms.State
	}{
		{"nothing", nil, dkms.None},
		{"added", []string{"usr/src/m-1/dkms.conf", "", "var/lib/dkms/m/1/source", "-> /usr/src/m-1"}, dkms.Added},
		{"dangling link", []string{"var/lib/dkms/m/1/source", "-> /usr/src/m-1"}, dkms.Broken},
		{"link missing", []string{"usr/src/m-1/dkms.conf", "", "var/lib/dkms/m/1/build/x", ""}, dkms.Broken},
		{"neither link nor source", []string{"var/lib/dkms/m/1/build/x", ""}, dkms.None},
		{"built", []string{
			"usr/src/m-1/dkms.conf", "", "var/lib/dkms/m/1/source", "-> /usr/src/m-1",
			"var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "",
		}, dkms.Built},
		{"installed", []string{
			"usr/src/m-1/dkms.conf", "", "var/lib/dkms/m/1/source", "-> /usr/src/m-1",
			"var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "", "var/lib/dkms/m/kernel-6.1.0-x86_64", "-> 1/6.1.0/x86_64",
		}, dkms.Installed},
		{"another version is active", []string{
			"usr/src/m-1/dkms.conf", "", "var/lib/dkms/m/1/source", "-> /usr/src/m-1",
			"var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "", "var/lib/dkms/m/2/6.1.0/x86_64/module/m.ko", "",
			"var/lib/dkms/m/kernel-6.1.0-x86_64", "-> 2/6.1.0/x86_64",
		}, dkms.Built},
		// difference: registry behind a link
		{"the dkms tree is a link", []string{
			"usr/src/m-1/dkms.conf", "", "srv/dkms/m/1/source", "-> /usr/src/m-1", "var/lib/dkms", "-> /srv/dkms",
			"srv/dkms/m/1/6.1.0/x86_64/module/m.ko", "", "srv/dkms/m/kernel-6.1.0-x86_64", "-> 1/6.1.0/x86_64",
		}, dkms.Installed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write(t, tt.files...)
			if got := p.State(instance("1")); got != tt.want {
				t.Errorf("State(%v) = %v, want %v", instance("1"), got, tt.want)
			}
		})
	}
}

func TestAddIsSeenWhole(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := p.Add(module("1"), silent); kindOf(err) != dkms.SourceMissing {
		t.Errorf("Add without source = %v, want kind %v", err, dkms.SourceMissing)
	}
	p.write(t, "usr/src/m-1/dkms.conf", "")
	if err := p.Add(module("1"), silent); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"m/1/build": "/", "m/1/source": "-> /usr/src/m-1"}
	if diff := cmp.Diff(want, p.files(t, "var/lib/dkms")); diff != "" {
		t.Errorf("Add (-want +got):\n%s", diff)
	}
	if err := p.Add(module("1"), silent); kindOf(err) != dkms.AlreadyAdded {
		t.Errorf("Add again = %v, want kind %v", err, dkms.AlreadyAdded)
	}
	// A link that was lost is made again.
	if err := os.Remove(filepath.Join(p.dir, "var/lib/dkms/m/1/source")); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(module("1"), silent); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.files(t, "var/lib/dkms")); diff != "" {
		t.Errorf("Add of a broken module (-want +got):\n%s", diff)
	}
}

// difference: add by force
// The module's own directory is never deleted, also not with --force: dkms 3.4 deletes it before it looks.
func TestImportOfItself(t *testing.T) {
	t.Parallel()
	for _, src := range []string{"/usr/src/m-1", "/usr/src/./m-1/", "/srv/link", "/var/lib/dkms/m/1/source"} {
		p := newPlace(t)
		p.write(t, "usr/src/m-1/dkms.conf", "x", "srv/link", "-> /usr/src/m-1", "var/lib/dkms/m/1/source", "-> /usr/src/m-1")
		if err := p.Import(t.Context(), p.root, src, module("1"), true, silent); err != nil {
			t.Errorf("Import(%s): %v", src, err)
		}
		if diff := cmp.Diff(map[string]string{"m-1/dkms.conf": "x"}, p.files(t, "usr/src")); diff != "" {
			t.Errorf("Import(%s) (-want +got):\n%s", src, diff)
		}
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fresh bool
		want  map[string]string
	}{
		{false, map[string]string{"m-1/dkms.conf": "new", "m-1/old": "old", "m-1/sub/new": "-> ../x"}},
		{true, map[string]string{"m-1/dkms.conf": "new", "m-1/sub/new": "-> ../x"}},
	} {
		p := newPlace(t)
		p.write(t, "srv/m/dkms.conf", "new", "srv/m/sub/new", "-> ../x", "usr/src/m-1/dkms.conf", "old", "usr/src/m-1/old", "old")
		if err := p.Import(t.Context(), p.root, "/srv/m", module("1"), tt.fresh, silent); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, p.files(t, "usr/src")); diff != "" {
			t.Errorf("Import with fresh=%v (-want +got):\n%s", tt.fresh, diff)
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, "lib/modules/6.1.0/kernel/m.ko", "same", "var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "same")
	find := func([]string) (map[string][]string, error) {
		return map[string][]string{"m": {"/lib/modules/6.1.0/kernel/m.ko"}}, nil
	}
	var events []dkms.Event
	emit := func(e dkms.Event) { events = append(events, e) }
	err := p.Install(t.Context(), instance("1"), placements("m"), find, dkms.InstallOptions{}, emit)
	if kindOf(err) != dkms.NothingInstalled {
		t.Errorf("Install of what the kernel has = %v, want kind %v", err, dkms.NothingInstalled)
	}
	want := []dkms.Event{dkms.RecordRefused{Name: "m.ko", Kernel: "6.1.0", Found: "/lib/modules/6.1.0/kernel/m.ko"}}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if err := p.Install(t.Context(), instance("1"), placements("m"), find, dkms.InstallOptions{Force: true}, silent); err != nil {
		t.Errorf("Install by force: %v", err)
	}
	for _, tt := range []struct {
		by   string
		kind dkms.Kind
	}{{"6.1.0", dkms.NothingInstalled}, {"5.19-3", dkms.NothingInstalled}, {"6.1.1", dkms.Internal}} {
		p := newPlace(t)
		p.write(t, "lib/modules/6.1.0/x", "", "var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "m")
		err := p.Install(t.Context(), instance("1"), placements("m"), nowhere, dkms.InstallOptions{ObsoleteBy: tt.by}, silent)
		if kindOf(err) != tt.kind {
			t.Errorf("Install with OBSOLETE_BY=%s = %v, want kind %v", tt.by, err, tt.kind)
		}
	}
}

// Records are told of in their order, whether they are installed or left out.
func TestRefusalInOrder(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range names {
		p.write(t, "var/lib/dkms/m/1/6.1.0/x86_64/module/"+name+".ko", name)
	}
	p.write(t, "lib/modules/6.1.0/kernel/a.ko", "a", "lib/modules/6.1.0/kernel/c.ko", "c", "lib/modules/6.1.0/kernel/e.ko", "e")
	find := func([]string) (map[string][]string, error) {
		found := map[string][]string{}
		for _, name := range []string{"a", "c", "e"} {
			found[name] = []string{"/lib/modules/6.1.0/kernel/" + name + ".ko"}
		}
		return found, nil
	}
	var told []string
	emit := func(e dkms.Event) {
		switch e := e.(type) {
		case dkms.RecordRefused:
			told = append(told, "refused "+e.Name)
		case dkms.FileInstalled:
			told = append(told, "installed "+filepath.Base(e.Path))
		}
	}
	if err := p.Install(t.Context(), instance("1"), placements(names...), find, dkms.InstallOptions{}, emit); err != nil {
		t.Fatal(err)
	}
	want := []string{"refused a.ko", "installed b.ko", "refused c.ko", "installed d.ko", "refused e.ko"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// upgrade is a kernel with version 1 installed over an original, and version 2 built.
func upgrade(t *testing.T) *place {
	t.Helper()
	p := newPlace(t)
	p.write(t,
		"lib/modules/6.1.0/kernel/misc/a.ko", "original",
		"var/lib/dkms/m/1/6.1.0/x86_64/module/a.ko", "a1", "var/lib/dkms/m/1/6.1.0/x86_64/module/b.ko", "b1",
		"var/lib/dkms/m/2/6.1.0/x86_64/module/a.ko", "a2", "var/lib/dkms/m/2/6.1.0/x86_64/module/b.ko", "b2",
	)
	find := func([]string) (map[string][]string, error) {
		return map[string][]string{"a": {"/lib/modules/6.1.0/kernel/misc/a.ko"}}, nil
	}
	if err := p.Install(t.Context(), instance("1"), placements("a", "b"), find, dkms.InstallOptions{}, silent); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestInstallAndBack(t *testing.T) {
	t.Parallel()
	p := upgrade(t)
	check := func(what string, want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, p.files(t, "lib/modules/6.1.0")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("version 1", map[string]string{"updates/dkms/a.ko": "a1", "updates/dkms/b.ko": "b1", "kernel/misc": "/"})
	if err := p.Install(t.Context(), instance("2"), placements("a", "b"), nowhere, dkms.InstallOptions{}, silent); err != nil {
		t.Fatal(err)
	}
	check("version 2", map[string]string{"updates/dkms/a.ko": "a2", "updates/dkms/b.ko": "b2", "kernel/misc": "/"})
	if active, err := p.Uninstall(instance("1"), placements("a", "b"), dkms.UninstallOptions{}, silent); err != nil || active {
		t.Errorf("Uninstall(1) = %v, %v; want it not to be the active one", active, err)
	}
	active, err := p.Uninstall(instance("2"), placements("a", "b"), dkms.UninstallOptions{}, silent)
	if err != nil || !active {
		t.Errorf("Uninstall(2) = %v, %v; want it to be the active one", active, err)
	}
	if err := p.Cleanup(instance("2"), active, silent); err != nil {
		t.Fatal(err)
	}
	check("uninstalled", map[string]string{"kernel/misc/a.ko": "original"})
	if files := p.files(t, "var/lib/dkms/m/original_module"); len(files) > 0 {
		t.Errorf("the archive still holds %v", files)
	}
}

// difference: failing installation
// Whatever step of an installation fails, either the old version is whole in the kernel or the new one is, and no
// temporary file stays once the next run has looked.
func TestInstallFails(t *testing.T) {
	t.Parallel()
	failing := errors.New("disk on fire")
	for _, from := range []string{"nothing", "version 1"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				p := upgrade(t)
				before, find := p.files(t, "lib/modules/6.1.0"), dkms.Find(nowhere)
				if from == "nothing" {
					active, err := p.Uninstall(instance("1"), placements("a", "b"), dkms.UninstallOptions{}, silent)
					if err != nil || !active {
						t.Fatal(active, err)
					}
					before = p.files(t, "lib/modules/6.1.0")
					find = func([]string) (map[string][]string, error) {
						return map[string][]string{"a": {"/lib/modules/6.1.0/kernel/misc/a.ko"}}, nil
					}
				}
				steps := 0
				var failed sysroot.Step
				p.open(p.root.Before(func(s sysroot.Step) error {
					steps++
					if steps == n+1 {
						failed = s
						return failing
					}
					return nil
				}))
				err := p.Install(t.Context(), instance("2"), placements("a", "b"), find, dkms.InstallOptions{}, silent)
				if steps <= n {
					if err != nil {
						t.Fatalf("nothing failed, but Install: %v", err)
					}
					if n < 10 {
						t.Errorf("only %d steps", n)
					}
					return
				}
				what := fmt.Sprintf("step %d (%s %s)", n, failed.Op, failed.Path)
				active := p.Active(instance("2"))
				p.recover(t)
				if p.Active(instance("2")) != active {
					t.Errorf("after failure of %s version 2 is active: %v, after the recovery: %v", what, active, !active)
				}
				after := p.files(t, "lib/modules/6.1.0")
				want := before
				if p.Active(instance("2")) {
					want = map[string]string{"updates/dkms/a.ko": "a2", "updates/dkms/b.ko": "b2"}
					delete(after, "kernel/misc")
				}
				if diff := cmp.Diff(want, after); diff != "" {
					t.Errorf("after failure of %s: Install = %v; (-want +got):\n%s", what, err, diff)
				}
				if err == nil && !p.Active(instance("2")) {
					t.Errorf("after failure of %s: Install reports success", what)
				}
			}
		})
	}
}

func TestInstallInterrupted(t *testing.T) {
	t.Parallel()
	p := upgrade(t)
	before := p.files(t, "lib/modules/6.1.0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Install(ctx, instance("2"), placements("a", "b"), nowhere, dkms.InstallOptions{}, silent)
	if kindOf(err) != dkms.Interrupted {
		t.Errorf("Install = %v, want kind %v", err, dkms.Interrupted)
	}
	if diff := cmp.Diff(before, p.files(t, "lib/modules/6.1.0")); diff != "" {
		t.Errorf("an interrupted installation changed (-want +got):\n%s", diff)
	}
}

func TestStageReplaces(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, "var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "old")
	s, err := p.Stage(instance("1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.root.WriteFile(s.Dir()+"/module/m.ko", []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	if diff := cmp.Diff(map[string]string{"module/m.ko": "old"}, p.files(t, "var/lib/dkms/m/1/6.1.0/x86_64")); diff != "" {
		t.Errorf("after Discard (-want +got):\n%s", diff)
	}
	if s, err = p.Stage(instance("1")); err != nil {
		t.Fatal(err)
	}
	if err := p.root.WriteFile(s.Dir()+"/module/m.ko", []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x86_64/module/m.ko": "new", "x86_64/log": "/"}
	if diff := cmp.Diff(want, p.files(t, "var/lib/dkms/m/1/6.1.0")); diff != "" {
		t.Errorf("after Commit (-want +got):\n%s", diff)
	}
}

// Whatever step of a commit fails, there is a whole build result: the old one or the new one.
func TestStageCommitFails(t *testing.T) {
	t.Parallel()
	failing := errors.New("disk on fire")
	for n := 0; ; n++ {
		p := newPlace(t)
		p.write(t, "var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "old")
		s, err := p.Stage(instance("1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.root.WriteFile(s.Dir()+"/module/m.ko", []byte("new"), 0o644); err != nil {
			t.Fatal(err)
		}
		steps := 0
		s.Through(p.root.Before(func(sysroot.Step) error {
			if steps++; steps == n+1 {
				return failing
			}
			return nil
		}))
		err = s.Commit()
		if steps <= n {
			if err != nil || n < 5 {
				t.Errorf("%d steps, error %v", steps, err)
			}
			return
		}
		got := p.files(t, "var/lib/dkms/m/1/6.1.0/x86_64")["module/m.ko"]
		if err == nil && got != "new" || got != "old" && got != "new" {
			t.Errorf("step %d fails: Commit = %v, and the build result is %q", n, err, got)
		}
	}
}

// difference: order
func TestModulesAreInTheOrderOfBytes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, "var/lib/dkms/b/1/x", "", "var/lib/dkms/B/1/x", "", "var/lib/dkms/a/9/x", "", "var/lib/dkms/a/10/x", "",
		"var/lib/dkms/a/kernel-6.1.0-x86_64", "-> 9/6.1.0/x86_64", "var/lib/dkms/.hidden/1/x", "", "var/lib/dkms/mok.key", "")
	got, err := p.Modules(dkms.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	want := []dkms.Module{{Name: "B", Version: "1"}, {Name: "a", Version: "10"}, {Name: "a", Version: "9"}, {Name: "b", Version: "1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Modules (-want +got):\n%s", diff)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t,
		"var/lib/dkms/m/1/source", "-> /usr/src/m-1", "var/lib/dkms/m/1/build/make.log", "",
		"var/lib/dkms/m/1/6.1.0/.tmp_x86_64_abcdef/module/m.ko", "", "var/lib/dkms/m/2/6.1.0/x86_64/module/m.ko", "",
	)
	for _, v := range []string{"1", "2"} {
		if err := errors.Join(p.Clean(module(v)), p.Forget(module(v), silent)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{"m/2/6.1.0/x86_64/module/m.ko": ""}, p.files(t, "var/lib/dkms")); diff != "" {
		t.Errorf("Forget (-want +got):\n%s", diff)
	}
	if err := p.Unbuild(instance("2")); err != nil {
		t.Fatal(err)
	}
	if err := p.Forget(module("2"), silent); err != nil {
		t.Fatal(err)
	}
	if files := p.files(t, "var/lib/dkms"); len(files) > 0 {
		t.Errorf("the registry still holds %v", files)
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		distribution conf.Distribution
		addon, want  string
	}{
		{"debian", "", "/updates/dkms"},
		{"ubuntu debian", "", "/updates/dkms"},
		{"arch", "", "/updates/dkms"},
		{"fedora", "", "/extra"},
		{"rhel centos fedora", "", "/extra"},
		{"suse opensuse", "", "/updates"},
		{"gentoo", "", "/kernel/misc"},
		{"alpine", "", "/kernel/misc"},
		{"debian", "addons", "/addons"},
		{"debian", "addons/", "/addons/"},
		{"debian", "../../etc", "/etc"},
	} {
		tree := dkms.Open(nil, dkms.Options{Distribution: tt.distribution, AddonDir: tt.addon})
		if got := tree.Destination("/kernel/misc"); got != tt.want {
			t.Errorf("Destination on %s with %q = %q, want %q", tt.distribution, tt.addon, got, tt.want)
		}
	}
}

// difference: names
func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"nvidia", "6.1.0-56-amd64", "2.3.9~rc1", "0~20220829+git", "4.3.10_Debian", "a:b", "x86_64"} {
		if err := dkms.CheckName("name", good); err != nil {
			t.Errorf("CheckName(%q) = %v, want nil", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", ".hidden", "-rf", "a/b", "../x", "a b", "a\tb", "a\nb", "a\x00b", "a*", "[a]", "a?", `a\b`, "$(x)", "`x`", "a;b", "a\x7f", "a\u0085", "a\xff"} {
		if err := dkms.CheckName("name", bad); kindOf(err) != dkms.BadName {
			t.Errorf("CheckName(%q) = %v, want kind %v", bad, err, dkms.BadName)
		}
	}
}

// What the DKMS tree needs for itself is no name of a kernel or version.
func TestCheckTaken(t *testing.T) {
	t.Parallel()
	for _, i := range []dkms.Instance{
		{Module: dkms.Module{Name: "m", Version: "1"}, Kernel: "source", Arch: "x86_64"},
		{Module: dkms.Module{Name: "m", Version: "1"}, Kernel: "build", Arch: "x86_64"},
		{Module: dkms.Module{Name: "m", Version: "1"}, Kernel: "tarball", Arch: "x86_64"},
		{Module: dkms.Module{Name: "m", Version: "original_module"}, Kernel: "6.1", Arch: "x86_64"},
		{Module: dkms.Module{Name: "m", Version: "kernel-6.1-x86_64"}, Kernel: "6.1", Arch: "x86_64"},
	} {
		if err := i.Check(); kindOf(err) != dkms.BadName {
			t.Errorf("(%v).Check() = %v, want kind %v", i, err, dkms.BadName)
		}
	}
	i := dkms.Instance{Module: dkms.Module{Name: "source", Version: "build"}, Kernel: "kernel", Arch: "source"}
	if err := i.Check(); err != nil {
		t.Errorf("(%v).Check() = %v, want nil", i, err)
	}
}
