package conf_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// treeVars are variables that the program presets for every dkms.conf.
func treeVars() map[string]string {
	return map[string]string{"dkms_tree": "/var/lib/dkms", "source_tree": "/usr/src", "install_tree": "/lib/modules"}
}

func target(kernel string) conf.Target {
	return conf.Target{
		Kernel: kernel, Arch: "x86_64",
		KernelSourceDir: "/lib/modules/" + kernel + "/build",
		KernelConfig:    "/lib/modules/" + kernel + "/build/.config",
	}
}

// fixture returns the host path of a file in the shared testdata.
func fixture(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "testdata", "conf", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// hostLoader evaluates files of the host, with a small environment of its own.
func hostLoader(t testing.TB) *conf.Loader {
	t.Helper()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Loader{
		Root: root, Runner: &proc.Host{}, Dir: t.TempDir(), Vars: treeVars(),
		Env: []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"},
	}
}

// noProcess fails the test when a process is to be started.
type noProcess struct{ t testing.TB }

func (n noProcess) Run(_ context.Context, c proc.Cmd) error {
	n.t.Errorf("Run(%q) called, want no process", c.Args)
	return &proc.NotFoundError{Name: c.Args[0]}
}

// write makes a root with files.
func write(t testing.TB, files map[string]string) *sysroot.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		host := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(host, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// chrootLoader makes a root with a bash of its own, and files.
func chrootLoader(t testing.TB, files map[string]string) *conf.Loader {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := exec.Command("ldd", bash).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"/bin/bash": readFile(t, bash)}
	for _, m := range regexp.MustCompile(`/\S+`).FindAllString(string(libraries), -1) {
		all[m] = readFile(t, m)
	}
	maps.Copy(all, files)
	root := write(t, all)
	for name := range all {
		if err := os.Chmod(root.Path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &conf.Loader{Root: root, Runner: &proc.Host{}, Dir: "/", Vars: treeVars(), Env: []string{"PATH=/bin", "LC_ALL=C"}}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOverrides: later files override earlier ones, and see them as they are after their second evaluation. With a script
// among the files bash does all of them, with the same result.
func TestOverrides(t *testing.T) {
	t.Parallel()
	const kernel, arch = "6.1.0-56-amd64", "x86_64"
	files := map[string]string{
		"/src/dkms.conf": named + "BUILT_MODULE_NAME=example\nDEST_MODULE_LOCATION=/extra\nMAKE='make  \\\\\\\\a'\nhidden=1\nPATCH=(one two)\n",

		"/etc/dkms/example.conf":                              `MAKE[0]="${MAKE[0]} 1$hidden"` + "\nunset_by_nobody=1\n",
		"/etc/dkms/example-1.0.conf":                          "MAKE+=' 2$unset_by_nobody'\nPATCH=(three)\n",
		"/etc/dkms/example-1.0-" + kernel + ".conf":           "MAKE+=\" 3 $kernelver\"\n",
		"/etc/dkms/example-1.0-" + kernel + "-x86_64.conf":    "MAKE+=\" 4 $arch\"\n",
		"/etc/dkms/example--" + kernel + ".conf":              "MAKE+=\" 5 $module\"\n",
		"/etc/dkms/example--" + kernel + "-" + arch + ".conf": "MAKE+=\" 6 $module_version\"\n",

		"/etc/dkms/example-2.0.conf": "MAKE=wrong\n",
		"/etc/dkms/.conf":            "MAKE=wrong\n",
	}
	want := `make \a 1 2 3 6.1.0-56-amd64 4 x86_64 5 example 6 1.0`
	src := conf.Source{Path: "/src/dkms.conf", Name: "example", Version: "1.0"}
	wantFiles := []string{
		"/src/dkms.conf", "/etc/dkms/example.conf", "/etc/dkms/example-1.0.conf", "/etc/dkms/example-1.0-6.1.0-56-amd64.conf",
		"/etc/dkms/example-1.0-6.1.0-56-amd64-x86_64.conf", "/etc/dkms/example--6.1.0-56-amd64.conf",
		"/etc/dkms/example--6.1.0-56-amd64-x86_64.conf",
	}
	check := func(t *testing.T, l *conf.Loader) {
		t.Helper()
		m, err := l.Module(t.Context(), src, target(kernel))
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := m.MakeCommand(t.Context(), kernel); got != want || err != nil {
			t.Errorf("MakeCommand() = %q, %v, want %q", got, err, want)
		}
		if diff := cmp.Diff(wantFiles, m.Files); diff != "" {
			t.Errorf("Files mismatch (-want +got):\n%s", diff)
		}
		// A list that is made shorter keeps its tail: only what is set is carried back.
		if diff := cmp.Diff([]conf.PatchRule{{File: "three"}, {Index: 1, File: "two"}}, m.Patches); diff != "" {
			t.Errorf("Patches mismatch (-want +got):\n%s", diff)
		}
	}
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		check(t, &conf.Loader{Root: write(t, files), Runner: noProcess{t}, Vars: treeVars()})
	})
	t.Run("bash", func(t *testing.T) {
		t.Parallel()
		l := chrootLoader(t, files)
		last := l.Root.Path("/etc/dkms/example--" + kernel + "-" + arch + ".conf")
		writeFile(t, last, "if true; then MAKE+=\" 6 $module_version\"; fi\n")
		check(t, l)
	})
}

// TestOverridesWithoutName: while a module is being added, files with odd names are looked for, as upstream does.
func TestOverridesWithoutName(t *testing.T) {
	t.Parallel()
	l := &conf.Loader{Runner: noProcess{t}, Root: write(t, map[string]string{
		"/src/dkms.conf": named, "/etc/dkms/.conf": "AUTOINSTALL=yes\n", "/etc/dkms/example.conf": "AUTOINSTALL=no\n",
	})}
	m, err := l.Module(t.Context(), conf.Source{Path: "/src/dkms.conf"}, target("6.1"))
	if err != nil || !m.Autoinstall {
		t.Errorf("Module() = %+v, %v, want Autoinstall from /etc/dkms/.conf", m, err)
	}
}

// TestDirectives: --directive comes after all files, sets element 0, and cannot set what is no variable.
func TestDirectives(t *testing.T) {
	t.Parallel()
	l := &conf.Loader{
		Root:       write(t, map[string]string{"/src/dkms.conf": named + "MAKE=(a b)\nAUTOINSTALL=no\n"}),
		Runner:     noProcess{t},
		Directives: []string{"MAKE=x  y=$z", "MAKE[1]=no", "CFLAGS=-g", "AUTOINSTALL=no", "AUTOINSTALL=yes", "POST_ADD", "=x"},
	}
	m, err := l.Module(t.Context(), conf.Source{Path: "/src/dkms.conf"}, target("6.1"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]conf.MakeRule{{Command: "x  y=$z"}, {Index: 1, Command: "b"}}, m.Make); diff != "" {
		t.Errorf("Make mismatch (-want +got):\n%s", diff)
	}
	if !m.Autoinstall || m.PostAdd != "POST_ADD" {
		t.Errorf("Autoinstall = %v, PostAdd = %q, want true and POST_ADD", m.Autoinstall, m.PostAdd)
	}
	want := []string{"MAKE=x  y=$z", "CFLAGS=-g", "AUTOINSTALL=no", "AUTOINSTALL=yes", "POST_ADD=POST_ADD"}
	if diff := cmp.Diff(want, l.DirectiveEnv()); diff != "" {
		t.Errorf("DirectiveEnv() mismatch (-want +got):\n%s", diff)
	}
}

// TestEnvironment: files see the environment, a variable in it that has the name of a directive is not one, and
// DKMS_DIRECTIVE sets directives only.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	l.Env = append(l.Env, "FLAVOUR=rt", "MAKE=from environment", "kernelver=wrong", "no-name=1")
	path := filepath.Join(l.Dir, "dkms.conf")
	writeFile(t, path, "PACKAGE_NAME=\"$FLAVOUR-$MAKE-$kernelver\"\n")
	want := map[string]map[int]string{"PACKAGE_NAME": {0: "rt--6.1"}}
	for _, way := range []conf.Way{conf.InProcess, conf.InBash} {
		got, ok, err := l.Evaluate(t.Context(), way, conf.Source{Path: path}, target("6.1"))
		if !ok || err != nil {
			t.Fatalf("Evaluate(%d) = %v, %v", way, ok, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Evaluate(%d) mismatch (-want +got):\n%s", way, diff)
		}
	}
}

// difference: DKMS_DIRECTIVE
func TestEnvironmentDirective(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	l.Env = append(l.Env, "DKMS_DIRECTIVE=MAKE=x=y", "DKMS_DIRECTIVE_a=POST_ADD=with blank", "DKMS_DIRECTIVE_b=PATH=/nowhere")
	path := filepath.Join(l.Dir, "dkms.conf")
	writeFile(t, path, named+"MAKE=make\n")
	m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := m.MakeCommand(t.Context(), "6.1"); got != "x" || m.PostAdd != "" {
		t.Errorf("MakeCommand() = %q, PostAdd = %q, want x and nothing", got, m.PostAdd)
	}
}

// counting counts how many processes are started.
type counting struct {
	runner  proc.Runner
	started atomic.Int32
}

func (c *counting) Run(ctx context.Context, cmd proc.Cmd) error {
	c.started.Add(1)
	return c.runner.Run(ctx, cmd)
}

// TestRemembered: what has been evaluated is not evaluated again, until one of its inputs changes.
func TestRemembered(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	runner := &counting{runner: l.Runner}
	l.Runner = runner
	path := filepath.Join(l.Dir, "dkms.conf")
	writeFile(t, path, named+"MAKE=$(echo make)\n")
	src := conf.Source{Path: path, Name: "example", Version: "1.0"}
	modules := make([]*conf.Module, 8)
	var g errgroup.Group
	for i := range modules {
		g.Go(func() error {
			var err error
			modules[i], err = l.Module(t.Context(), src, target("6.1"))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := runner.started.Load(); n != 1 || slices.ContainsFunc(modules, func(m *conf.Module) bool { return m != modules[0] }) {
		t.Errorf("8 times Module() started %d processes and gave %p, want one of each", n, modules)
	}
	for i, change := range []func(){
		func() { src.Version = "1.1" },
		func() { writeFile(t, path, named+"MAKE=$(echo other)\n") },
	} {
		change()
		m, err := l.Module(t.Context(), src, target("6.1"))
		if n := runner.started.Load(); m == modules[0] || err != nil || n != int32(i+2) {
			t.Errorf("Module() after change %d = %p, %v with %d processes, want a new one with %d", i, m, err, n, i+2)
		}
	}
	if m, err := l.Module(t.Context(), src, target("6.2")); m == modules[0] || err != nil {
		t.Errorf("Module() for another kernel = %p, %v, want a new one", m, err)
	}
}

// TestNotRemembered: an evaluation that failed is tried again.
func TestNotRemembered(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	path := filepath.Join(l.Dir, "dkms.conf")
	writeFile(t, path, named+"MAKE=$(echo make)\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Module(ctx, conf.Source{Path: path}, target("6.1")); err == nil {
		t.Error("Module() with a cancelled context = nil, want an error")
	}
	if _, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1")); err != nil {
		t.Errorf("Module() after a cancelled one = %v", err)
	}
}

// locked is a buffer that child processes and the test may use at once.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestStderr: what files print on stderr and what bash says about them is passed on, what they print on stdout is not.
func TestStderr(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, conf string
		want       []string // parts of stderr, in order
		make       string
	}{
		{"printed", "echo out; echo err >&2\nMAKE=make\n", []string{"err\n"}, "make"},
		{"syntax error", "MAKE=make\nif then\nMAKE=other\n", []string{"dkms.conf: line 2: syntax error"}, "make"},
		{"exit", "MAKE=make\necho bye >&2\nexit 3\n", []string{"bye\n"}, ""},
		{"command not found", "nosuchcommand\nMAKE=make\n", []string{"dkms.conf: line 1: nosuchcommand: command not found"}, "make"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := hostLoader(t)
			var stderr locked
			l.Stderr = &stderr
			path := filepath.Join(l.Dir, "dkms.conf")
			writeFile(t, path, tt.conf)
			m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
			if err != nil {
				t.Fatal(err)
			}
			if got, _, _ := m.MakeCommand(t.Context(), "6.1"); got != tt.make {
				t.Errorf("MakeCommand() = %q, want %q", got, tt.make)
			}
			rest := stderr.b.String()
			for _, part := range tt.want {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Errorf("stderr = %q, want it to have %q", stderr.b.String(), part)
				}
				rest = after
			}
			if strings.Contains(stderr.b.String(), "out\n") {
				t.Errorf("stderr = %q, want no stdout in it", stderr.b.String())
			}
		})
	}
}

// TestConfined: a file cannot change anything, whatever it tries.
func TestConfined(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	path := filepath.Join(l.Dir, "dkms.conf")
	touched := filepath.Join(l.Dir, "touched")
	writeFile(t, path, "PACKAGE_NAME=confined\n: >"+touched+"\nchmod 777 "+l.Dir+"\nMAKE='$(: >"+touched+")'\n")
	m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
	if err != nil || m.Name != "confined" {
		t.Fatalf("Module() = %+v, %v, want one named confined", m, err)
	}
	if _, err := os.Stat(touched); !os.IsNotExist(err) {
		t.Errorf("the file could write: Stat(touched) = %v, want it missing", err)
	}
	if info, err := os.Stat(l.Dir); err != nil || info.Mode().Perm() == 0o777 && os.Geteuid() == 0 {
		t.Errorf("the file could change permissions: %v, %v", info.Mode(), err)
	}
}

// TestSecretFile: a file that only its owner may read is evaluated by bash all the same.
func TestSecretFile(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	path := filepath.Join(l.Dir, "dkms.conf")
	writeFile(t, path, "PACKAGE_NAME=$(echo secret)\n")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(l.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
	if err != nil || m.Name != "secret" {
		t.Errorf("Module() = %+v, %v, want one named secret", m, err)
	}
}

// TestTooMuch: a file cannot fill the memory with its variables.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	path := filepath.Join(l.Dir, "dkms.conf")
	writeFile(t, path, "printf -v long %02000d 1\nfor i in {0..2500}; do MAKE[i]=$long; done\n")
	if _, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1")); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("Module() with 5 MB of MAKE = %v, want an error", err)
	}
}

// difference: quotes in values
// TestBrokenQuotes has values that upstream loses in its second evaluation, and runs in part. They are kept as they are.
func TestBrokenQuotes(t *testing.T) {
	t.Parallel()
	tests := []struct{ conf, want string }{
		{`MAKE='make A="b c"'`, `make A="b c"`},
		{`MAKE='make  A="b   c"  d'`, `make A="b c" d`},
		{`MAKE='make "; touch x; "'`, `make "; touch x; "`},
		{`MAKE='say "a" && say "b"'`, `say a && say b`},
		{`MAKE='make 5"'`, `make 5"`},
		{`MAKE='make \'`, `make \`},
		{`MAKE='make \' A="b c"`, `make \`},
		{"MAKE='make `echo'", "make `echo"},
		{`MAKE='make $(echo'`, `make $(echo`},
		{`MAKE='make ${bad name}'`, `make ${bad name}`},
		{`MAKE='make "a"b"c"'`, `make abc`},
		{`MAKE='make "a"$kernelver"c"'`, `make a6.1c`},
	}
	for _, tt := range tests {
		l := hostLoader(t)
		path := filepath.Join(l.Dir, "dkms.conf")
		writeFile(t, path, tt.conf+"\n")
		m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := m.MakeCommand(t.Context(), "6.1"); got != tt.want {
			t.Errorf("%s gives %q, want %q", tt.conf, got, tt.want)
		}
	}
}
