package conf_test

import (
	"os"
	"path/filepath"
	"testing"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
)

// A snapshot sees a file as it was when it was first asked for; the loader that it was made of sees it as it is.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := &conf.Loader{Root: root, Runner: refuse{}, Vars: treeVars()}
	now := l.Snapshot()
	nameFor := func(l *conf.Loader, kernel string) string {
		t.Helper()
		m, err := l.Module(t.Context(), conf.Source{Path: "/dkms.conf", Name: "m", Version: "1"}, target(kernel))
		if err != nil {
			t.Fatal(err)
		}
		return m.Name
	}
	write("dkms.conf", "PACKAGE_NAME=first-$kernelver\n")
	if got := nameFor(now, "1"); got != "first-1" {
		t.Fatalf("name = %q, want first-1", got)
	}
	write("dkms.conf", "PACKAGE_NAME=second-$kernelver\n")
	write("etc/dkms/m.conf", "PACKAGE_NAME=third-$kernelver\n")
	for _, tt := range []struct {
		what string
		l    *conf.Loader
		want string
	}{
		{"the snapshot, for another kernel", now, "first-2"},
		{"the loader", l, "third-2"},
		{"a new snapshot", l.Snapshot(), "third-2"},
	} {
		if got := nameFor(tt.l, "2"); got != tt.want {
			t.Errorf("%s: name = %q, want %q", tt.what, got, tt.want)
		}
	}
}
