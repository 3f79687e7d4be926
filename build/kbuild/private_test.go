package kbuild_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"dkms-go/build/kbuild"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// needPrivacy skips the test where unshare(1) cannot have mount and PID
// namespaces either.
func needPrivacy(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "mount", "--bind", "/etc", "/etc").CombinedOutput()
	if err != nil {
		t.Skipf("unshare(1) cannot have mount and PID namespaces here: %v\n%s", err, out)
	}
	if err := proc.Privacy(t.Context(), ""); err != nil {
		t.Fatalf("Privacy = %v, but unshare(1) can have mount and PID namespaces", err)
	}
}

// forKernel is the site's job as a private one for another kernel of the same
// headers.
func (s *site) forKernel(t *testing.T, release string) kbuild.Job {
	t.Helper()
	j := s.job
	j.Private = true
	j.Report = nil
	j.Kernel = findKernel(t, j.Root, kernel.Options{InstallTree: "/lib/modules", SourceDir: filepath.Join(s.dir, "headers")}, release)
	return j
}

// base is the directory of the module version.
func (s *site) base() string { return filepath.Dir(s.job.BuildDir) }

// names lists a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// What a private build shows and leaves is what any other does, at the same
// paths; only where its files lie meanwhile differs.
func TestPrivate(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	files := simple("own", "PRE_BUILD=pre.sh", "POST_BUILD=post.sh")
	files["pre.sh"] = "#!/bin/sh\npwd -P; ls ..; test ! -e left-over\n"
	files["post.sh"] = "#!/bin/sh\npwd -P; test -s make.log\n"
	s := newSite(t, "own", files)
	job := s.forKernel(t, release)
	tree, err := kbuild.Build(t.Context(), job)
	if err != nil {
		t.Fatalf("Build = %v\n%s", err, readFile(t, s.base()+"/.build-"+release+"-x86_64/make.log"))
	}
	dir := s.base() + "/.build-" + release + "-x86_64"
	if got := kbuild.PrivateDir(job.BuildDir, release, "x86_64"); got != dir {
		t.Errorf("PrivateDir = %q, want %q", got, dir)
	}
	product := tree.Products()[0].Path
	if product != job.BuildDir+"/hello.ko" || tree.Outside(product) != dir+"/hello.ko" || tree.Log() != dir+"/make.log" {
		t.Errorf("product %q lies at %q, log at %q, want them in %s", product, tree.Outside(product), tree.Log(), dir)
	}
	if got := tree.Outside("/elsewhere"); got != "/elsewhere" {
		t.Errorf("Outside(/elsewhere) = %q", got)
	}
	if got := names(t, job.BuildDir); got != "" {
		t.Errorf("%s holds %q, want nothing", job.BuildDir, got)
	}
	write(t, tree.Outside(product), strings.Repeat("module", 1000))
	packed, err := tree.Compress(t.Context(), product, "xz", "")
	if err != nil || packed != product+".xz" {
		t.Errorf("Compress = %q, %v, want %q", packed, err, product+".xz")
	}
	size(t, tree.Outside(packed))
	if err := tree.PostBuild(t.Context()); err != nil {
		t.Error(err)
	}
	log := readFile(t, tree.Log())
	if got := strings.Count(log, "\n"+job.BuildDir+"\n"); got != 2 || strings.Contains(log, dir) {
		t.Errorf("the build was %d times in %s, want twice, and nowhere else:\n%s", got, job.BuildDir, log)
	}
	if err := tree.Discard(); err != nil {
		t.Error(err)
	}
	if got := names(t, s.base()); got != "source" {
		t.Errorf("after Discard there is %q, want the source only", got)
	}
}

func write(t *testing.T, host, text string) {
	t.Helper()
	if err := os.WriteFile(host, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Builds for several kernels at once: those that succeed do, the last one of
// those that fail lies at T/M/V/build, and of each the log stays.
func TestPrivateFailures(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	files := simple("fails", "MAKE=./make.sh")
	files["make.sh"] = "#!/bin/sh\ncase $kernelver in *-bad-*) exec make fail=3 ;; esac\nexec make\n"
	s := newSite(t, "fails", files)
	releases := []string{"1-good-a", "1-bad-a", "1-good-b", "1-bad-b", "1-bad-c", "1-good-c"}
	began := time.Now()
	var group errgroup.Group
	for _, r := range releases {
		job := s.forKernel(t, r)
		job.Began = began
		group.Go(func() error {
			for range 5 {
				tree, err := kbuild.Build(t.Context(), job)
				if err == nil {
					err = tree.Discard()
				}
				var failed *kbuild.MakeError
				if strings.Contains(r, "bad") && errors.As(err, &failed) && failed.Log == job.BuildDir+"/make.log" {
					err = nil
				}
				if err != nil {
					return fmt.Errorf("%s: %w", r, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if got, want := names(t, s.base()), ".build-1-bad-a-x86_64 .build-1-bad-b-x86_64 .build-1-bad-c-x86_64 build source"; got != want {
		t.Errorf("there is %q, want %q", got, want)
	}
	if got, want := names(t, s.job.BuildDir), "dkms.conf hello.c make.log make.sh"; got != want {
		t.Errorf("the build directory holds %q, want %q", got, want)
	}
	var logs strings.Builder
	for _, r := range releases {
		if strings.Contains(r, "bad") {
			dir := kbuild.PrivateDir(s.job.BuildDir, r, "x86_64")
			log := readFile(t, dir+"/make.log")
			if !strings.Contains(log, "for kernel "+r+" (x86_64)") || !strings.Contains(log, "# exit code: 3") || names(t, dir) != "make.log" {
				t.Errorf("%s holds %s, log:\n%s", dir, names(t, dir), log)
			}
			logs.WriteString(log)
		}
	}
	if last := s.log(t); !strings.Contains(logs.String(), last) {
		t.Errorf("%s/make.log is none of those that failed:\n%s", s.job.BuildDir, last)
	}
}

// A build that yields leaves its log to itself, and the directory to another one.
func TestPrivateYields(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	s, began := newSite(t, "yields", simple("yields", "MAKE=false")), time.Now()
	for _, test := range []struct {
		release string
		yields  func() bool
		want    string // whose log lies in the build directory
	}{
		{"1-a", nil, "1-a"},
		{"1-b", func() bool { return false }, "1-b"},
		{"1-c", func() bool { return true }, "1-b"},
	} {
		job := s.forKernel(t, test.release)
		job.Yields, job.Began = test.yields, began
		if _, err := kbuild.Build(t.Context(), job); err == nil {
			t.Fatal("Build has not failed")
		}
		if log := s.log(t); !strings.Contains(log, "for kernel "+test.want+" ") {
			t.Errorf("after %s, want the log of %s, got:\n%s", test.release, test.want, log)
		}
		own := kbuild.PrivateDir(s.job.BuildDir, test.release, "x86_64")
		if log := readFile(t, own+"/make.log"); !strings.Contains(log, "for kernel "+test.release+" ") || names(t, own) != "make.log" {
			t.Errorf("%s holds %s, log:\n%s", own, names(t, own), log)
		}
	}
}

// What an earlier run has left goes when a build begins, what this run has left
// does not.
func TestPrivateLeftBefore(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	half := time.Unix(1_700_000_000, 500_000_000)
	for _, test := range []struct {
		name  string
		left  time.Time
		began time.Time
		want  string
	}{
		{"upstream", half, time.Time{}, "source"},
		{"earlier", half, half.Add(time.Hour), "source"},
		{"a moment earlier", half, half.Add(100 * time.Millisecond), "source"},
		{"a tick earlier, says a coarse clock", half, half.Add(4 * time.Millisecond), "build source"},
		{"earlier, says a clock of seconds", half.Truncate(time.Second), half, "build source"},
		{"later", half.Add(time.Millisecond), half, "build source"},
	} {
		s := newSite(t, "before", simple("before"))
		write(t, s.job.BuildDir+"/make.log", "log")
		if err := os.Chtimes(s.job.BuildDir+"/make.log", test.left, test.left); err != nil {
			t.Fatal(err)
		}
		job := s.forKernel(t, release)
		job.Began = test.began
		tree, err := kbuild.Build(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Discard(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, s.base()); got != test.want {
			t.Errorf("%s: after a build there is %q, want %q", test.name, got, test.want)
		}
	}
}

// A link or a file in the way is no obstacle, as with upstream.
func TestPrivateInTheWay(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	for _, lay := range []func(at string) error{
		func(at string) error { return os.Symlink("/etc", at) },
		func(at string) error { return os.WriteFile(at, nil, 0o644) },
		func(string) error { return nil },
	} {
		s := newSite(t, "way", simple("way"))
		if err := errors.Join(os.RemoveAll(s.job.BuildDir), lay(s.job.BuildDir)); err != nil {
			t.Fatal(err)
		}
		tree, err := kbuild.Build(t.Context(), s.forKernel(t, release))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := tree.Keep(); err != nil || readFile(t, tree.Log()) != s.log(t) {
			t.Errorf("Keep: %v, log at %s is not that at %s", err, tree.Log(), s.job.BuildDir)
		}
		size(t, s.job.BuildDir+"/hello.ko")
	}
}

func TestPrivateCancel(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	s := newSite(t, "cancelled", simple("cancelled", `MAKE="make; sleep 1000"`))
	job := s.forKernel(t, release)
	ctx, cancel := context.WithCancel(t.Context())
	job.Report = func(e kbuild.Event) {
		if _, ok := e.(kbuild.Begin); ok {
			cancel()
		}
	}
	if tree, err := kbuild.Build(ctx, job); tree != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Build = %v, %v, want %v", tree, err, context.Canceled)
	}
	if got := names(t, s.base()) + ": " + names(t, job.BuildDir); got != "build source: " {
		t.Errorf("there is %q, want an empty build directory", got)
	}
}

// A failing POST_BUILD leaves everything at its place.
func TestPrivatePostBuildFails(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	files := simple("post", "POST_BUILD=post.sh")
	files["post.sh"] = "#!/bin/sh\nexit 4\n"
	s := newSite(t, "post", files)
	tree, err := kbuild.Build(t.Context(), s.forKernel(t, release))
	if err != nil {
		t.Fatal(err)
	}
	var script *kbuild.ScriptError
	if err := tree.PostBuild(t.Context()); !errors.As(err, &script) || script.Log != s.job.BuildDir+"/make.log" {
		t.Errorf("PostBuild = %v, want a *ScriptError", err)
	}
	if got, want := names(t, s.job.BuildDir), "dkms.conf hello.c hello.ko make.log post.sh"; got != want {
		t.Errorf("build directory holds %q, want %q", got, want)
	}
	if !strings.Contains(readFile(t, tree.Log()), "# exit code: 4") {
		t.Errorf("log of the script is missing in %s", tree.Log())
	}
}

// What a script leaves running does not outlive its step, and does not hold it up.
func TestPrivateBackground(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	files := simple("daemon", "PRE_BUILD=pre.sh")
	files["pre.sh"] = "#!/bin/sh\nsetsid sleep 1000 9<>\"$PWD/alive\" &\n"
	files["alive"] = ""
	s := newSite(t, "daemon", files)
	if _, err := kbuild.Build(t.Context(), s.forKernel(t, release)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c \"$1\"", "sh", s.dir+".*/alive").Output()
	if got := strings.TrimSpace(string(out)); got != "0" {
		t.Errorf("%s processes still have the file open (%v)", got, err)
	}
}

// A build that takes too long is stopped, says so, and leaves its log.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, private := range []bool{false, true} {
		if private {
			needPrivacy(t)
		}
		s := newSite(t, "slow", simple("slow", `MAKE="echo begun; exec sleep 1000"`))
		job := s.forKernel(t, release)
		job.Private = private
		job.Timeout = 300 * time.Millisecond
		var ends []int
		job.Report = func(e kbuild.Event) {
			if end, ok := e.(kbuild.End); ok {
				ends = append(ends, end.Status)
			}
		}
		_, err := kbuild.Build(t.Context(), job)
		var timeout *kbuild.TimeoutError
		if !errors.As(err, &timeout) || timeout.Log != job.BuildDir+"/make.log" || timeout.Step != "Building module(s)" || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Build = %#v, want a *TimeoutError", err)
		}
		if want := "the build took longer than 300ms and was stopped (Building module(s)), see " + timeout.Log; timeout.Error() != want {
			t.Errorf("Error() = %q, want %q", timeout, want)
		}
		log := s.log(t)
		if want := "begun\n\n# stopped, because the build took longer than 300ms\n# exit code: 143\n# elapsed time: 00:00:00\n"; !strings.Contains(log, want) {
			t.Errorf("log without %q:\n%s", want, log)
		}
		if diff := cmp.Diff([]int{143}, ends); diff != "" {
			t.Errorf("statuses told of (-want +got):\n%s", diff)
		}
	}
}

// The same source gives the same bytes: one after the other, each at BuildDir and
// with -j, or all kernels at once, each in a directory of its own and with tokens.
func TestReproducible(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	headers := installedHeaders(t)
	first := map[string]string{}
	s := realSite(t, headers[0])
	job := func(headers string, private bool) kbuild.Job {
		j := s.job
		j.Private, j.Report = private, nil
		j.Kernel = findKernel(t, j.Root, kernel.Options{InstallTree: "/lib/modules"}, filepath.Base(filepath.Dir(headers)))
		return j
	}
	build := func(j kbuild.Job) (string, error) {
		tree, err := kbuild.Build(t.Context(), j)
		if err != nil {
			return "", err
		}
		text, err := os.ReadFile(tree.Outside(tree.Products()[0].Path))
		if strings.Contains(string(text), filepath.Base(kbuild.PrivateDir(j.BuildDir, j.Kernel.Release, j.Kernel.Arch))) {
			err = errors.Join(err, errors.New("the module knows of the private directory"))
		}
		if !strings.Contains(string(text), j.BuildDir) {
			err = errors.Join(err, errors.New("the module has no debugging symbols with paths: this test shows nothing"))
		}
		return fmt.Sprintf("%x", sha256.Sum256(text)), errors.Join(err, tree.Discard())
	}
	for _, h := range headers {
		sum, err := build(job(h, false))
		if err != nil {
			t.Fatal(err)
		}
		first[h] = sum
	}
	server := openServer(t, 2)
	var group errgroup.Group
	for _, h := range headers {
		j := job(h, true)
		j.Jobserver = server
		group.Go(func() error {
			got, err := build(j)
			if want := first[h]; err == nil && got != want {
				err = fmt.Errorf("%s: built together %s, want %s", h, got, want)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
