package conf_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// refuse is a runner without programs.
type refuse struct{}

func (refuse) Run(_ context.Context, c proc.Cmd) error { return &proc.NotFoundError{Name: c.Args[0]} }

func addFixtures(f *testing.F) {
	for _, name := range fixtures(f) {
		data, err := os.ReadFile(fixture(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// FuzzModule gives any text as dkms.conf: nothing panics, and a Module comes with exactly those files that are plain.
func FuzzModule(f *testing.F) {
	addFixtures(f)
	dir := f.TempDir()
	root, err := sysroot.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, "dkms.conf"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		l := &conf.Loader{Root: root, Runner: refuse{}, Vars: treeVars()}
		src := conf.Source{Path: "/dkms.conf", Name: "fuzz", Version: "1"}
		m, err := l.Module(t.Context(), src, target("6.1.0"))
		_, plain, _ := l.Evaluate(t.Context(), conf.InProcess, src, target("6.1.0"))
		if plain != (err == nil) || plain != (m != nil) {
			t.Fatalf("Module(%q) = %v, %v, want a module iff plain, which is %v", data, m, err, plain)
		}
		if m == nil {
			return
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range m.Check(true) {
			if p.File != "/dkms.conf" || p.Line < 1 || p.Line > lines || len(p.Lines) == 0 || p.Hint == "" {
				t.Errorf("Check(%q) has %+v, want file, line and hint", data, p)
			}
		}
		buildable, err := m.Buildable(t.Context(), target("6.1.0"))
		if err == nil && len(buildable) < len(m.Records) && !m.HasExclusive() {
			t.Errorf("Buildable(%q) = %v of %d records, want all without BUILD_EXCLUSIVE", data, buildable, len(m.Records))
		}
		if _, err := m.PatchesFor(t.Context(), "6.1.0"); err == nil {
			if cmd, ok, err := m.MakeCommand(t.Context(), "6.1.0"); err == nil && ok != (cmd != "") {
				t.Errorf("MakeCommand(%q) = %q, %v", data, cmd, ok)
			}
		}
	})
}

// fromTokens turns bytes above 0x7f into pieces of shell, so that random input looks more like a dkms.conf.
func fromTokens(data []byte) string {
	tokens := []string{
		"MAKE", "PACKAGE_NAME", "PATCH", "x", "BUILT_MODULE_NAME", "[0]", "[1]", "[12]", "=", "+=", "=\"", "\"\n", "='", "'\n",
		"=(", ")\n", "\n", " ", "\t", "\\", "\"", "'", "$", "${", "}", "$x", "${x}", "${MAKE[1]}", "$PACKAGE_NAME", "$kernelver",
		"a", "b.c", "*.c", "?", "[", "]", "~", "#", "# c\n", ";", "\\\n", "\\\"", "\\$", "\\\\", "$(", "`", "!", "{a,b}", "&", "|",
		"(", ")", ":", "/", "%", "^", "-", "@", ",", "1", "007", "0x1", "<", ">", "  ", "$@", "$1", "$$", "$?", "$'", "$\"", "#x",
		"x=1\n", "=$kernelver", "${x:-y}", "export ", "IFS=:", "PATH", "=a\\ b", "é",
	}
	var b strings.Builder
	for _, c := range data {
		if c < 0x80 {
			b.WriteByte(c)
		} else {
			b.WriteString(tokens[int(c-0x80)%len(tokens)])
		}
	}
	return b.String()
}

// FuzzStaticEqualsBash gives any text as dkms.conf: what is evaluated in process has the values that bash gives it.
func FuzzStaticEqualsBash(f *testing.F) {
	addFixtures(f)
	f.Add([]byte("\x80\x89a b\\ c\x8b\x81\x8c$x\x8d"))
	dir := f.TempDir()
	for _, name := range []string{"a.c", "b.c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	path := filepath.Join(dir, "dkms.conf")
	f.Fuzz(func(t *testing.T, data []byte) {
		text := fromTokens(data)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		l := hostLoader(t)
		l.Dir = dir
		src := conf.Source{Path: path}
		got, ok, err := l.Evaluate(t.Context(), conf.InProcess, src, target("6.1.0"))
		if err != nil || !ok {
			return
		}
		want, _, err := l.Evaluate(t.Context(), conf.InBash, src, target("6.1.0"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Evaluate(InProcess, %q) differs from bash (-bash +got):\n%s", text, diff)
		}
	})
}

// FuzzFramework gives any text as framework.conf: nothing panics, no plain file needs a process, and the directories that
// everything happens in are never empty without the file saying so.
func FuzzFramework(f *testing.F) {
	for _, text := range []string{
		"", "dkms_tree=/srv/dkms\n", "sign_file=\"/usr/lib/linux-kbuild-${kernelver%.*}/scripts/sign-file\"\n",
		"# nothing\nparallel_jobs=1\nverbose=\"1\"\n", "post_transaction='echo $kernelver'\n", "symlink_modules=\nsource_tree=$install_tree\n",
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	root, err := sysroot.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	file := filepath.Join(dir, "etc/dkms/framework.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		l := &conf.Loader{Root: root, Runner: refuse{}}
		fw, err := l.Framework(t.Context(), "6.1.0")
		if (fw == nil) != (err != nil) {
			t.Fatalf("Framework(%q) = %v, %v, want one of them", data, fw, err)
		}
		if fw != nil && fw.DKMSTree == "" && !strings.Contains(string(data), "dkms_tree") {
			t.Errorf("Framework(%q) has no dkms_tree", data)
		}
		again, err := l.Framework(t.Context(), "6.1.0")
		if err == nil && again != fw {
			t.Errorf("Framework(%q) is evaluated twice", data)
		}
	})
}

// FuzzOSRelease gives any text as os-release: nothing panics, and what is evaluated in process is what bash says.
func FuzzOSRelease(f *testing.F) {
	for _, d := range distributions() {
		f.Add([]byte(d.text))
	}
	path := filepath.Join(f.TempDir(), "os-release")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		l := hostLoader(t)
		got, ok, err := l.EvaluateOSRelease(t.Context(), conf.InProcess, path)
		if err != nil || !ok {
			return
		}
		want, _, err := l.EvaluateOSRelease(t.Context(), conf.InBash, path)
		if got != want || err != nil {
			t.Errorf("Distribution(%q) = %q, want %q as bash says (%v)", data, got, want, err)
		}
	})
}
