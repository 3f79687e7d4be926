//go:build e2e

package conf_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// TestCorpus evaluates every dkms.conf below the directories in DKMS_CONF_CORPUS (separated by colons) for three kernels,
// and compares every directive with what upstream's own safe_source makes of it. DKMS_UPSTREAM is the path of upstream's
// dkms.in, whose functions are used from there; nothing of them is kept here.
//
//	DKMS_CONF_CORPUS=/tmp/debs:/tmp/dkms/test DKMS_UPSTREAM=/tmp/dkms/dkms.in go test -tags e2e -run TestCorpus -v ./conf
//
// A corpus is made from the packages of a distribution:
//
//	apt-get download $(apt-cache search -n -- '-dkms$' | cut -d' ' -f1); for f in *.deb; do dpkg -x $f ${f%%_*}; done
func TestCorpus(t *testing.T) {
	corpus, upstream := os.Getenv("DKMS_CONF_CORPUS"), os.Getenv("DKMS_UPSTREAM")
	if corpus == "" || upstream == "" {
		t.Fatal("DKMS_CONF_CORPUS and DKMS_UPSTREAM must be set")
	}
	oracle := upstreamOracle(t, upstream)
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, dir := range filepath.SplitList(corpus) {
		files = append(files, confFiles(t, dir)...)
	}
	kernels := []struct{ release, arch string }{
		{"6.1.0-56-amd64", "x86_64"}, {"5.10.0-21-amd64", "x86_64"}, {"6.12.9-rt-arm64", "aarch64"},
	}
	var values, differences, plain, evaluations int
	var inProcess, inBash, theirs time.Duration
	for _, file := range files {
		for i, k := range kernels {
			name, version, _ := strings.Cut(filepath.Base(filepath.Dir(file)), "-")
			source := conf.Source{Path: file, Name: name, Version: version}
			target := conf.Target{
				Kernel: k.release, Arch: k.arch,
				KernelSourceDir: "/lib/modules/" + k.release + "/build",
				KernelConfig:    "/lib/modules/" + k.release + "/build/.config",
			}
			l := &conf.Loader{
				Root: root, Runner: &proc.Host{}, Env: os.Environ(), Dir: t.TempDir(),
				Vars: map[string]string{"dkms_tree": "/var/lib/dkms", "source_tree": "/usr/src", "install_tree": "/lib/modules"},
			}
			start := time.Now()
			want := oracle(l.Dir, source, target)
			theirs += time.Since(start)

			start = time.Now()
			got, _, err := l.Evaluate(t.Context(), conf.InBash, source, target)
			inBash += time.Since(start)
			if err != nil {
				t.Fatalf("Evaluate(InBash, %s) = %v", file, err)
			}
			evaluations++
			for _, e := range want {
				values += len(e)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				differences++
				t.Errorf("Evaluate(InBash, %s, %s) differs from upstream (-upstream +got):\n%s", file, k.release, diff)
			}
			start = time.Now()
			got, ok, err := l.Evaluate(t.Context(), conf.InProcess, source, target)
			if err != nil {
				t.Fatalf("Evaluate(InProcess, %s) = %v", file, err)
			}
			if !ok {
				if i == 0 {
					t.Logf("not plain: %s", file)
				}
				continue
			}
			inProcess += time.Since(start)
			plain++
			if diff := cmp.Diff(want, got); diff != "" {
				differences++
				t.Errorf("Evaluate(InProcess, %s, %s) differs from upstream (-upstream +got):\n%s", file, k.release, diff)
			}
		}
	}
	if evaluations == 0 {
		t.Fatalf("no dkms.conf below %s", corpus)
	}
	t.Logf("%d files, %d evaluations, %d values, %d differences", len(files), evaluations, values, differences)
	t.Logf("%d of %d evaluations in process, %v each; in bash %v each; upstream's safe_source %v each", plain, evaluations,
		inProcess/time.Duration(max(plain, 1)), inBash/time.Duration(evaluations), theirs/time.Duration(evaluations))
}

func confFiles(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() == "dkms.conf" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// upstreamOracle returns a function that evaluates a dkms.conf with the functions in a dkms.in.
func upstreamOracle(t *testing.T, upstream string) func(dir string, src conf.Source, target conf.Target) map[string]map[int]string {
	t.Helper()
	text, err := os.ReadFile(upstream)
	if err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	script.WriteString("shopt -s extglob\n")
	for _, re := range []string{
		`(?ms)^readonly dkms_conf_variables=".*?"\n`, `(?ms)^error\(\) \(.*?^\)\n`, `(?ms)^die\(\) \{.*?^\}\n`,
		`(?ms)^mktemp_or_die\(\) \{.*?^\}\n`, `(?ms)^safe_source\(\) \{.*?^\}\n`,
	} {
		part := regexp.MustCompile(re).Find(text)
		if part == nil {
			t.Fatalf("%s has nothing that matches %q", upstream, re)
		}
		script.Write(part)
	}
	script.WriteString(`
		show_deprecation_warnings=0 dkms_tree=/var/lib/dkms source_tree=/usr/src install_tree=/lib/modules
		evaluate() {
			local kernelver=$2 arch=$3
			kernel_source_dir=$4 kernel_config=$5 module=$6 module_version=$7
			unset $dkms_conf_variables
			safe_source "$1" "$dkms_conf_variables"
		}
		evaluate "$@"
		for name in $dkms_conf_variables; do
			declare -n variable=$name
			for index in "${!variable[@]}"; do
				printf '%s\0' "$name" "$index" "${variable[index]}" >&3
			done
		done
		exit 0`)
	file := filepath.Join(t.TempDir(), "oracle.bash")
	if err := os.WriteFile(file, script.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(dir string, src conf.Source, target conf.Target) map[string]map[int]string {
		cmd := exec.Command("bash", "--norc", file, src.Path, target.Kernel, target.Arch, target.KernelSourceDir,
			target.KernelConfig, src.Name, src.Version)
		cmd.Dir = dir
		return dumpOf(t, cmd)
	}
}
