package kbuild_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/kbuild"
	"dkms-go/conf"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// simple is the shortest module.
func simple(name string, more ...string) map[string]string {
	return map[string]string{
		"dkms.conf": "PACKAGE_NAME=" + name + "\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=hello\nDEST_MODULE_LOCATION=/updates\n" + strings.Join(more, "\n"),
		"hello.c":   "text",
	}
}

func TestCheckSource(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		entries []string
		ok      bool
	}{
		{"missing", nil, false},
		{"one", []string{"dkms.conf"}, false},
		{"one visible", []string{"dkms.conf", ".git/x", ".hidden"}, false},
		{"two", []string{"dkms.conf", "Makefile"}, true},
		{"directory counts", []string{"dkms.conf", "src/x"}, true},
	} {
		dir := t.TempDir()
		for _, entry := range test.entries {
			host := filepath.Join(dir, "src", entry)
			if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(host, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("/src", filepath.Join(dir, "source")); err != nil {
			t.Fatal(err)
		}
		err := kbuild.CheckSource(openRoot(t, dir), "/source")
		var empty *kbuild.EmptySourceError
		if got := !errors.As(err, &empty); got != test.ok || (!test.ok && empty.Dir != "/source") {
			t.Errorf("CheckSource(%s) = %v, want success: %v", test.name, err, test.ok)
		}
	}
}

// The build directory is a copy of the source and nothing else, and the source
// stays as it is.
func TestBuildDirectory(t *testing.T) {
	t.Parallel()
	files := simple("copy")
	files[".hidden/x"] = "h"
	files["run.sh"] = "#!/bin/sh\n"
	s := newSite(t, "copy", files)
	source := s.dir + "/src/copy-1.0"
	if err := os.Symlink("hello.c", source+"/link"); err != nil {
		t.Fatal(err)
	}
	before := listing(t, source)
	tree, err := kbuild.Build(t.Context(), s.job)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, listing(t, source)); diff != "" {
		t.Errorf("the source changed (-before +after):\n%s", diff)
	}
	after := listing(t, s.job.BuildDir)
	for _, made := range []string{"make.log", "hello.ko"} {
		if _, ok := after[made]; !ok {
			t.Errorf("no %s in the build directory", made)
		}
		delete(after, made)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("build directory (-source +copy):\n%s", diff)
	}
	if diff := cmp.Diff([]kbuild.Product{{Record: 0, Path: s.job.BuildDir + "/hello.ko"}}, tree.Products()); diff != "" {
		t.Errorf("Products (-want +got):\n%s", diff)
	}
	if got := tree.Symvers(); got != "" {
		t.Errorf("Symvers = %q, want none", got)
	}
	s.write(t, "tree/copy/1.0/build/Module.symvers", "")
	if got, want := tree.Symvers(), s.job.BuildDir+"/Module.symvers"; got != want {
		t.Errorf("Symvers = %q, want %q", got, want)
	}
}

func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			content = readFile(t, p)
		case info.Mode()&os.ModeSymlink != 0:
			content, err = os.Readlink(p)
		}
		all[strings.TrimPrefix(p, dir+"/")] = info.Mode().String() + " " + content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Only the records asked for have to be there.
func TestRecords(t *testing.T) {
	t.Parallel()
	s := newSite(t, "records", map[string]string{
		"dkms.conf": "PACKAGE_NAME=records\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=(hello other)\nBUILT_MODULE_LOCATION=(. sub)\n" +
			"DEST_MODULE_LOCATION=(/updates /updates)\n",
		"hello.c": "",
	})
	s.job.Records = []int{0}
	tree, err := kbuild.Build(t.Context(), s.job)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]kbuild.Product{{Record: 0, Path: s.job.BuildDir + "/./hello.ko"}}, tree.Products()); diff != "" {
		t.Errorf("Products (-want +got):\n%s", diff)
	}
	s.job.Records = []int{0, 1}
	var missing *kbuild.MissingProductError
	if _, err := kbuild.Build(t.Context(), s.job); !errors.As(err, &missing) || missing.Name != "sub/other.ko" {
		t.Errorf("Build = %v, want sub/other.ko missing", err)
	}
}

func TestMakeError(t *testing.T) {
	t.Parallel()
	s := newSite(t, "fails", simple("fails", `MAKE="echo a.c:7: error: wrong; make fail=2"`))
	s.job.Jobs = ""
	_, err := kbuild.Build(t.Context(), s.job)
	var failed *kbuild.MakeError
	if !errors.As(err, &failed) {
		t.Fatalf("Build = %v, want a *MakeError", err)
	}
	want := kbuild.MakeError{
		Status:  2,
		Command: "echo a.c:7: error: wrong; make fail=2",
		Log:     s.job.BuildDir + "/make.log",
		Tail:    "a.c:7: error: wrong\nfake make: [fail=2]",
	}
	if diff := cmp.Diff(want, *failed); diff != "" {
		t.Errorf("MakeError (-want +got):\n%s", diff)
	}
	if text := err.Error(); !strings.Contains(text, "status 2") || !strings.Contains(text, "error: wrong") || !strings.HasSuffix(text, want.Log) {
		t.Errorf("Error() = %q", text)
	}
}

// Without a number of jobs make gets a plain -j.
func TestUnlimitedJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t, "unlimited", simple("unlimited"))
	s.job.Jobs = ""
	if _, err := kbuild.Build(t.Context(), s.job); err != nil {
		t.Fatal(err)
	}
	want := "# command: make -j KERNELRELEASE=" + release + " -C " + s.dir + "/headers M=" + s.job.BuildDir + "\n"
	if !strings.Contains(s.log(t), want) {
		t.Errorf("log without %q:\n%s", want, s.log(t))
	}
}

// A cancelled build leaves an empty directory, the same one.
func TestCancel(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "cancelled", simple("cancelled", `MAKE="make wait=`+fifo+`"`))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		f, err := os.Open(fifo) // returns when make has started
		if err == nil {
			_, _ = io.ReadAll(f)
			_ = f.Close()
		}
	}()
	if tree, err := kbuild.Build(ctx, s.job); tree != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Build = %v, %v, want %v", tree, err, context.Canceled)
	}
	if left := listing(t, s.job.BuildDir); len(left) > 0 {
		t.Errorf("build directory holds %q, want nothing", left)
	}
	if last, ok := s.events[len(s.events)-1].(kbuild.Begin); !ok {
		t.Errorf("last event = %+v, want the begin of the step", last)
	}
}

// recorder stands in for programs: it remembers what was to be run and leaves
// the product.
type recorder struct {
	root string
	cmds []proc.Cmd
}

func (r *recorder) Run(_ context.Context, c proc.Cmd) error {
	r.cmds = append(r.cmds, c)
	return os.WriteFile(filepath.Join(r.root, c.Dir, "hello.ko"), nil, 0o644)
}

// In another root every program is run chrooted there, with paths as seen from
// inside.
func TestOtherRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"usr/src/m-1.0/hello.c":       "",
		"usr/src/m-1.0/pre.sh":        "",
		"usr/src/linux/.config":       "CONFIG_CC_VERSION_TEXT=\"gcc-12 x\"\n",
		"usr/bin/gcc-12":              "",
		"var/lib/dkms/m/1.0/x":        "",
		"usr/src/linux/include/x":     "",
		"lib/modules/6.1/modules.dep": "",
	} {
		host := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(host, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"lib/modules/6.1/build": "/usr/src/linux", "var/lib/dkms/m/1.0/source": "/usr/src/m-1.0"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	root := openRoot(t, dir)
	runner := &recorder{root: dir}
	s := newSite(t, "unused", simple("unused"))
	job := s.job
	job.Root, job.Runner = root, runner
	job.Name, job.Source, job.BuildDir = "m", "/var/lib/dkms/m/1.0/source", "/var/lib/dkms/m/1.0/build"
	job.Env = []string{"PATH=/usr/bin"}
	job.Kernel = findKernel(t, root, kernel.Options{InstallTree: "/lib/modules"}, "6.1")
	job.Conf = withPreBuild(t, s, "pre.sh")
	if _, err := kbuild.Build(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range runner.cmds {
		if c.Root != dir || c.Dir != "/var/lib/dkms/m/1.0/build" {
			t.Errorf("%q is run in root %q, directory %q", c.Args, c.Root, c.Dir)
		}
		got = append(got, c.Args[len(c.Args)-1])
	}
	want := []string{
		"cd /var/lib/dkms/m/1.0/build/ && /var/lib/dkms/m/1.0/build/pre.sh",
		"make -j4 KERNELRELEASE=6.1 -C /lib/modules/6.1/build M=/var/lib/dkms/m/1.0/build",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	wantEnv := []string{"PATH=/usr/bin", "kernelver=6.1", "arch=x86_64", "module=m", "module_version=1.0", "CC=gcc-12", "KERNEL_CC=gcc-12"}
	if diff := cmp.Diff(wantEnv, runner.cmds[0].Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

// withPreBuild evaluates the site's dkms.conf with a PRE_BUILD.
func withPreBuild(t *testing.T, s *site, script string) *conf.Module {
	t.Helper()
	s.write(t, "src/"+s.job.Name+"-1.0/dkms.conf", simple(s.job.Name, "PRE_BUILD="+script)["dkms.conf"])
	s.readConf(t)
	return s.job.Conf
}
