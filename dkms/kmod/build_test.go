package kmod_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// scratch is a directory for what the tests of this run share, once something is built.
var scratch string

func TestMain(m *testing.M) {
	status := m.Run()
	if scratch != "" {
		os.RemoveAll(scratch)
	}
	os.Exit(status)
}

// tool runs a program that a test cannot do without, and gives its output.
func tool(t testing.TB, debianPackage string, argv ...string) []byte {
	t.Helper()
	out, err := runTool(debianPackage, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func runTool(debianPackage string, argv ...string) ([]byte, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + argv[0]) // not in every user's PATH
	}
	if err != nil {
		return nil, fmt.Errorf("%s is missing: install the Debian package %s (%w)", argv[0], debianPackage, err)
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, stderr.Bytes())
	}
	return out, nil
}

// kernelBuild is the modules of testdata/src as kbuild made them for one kernel.
type kernelBuild struct {
	headers string
	dir     string
	modules []string // paths, sorted
}

// built makes the modules once for all tests of this run.
var built = sync.OnceValues(func() ([]kernelBuild, error) {
	headers, err := findHeaders()
	if err != nil {
		return nil, err
	}
	if scratch, err = os.MkdirTemp("", "kmodtest"); err != nil {
		return nil, err
	}
	var builds []kernelBuild
	for i, h := range headers {
		b := kernelBuild{headers: h, dir: filepath.Join(scratch, fmt.Sprint("build", i))}
		if err := os.CopyFS(b.dir, os.DirFS("testdata/src")); err != nil {
			return nil, err
		}
		if _, err := exec.LookPath("gcc"); err != nil {
			return nil, fmt.Errorf("gcc is missing: install the Debian package gcc (%w)", err)
		}
		if _, err := runTool("make", "make", "-s", "-j", fmt.Sprint(runtime.NumCPU()), "-C", h, "M="+b.dir, "modules"); err != nil {
			return nil, err
		}
		if b.modules, err = filepath.Glob(filepath.Join(b.dir, "*.ko")); err != nil || len(b.modules) == 0 {
			return nil, fmt.Errorf("kbuild with %s made no modules", h)
		}
		builds = append(builds, b)
	}
	return builds, nil
})

// findHeaders is the first and the last of the kernel headers on the machine, so
// that an old and a new kernel are tried where there are several.
func findHeaders() ([]string, error) {
	var found []string
	seen := map[string]bool{}
	for _, pattern := range []string{"/lib/modules/*/build", "/usr/src/linux-headers-*"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, d := range dirs {
			target, err := filepath.EvalSymlinks(d)
			if err == nil && !seen[target] && completeHeaders(target) {
				seen[target] = true
				found = append(found, target)
			}
		}
	}
	switch len(found) {
	case 0:
		return nil, errors.New("no kernel headers in /lib/modules/*/build or /usr/src/linux-headers-*: " +
			"install the Debian package linux-headers-amd64 (or that of this machine's architecture)")
	case 1:
		return found, nil
	default:
		return []string{found[0], found[len(found)-1]}, nil
	}
}

func completeHeaders(dir string) bool {
	for _, f := range []string{"Makefile", "Module.symvers", "include/generated/autoconf.h", "scripts/mod/modpost"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			return false
		}
	}
	return true
}

func builds(t testing.TB) []kernelBuild {
	t.Helper()
	b, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// path is one of the modules by its file name without extension.
func (b kernelBuild) path(name string) string { return filepath.Join(b.dir, name+".ko") }

// signFile is the kernel's own signing program, which comes with its headers.
func (b kernelBuild) signFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(b.headers, "scripts/sign-file")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the kernel's sign-file is missing: install the Debian package linux-kbuild that belongs to %s (%v)", b.headers, err)
	}
	return path
}

// signingKey makes a key and a self-signed certificate with openssl.
func signingKey(t testing.TB, dir, subject string, newkey ...string) (key, cert string) {
	t.Helper()
	key, cert = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	argv := []string{
		"openssl", "req", "-new", "-x509", "-nodes", "-sha256", "-days", "3650", "-utf8",
		"-subj", subject, "-keyout", key, "-out", cert,
	}
	tool(t, "openssl", append(argv, newkey...)...)
	return key, cert
}

// copyFile copies a module so that a tool may change it.
func copyFile(t testing.TB, src, dst string) string {
	t.Helper()
	if err := os.WriteFile(dst, readFile(t, src), 0o600); err != nil {
		t.Fatal(err)
	}
	return dst
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
