package kmod_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kmod"
)

func modinfoOnly(t *testing.T, text string) *kmod.Object {
	t.Helper()
	f := newELF64()
	f.sections[0].data = []byte(text)
	o, err := kmod.Parse(f.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		modinfo  string
		want     kmod.Version
		identity string
	}{
		{"license=GPL\x00", kmod.Version{}, ""},
		{"version=1.0\x00srcversion=ABC\x00", kmod.Version{Version: "1.0", SrcVersion: "ABC"}, "ABC"},
		{"version=1.0 0123 more\x00", kmod.Version{Version: "1.0", Checksum: "0123"}, "0123"},
		{"version=\t 1.0\t0123\x00srcversion=ABC \x00", kmod.Version{Version: "1.0", Checksum: "0123", SrcVersion: "ABC"}, "ABC"},
		{"version=1.0 0123\x00version=2.0\x00", kmod.Version{Version: "2.0"}, ""},
		{"version=\x00", kmod.Version{}, ""},
		{"version=1.0\n2.0\x00", kmod.Version{Version: "1.0"}, ""},
		{"version\x00", kmod.Version{}, ""},
	} {
		got := modinfoOnly(t, c.modinfo).Version()
		if got != c.want || got.Identity() != c.identity {
			t.Errorf("Version of %q = %+v with identity %q, want %+v with %q", c.modinfo, got, got.Identity(), c.want, c.identity)
		}
	}
}

func TestModinfo(t *testing.T) {
	t.Parallel()
	o := modinfoOnly(t, "\x00\x00a=1\x00\x00b\x00=c\x00a=2=3\x00d=")
	want := []kmod.Field{{"a", "1"}, {"b", ""}, {"", "c"}, {"a", "2=3"}, {"d", ""}}
	if d := cmp.Diff(want, o.Modinfo()); d != "" {
		t.Errorf("Modinfo (-want +got):\n%s", d)
	}
	if o.Get("a") != "1" || o.Get("none") != "" {
		t.Errorf(`Get("a") = %q, Get("none") = %q, want "1" and ""`, o.Get("a"), o.Get("none"))
	}
	if d := cmp.Diff([]string{"1", "2=3"}, o.All("a")); d != "" {
		t.Errorf("All (-want +got):\n%s", d)
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	const text = "parmtype=a:int\x00parm=b:only described\x00parm=a:how: much\x00parm=no colon\x00parmtype=c:charp\x00parm=d:\x00parmtype=d:bool\x00"
	o := modinfoOnly(t, text)
	want := []string{"a int how: much", "b  only described", "c charp ", "d bool "}
	var got []string
	for _, p := range o.Params() {
		got = append(got, p.Name+" "+p.Type+" "+p.Description)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Params (-want +got):\n%s", d)
	}
	f := newELF64()
	f.sections[0].data = []byte("name=test\x00" + text)
	path := writeFile(t, t.TempDir(), "test.ko", f.bytes(t))
	checkInfo(t, path, path)
}
