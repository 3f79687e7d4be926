package kbuild_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dkms-go/build/kbuild"
	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

const release = "6.1.0-9-fake"

// site is a directory with everything one build needs: bin, headers, src, tree.
type site struct {
	dir    string
	job    kbuild.Job
	events []kbuild.Event
}

// newSite lays out a module and a kernel that the fake make "builds".
func newSite(t *testing.T, module string, files map[string]string) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	s.write(t, "headers/include/config/auto.conf", `CONFIG_CC_VERSION_TEXT="cat (Fake) 1.0"`+"\n")
	fake, err := os.ReadFile("testdata/bin/make")
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "bin/make", string(fake))
	for _, program := range []string{"clang", "ld.lld", "strip", "llvm-strip"} {
		s.write(t, "bin/"+program, "#!/bin/sh\n")
	}
	s.write(t, "tree/"+module+"/1.0/build/left-over", "")
	for name, content := range files {
		switch {
		case strings.HasPrefix(name, "headers/"), name == "build_environment":
		case strings.HasPrefix(name, "/"):
			name = strings.TrimPrefix(name, "/")
		default:
			name = "src/" + module + "-1.0/" + name
		}
		s.write(t, name, content)
	}
	base := filepath.Join(s.dir, "tree", module, "1.0")
	if err := os.Symlink(filepath.Join(s.dir, "src", module+"-1.0"), filepath.Join(base, "source")); err != nil {
		t.Fatal(err)
	}
	s.job = kbuild.Job{
		Root:      openRoot(t, "/"),
		Runner:    proc.Host{},
		Name:      module,
		Version:   "1.0",
		Source:    filepath.Join(base, "source"),
		BuildDir:  filepath.Join(base, "build"),
		Overrides: filepath.Join(s.dir, "etc/dkms", module),
		Jobs:      "4",
		Env:       []string{"PATH=" + s.dir + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"},
		Release:   "dkms-3.4.3",
		Now:       func() time.Time { return time.Date(2026, 11, 3, 1, 45, 8, 0, time.UTC) },
		Report:    func(e kbuild.Event) { s.events = append(s.events, e) },
	}
	s.job.Kernel = findKernel(t, s.job.Root, kernel.Options{InstallTree: "/lib/modules", SourceDir: filepath.Join(s.dir, "headers")}, release)
	s.readConf(t)
	return s
}

// readConf evaluates the module's dkms.conf for the job's kernel.
func (s *site) readConf(t *testing.T) {
	t.Helper()
	loader := &conf.Loader{Root: s.job.Root, Runner: s.job.Runner, Env: s.job.Env, Dir: "/"}
	m, err := loader.Module(t.Context(), conf.Source{Path: s.job.Source + "/dkms.conf", Name: s.job.Name, Version: s.job.Version}, s.job.Kernel.Target())
	if err != nil {
		t.Fatal(err)
	}
	s.job.Conf = m
	if s.job.Records, err = m.Buildable(t.Context(), s.job.Kernel.Target()); err != nil {
		t.Fatal(err)
	}
}

// write makes a file below the site; programs and scripts are executable.
func (s *site) write(t *testing.T, name, content string) {
	t.Helper()
	host := filepath.Join(s.dir, name)
	perm := os.FileMode(0o644)
	if strings.HasPrefix(name, "bin/") || strings.HasSuffix(name, ".sh") {
		perm = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(host, []byte(content), perm); err != nil {
		t.Fatal(err)
	}
}

func (s *site) log(t *testing.T) string {
	t.Helper()
	return readFile(t, s.job.BuildDir+"/make.log")
}

func readFile(t *testing.T, host string) string {
	t.Helper()
	text, err := os.ReadFile(host)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func openRoot(t *testing.T, dir string) *sysroot.Root {
	t.Helper()
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func findKernel(t *testing.T, root *sysroot.Root, o kernel.Options, release string) *kernel.Kernel {
	t.Helper()
	k, err := kernel.Find(root, o, release, "x86_64")
	if err != nil {
		t.Fatal(err)
	}
	return k
}
