package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"dkms-go/dkms/proc"
)

func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	if os.Getenv("DKMS_ALONE") != "" {
		if err := stayAlone(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(99)
		}
	}
	if how := os.Getenv("DKMS_CRASH"); how != "" {
		os.Exit(disturbed(how))
	}
	testscript.Main(m, map[string]func(){"dkms": main, "sign-file": main, "rpm-transaction": transaction})
}

// TestScript runs the command line scripts of testdata/script. Each works below a directory of its own, where
// $SRC, $VAR and $LIB are the three trees (the options for them are $TREES) and $K is a kernel release.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"kernel":  kernelDir,
			"headers": realHeaders,
			"image":   image,
			"status":  wantStatus,
			"lines":   lines,
			"output":  output,
			"pair":    pair,
			"depmods": depmods,
			"siglist": siglist,
			"refused": refused,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "modaliases": // devices that say which module they want
				found, err := filepath.Glob("/sys/devices/*/*/modalias")
				return len(found) > 0, err
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

func setup(e *testscript.Env) error {
	for name, dir := range map[string]string{"SRC": "usr/src", "VAR": "var/lib/dkms", "LIB": "lib/modules", "ROOT": "image"} {
		abs := filepath.Join(e.WorkDir, dir)
		e.Setenv(name, abs)
		if err := os.MkdirAll(abs, 0o755); err != nil {
			return err
		}
	}
	demo, err := filepath.Abs("../../testdata/demo")
	if err != nil {
		return err
	}
	e.Setenv("DEMO", demo)
	e.Setenv("K", "6.1.0-0-test")
	e.Setenv("A", "x86_64")
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return err
	}
	e.Setenv("RUNNING", unix.ByteSliceToString(uname.Release[:]))
	for _, setting := range []string{"try_sign_modules=false", "parallel_jobs=1", "LC_ALL=C", "TZ=UTC"} {
		name, value, _ := strings.Cut(setting, "=")
		e.Setenv(name, value)
	}
	return nil
}

// trees are the options that keep a command inside the work directory.
func trees(ts *testscript.TestScript) []string {
	return []string{"--dkmstree", ts.Getenv("VAR"), "--sourcetree", ts.Getenv("SRC"), "--installtree", ts.Getenv("LIB")}
}

// kernelDir makes directories of kernels with headers as far as a module that needs no kbuild wants them:
// kernel RELEASE...
func kernelDir(ts *testscript.TestScript, _ bool, args []string) {
	for _, k := range args {
		dir := filepath.Join(ts.Getenv("LIB"), k)
		ts.Check(os.MkdirAll(filepath.Join(dir, "build/include/config"), 0o755))
		ts.Check(os.WriteFile(filepath.Join(dir, "build/include/config/auto.conf"), []byte("CONFIG_MODULE_SIG_HASH=\"sha256\"\n"), 0o644))
		for _, f := range []string{"modules.order", "modules.builtin", "modules.dep"} {
			ts.Check(os.WriteFile(filepath.Join(dir, f), nil, 0o644))
		}
	}
}

// realHeaders makes the directory of a kernel whose headers are installed on this machine, the newest, and sets $K to its
// release.
func realHeaders(ts *testscript.TestScript, _ bool, _ []string) {
	found, err := filepath.Glob("/lib/modules/*/build/include/config/auto.conf")
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no kernel headers below /lib/modules: install linux-headers-amd64 (Debian), or run make test, which does")
	}
	release := strings.Split(slices.Max(found), "/")[3]
	dir := filepath.Join(ts.Getenv("LIB"), release)
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.Symlink("/lib/modules/"+release+"/build", filepath.Join(dir, "build")))
	for _, f := range []string{"modules.order", "modules.builtin", "modules.dep"} {
		ts.Check(os.WriteFile(filepath.Join(dir, f), nil, 0o644))
	}
	ts.Setenv("K", release)
}

// pair makes a key and its certificate, valid between two dates: pair KEY CERTIFICATE FROM TO
func pair(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	begin, err := time.Parse(time.DateOnly, args[2])
	ts.Check(err)
	end, err := time.Parse(time.DateOnly, args[3])
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(begin.Unix()), Subject: pkix.Name{CommonName: "Lantern Works"},
		NotBefore: begin, NotAfter: end, SubjectKeyId: []byte("lantern works"),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), der, 0o644))
}

// refused says that hello/1.0 is built, unsigned and not installed for $K, and unbuilds it: refused
func refused(ts *testscript.TestScript, _ bool, _ []string) {
	wantStatus(ts, false, []string{"hello/1.0, " + ts.Getenv("K") + ", x86_64: built"})
	base := filepath.Join(ts.Getenv("VAR"), "hello/1.0", ts.Getenv("K"), "x86_64/module")
	lines(ts, false, []string{base, "hello.ko"})
	if text := ts.ReadFile(filepath.Join(base, "hello.ko")); strings.Contains(text, "Module signature") {
		ts.Fatalf("the build is signed")
	}
	if _, err := os.Lstat(filepath.Join(ts.Getenv("LIB"), ts.Getenv("K"), "updates")); err == nil {
		ts.Fatalf("something is installed")
	}
	ts.Check(ts.Exec("dkms", append([]string{"unbuild", "hello/1.0", "-k", ts.Getenv("K")}, trees(ts)...)...))
}

// siglist makes a file of efivarfs that holds a certificate: siglist FILE CERTIFICATE
func siglist(ts *testscript.TestScript, _ bool, args []string) {
	pem, list := filepath.Join(ts.Getenv("WORK"), "siglist.pem"), filepath.Join(ts.Getenv("WORK"), "siglist")
	ts.Check(ts.Exec("openssl", "x509", "-inform", "DER", "-in", args[1], "-out", pem))
	ts.Check(ts.Exec("cert-to-efi-sig-list", pem, list))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x07\x00\x00\x00"+ts.ReadFile(list)), 0o644))
}

// image makes $ROOT a small system: the programs named, with the libraries they need, and an os-release file.
func image(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(makeImage(ts.Getenv("ROOT"), args...))
}

func makeImage(root string, programs ...string) error {
	for _, dir := range []string{"etc", "usr/src", "var/lib/dkms", "lib/modules", "tmp", "dev", "bin", "usr"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=debian\n"), 0o644); err != nil {
		return err
	}
	for _, name := range programs {
		file, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		out, err := exec.Command("ldd", file).Output()
		if err != nil {
			return err
		}
		if err := copyFile(file, filepath.Join(root, "bin", name)); err != nil {
			return err
		}
		for _, lib := range regexp.MustCompile(`/\S+`).FindAllString(string(out), -1) {
			if err := copyFile(lib, filepath.Join(root, lib)); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// wantStatus compares what dkms status prints with the lines given: status [LINE]...
func wantStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: status [LINE]...")
	}
	ts.Check(ts.Exec("dkms", append([]string{"status"}, trees(ts)...)...))
	want := strings.Join(args, "\n")
	if want != "" {
		want += "\n"
	}
	if got := ts.ReadFile("stdout"); got != want {
		ts.Fatalf("dkms status printed\n%swant\n%s", got, want)
	}
}

// output runs dkms with the trees of the test and compares merged output and exit status, the way users see them:
// output FILE STATUS ARG... In the file, names in the form ${NAME} stand for variables.
func output(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: output FILE STATUS ARG...")
	}
	want := regexp.MustCompile(`\$\{\w+\}`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(v string) string {
		return ts.Getenv(v[2 : len(v)-1])
	})
	log, err := os.Create(filepath.Join(ts.Getenv("WORK"), "merged.log"))
	ts.Check(err)
	defer log.Close()
	cmd := exec.Command("dkms", append(trees(ts), args[2:]...)...)
	path, err := lookIn(ts.Getenv("PATH"), "dkms")
	ts.Check(err)
	cmd.Path, cmd.Err = path, nil
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "try_sign_modules", "parallel_jobs", "LC_ALL", "TZ", "mok_signing_key", "mok_certificate", "sign_file", "KBUILD_SIGN_PIN", "CREDENTIALS_DIRECTORY", "GOCOVERDIR"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stdout, cmd.Stderr = log, log
	_ = cmd.Run()
	got, err := os.ReadFile(log.Name())
	ts.Check(err)
	if status := fmt.Sprint(cmd.ProcessState.ExitCode()); status != args[1] || string(got) != want {
		ts.Fatalf("dkms %s: exit status %s, want %s; printed\n%swant\n%s", strings.Join(args[2:], " "), status, args[1], got, want)
	}
}

// depmods runs kmod's depmod and ours with the same arguments and compares outputs, statuses and what both make of the
// directory $LIB/$K. Ours is to do what that version of kmod does: depmods ARG...
func depmods(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: depmods ARG...")
	}
	version := regexp.MustCompile(`kmod version (\d+)`)
	out, err := exec.Command("depmod", "--version").Output()
	ts.Check(err)
	found := version.FindSubmatch(out)
	if found == nil {
		ts.Fatalf("depmod --version printed %q (install kmod)", out)
	}
	want := outcome(ts, "depmod", args)
	got := outcome(ts, "dkms", slices.Concat([]string{"depmod", "--files-of", string(found[1])}, args))
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("depmod %s (-kmod +ours):\n%s", strings.Join(args, " "), diff)
	}
}

// outcome is what a program prints, how it ends and what it leaves in $LIB/$K, which is put back as it was.
func outcome(ts *testscript.TestScript, name string, args []string) map[string]string {
	dir := filepath.Join(ts.Getenv("LIB"), ts.Getenv("K"))
	was := contents(ts, dir)
	path, err := lookIn(ts.Getenv("PATH"), name)
	ts.Check(err)
	var stdout, stderr strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Args[0] = name // getopt says it
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &stdout, &stderr
	_ = cmd.Run()
	out := contents(ts, dir)
	for file := range out {
		if text, ok := was[file]; ok {
			ts.Check(os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
		} else {
			ts.Check(os.Remove(filepath.Join(dir, file)))
		}
	}
	out["stdout"], out["stderr"], out["status"] = stdout.String(), stderr.String(), fmt.Sprint(cmd.ProcessState.ExitCode())
	return out
}

// contents is the files in a directory, without those below it.
func contents(ts *testscript.TestScript, dir string) map[string]string {
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	out := map[string]string{}
	for _, e := range entries {
		if e.Type().IsRegular() {
			out[e.Name()] = ts.ReadFile(filepath.Join(dir, e.Name()))
		}
	}
	return out
}

func lookIn(path, name string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if f := filepath.Join(dir, name); exec.Command("test", "-x", f).Run() == nil {
			return f, nil
		}
	}
	return "", fmt.Errorf("no %s in %s", name, path)
}

// lines compares the sorted list of files below a directory with the names given: lines DIR NAME... The reserve does not count.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	var got []string
	ts.Check(filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && p != dir {
			rel, _ := filepath.Rel(dir, p)
			if d.Type()&os.ModeSymlink != 0 {
				target, _ := os.Readlink(p)
				rel += "->" + target
			}
			if (!d.IsDir() || strings.HasPrefix(d.Name(), ".")) && d.Name() != ".spare" {
				got = append(got, rel)
			}
		}
		return err
	}))
	slices.Sort(got)
	want := slices.Clone(args[1:])
	slices.Sort(want)
	if !slices.Equal(got, want) {
		ts.Fatalf("below %s are\n%s\nwant\n%s", args[0], strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
