package conf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dkms-go/conf"
)

func TestModule(t *testing.T) {
	t.Parallel()
	got := load(t, `PACKAGE_NAME="example"
PACKAGE_VERSION="1.0"
BUILT_MODULE_NAME[0]="lamp"
BUILT_MODULE_LOCATION[0]="src"
DEST_MODULE_NAME[0]="light"
DEST_MODULE_LOCATION[0]="/kernel/drivers/leds"
BUILT_MODULE_NAME[1]="shade"
BUILT_MODULE_LOCATION[1]="src/"
DEST_MODULE_LOCATION[1]="/extra"
STRIP[1]=no
MAKE="make KVER=$kernelver"
MAKE[1]="make old"
MAKE_MATCH[1]="^2"
PATCH=(one.patch two.patch)
PATCH_MATCH[1]="^6"
PRE_BUILD="pre.sh a"
POST_BUILD="post.sh"
PRE_INSTALL="pi.sh"
POST_INSTALL="poi.sh"
POST_ADD="pa.sh"
POST_REMOVE="pr.sh"
AUTOINSTALL="YES"
NO_WEAK_MODULES="no"
BUILD_DEPENDS=(a "" "b c")
BUILD_DEPENDS_REBUILD=yes
OBSOLETE_BY="99.0"
CLEAN="make clean"
`)
	want := &conf.Module{
		Path: "/src/dkms.conf", Files: []string{"/src/dkms.conf"}, Name: "example", Version: "1.0",
		Records: []conf.Record{
			{BuiltName: "lamp", BuiltLocation: "src/", DestName: "light", DestLocation: "/kernel/drivers/leds", Strip: true},
			{BuiltName: "shade", BuiltLocation: "src/", DestName: "shade", DestLocation: "/extra"},
		},
		Make:     []conf.MakeRule{{Command: "make KVER=6.1.0-56-amd64"}, {Index: 1, Command: "make old", Match: "^2"}},
		Patches:  []conf.PatchRule{{File: "one.patch"}, {Index: 1, File: "two.patch", Match: "^6"}},
		PreBuild: "pre.sh a", PostBuild: "post.sh", PreInstall: "pi.sh", PostInstall: "poi.sh", PostAdd: "pa.sh", PostRemove: "pr.sh",
		Autoinstall: true, BuildDepends: []string{"a", "b c"}, BuildDependsRebuild: true, ObsoleteBy: "99.0",
		Deprecated: []conf.Deprecation{
			{Name: "CLEAN", File: "/src/dkms.conf", Line: 27},
			{Name: "OBSOLETE_BY", File: "/src/dkms.conf", Line: 26, Hint: "use BUILD_EXCLUSIVE_KERNEL_MAX instead"},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(conf.Module{})); diff != "" {
		t.Errorf("Module() mismatch (-want +got):\n%s", diff)
	}
}

// TestStrip follows upstream's case statement over STRIP: the first letter counts, an empty one is taken from the first
// record, any other text changes nothing.
func TestStrip(t *testing.T) {
	t.Parallel()
	tests := []struct {
		strip string
		want  []bool
	}{
		{"", []bool{true, true, true}},
		{"STRIP=no\n", []bool{false, false, false}},
		{"STRIP[0]=Never\nSTRIP[1]=y\n", []bool{false, true, false}},
		{"STRIP[1]=n\n", []bool{true, false, true}},
		{"STRIP[0]=maybe\nSTRIP[1]=no\n", []bool{true, false, true}},
		{"STRIP[0]=no\nSTRIP[1]=maybe\n", []bool{false, true, false}},
		{"strip[2]=no\n", []bool{true, true, true}},
		{"strip[0]=no\n", []bool{false, false, false}},
		{"strip[2]=no\nSTRIP[2]=maybe\n", []bool{true, true, false}},
	}
	for _, tt := range tests {
		m := load(t, named+"BUILT_MODULE_NAME=(a b c)\nDEST_MODULE_LOCATION=(/extra /extra /extra)\n"+tt.strip)
		var got []bool
		for _, r := range m.Records {
			got = append(got, r.Strip)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Strip with %q mismatch (-want +got):\n%s", tt.strip, diff)
		}
	}
}

func TestMakeCommand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, conf, kernel string
		want               string
		ok                 bool
	}{
		{"none", "", "6.1", "", false},
		{"scalar", "MAKE=all\n", "6.1", "all", true},
		{"last match wins", "MAKE=(a b c)\nMAKE_MATCH=([0]= x)\nMAKE_MATCH[1]=^6\nMAKE_MATCH[2]=1$\n", "6.1", "c", true},
		{"default stays", "MAKE=(a b)\nMAKE_MATCH[1]=^5\n", "6.1", "a", true},
		// difference: MAKE of another module
		{"first has a match that fails", "MAKE=(a b)\nMAKE_MATCH[0]=^5\nMAKE_MATCH[1]=^4\n", "6.1", "", false},
		{"first has a match that fits", "MAKE=(a b)\nMAKE_MATCH[0]=^6\nMAKE_MATCH[1]=^4\n", "6.1", "a", true},
		{"no match, no default", "MAKE[1]=b\n", "6.1", "", false},
		{"tail of a sparse array is lost", "MAKE[0]=a\nMAKE[3]=d\nMAKE_MATCH[3]=.\n", "6.1", "a", true},
		{"invalid pattern", "MAKE=(a b)\nMAKE_MATCH[1]='('\n", "6.1", "a", true},
		{"pattern of the C library", "MAKE=(a b)\nMAKE_MATCH[1]='\\<rt\\>'\n", "6.12.9-rt-arm64", "b", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := hostLoader(t)
			path := l.Dir + "/dkms.conf"
			writeFile(t, path, tt.conf)
			m, err := l.Module(t.Context(), conf.Source{Path: path}, target(tt.kernel))
			if err != nil {
				t.Fatal(err)
			}
			got, ok, err := m.MakeCommand(t.Context(), tt.kernel)
			if got != tt.want || ok != tt.ok || err != nil {
				t.Errorf("MakeCommand(%q) of %q = %q, %v, %v, want %q, %v", tt.kernel, tt.conf, got, ok, err, tt.want, tt.ok)
			}
		})
	}
}

func TestPatchesFor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		conf string
		want []string
	}{
		{"", nil},
		{"PATCH=one\n", []string{"one"}},
		{"PATCH=(one two three)\nPATCH_MATCH[0]=^5\nPATCH_MATCH[2]=^6\n", []string{"two", "three"}},
		{"PATCH=(one \"\" three)\n", []string{"one", "three"}},
		{"PATCH=(one two)\nPATCH_MATCH[0]='['\n", []string{"two"}},
		{"PATCH[0]=one\nPATCH[4]=lost\n", []string{"one"}},
		{"PATCH=(one)\npatch_array=(x y)\n", []string{"one", "y"}},
	}
	for _, tt := range tests {
		l := hostLoader(t)
		path := l.Dir + "/dkms.conf"
		writeFile(t, path, tt.conf)
		m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.PatchesFor(t.Context(), "6.1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("PatchesFor(6.1) of %q mismatch (-want +got):\n%s", tt.conf, diff)
		}
	}
}

// TestDeprecated: after every file, what is set by then; CLEAN may do nothing.
func TestDeprecated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base, override string
		want           []conf.Deprecation
	}{
		{"CLEAN=true\n", "", nil},
		{"CLEAN=/bin/true\n", "", nil},
		{"CLEAN=/usr/bin/true\n", "", nil},
		{"CLEAN=\n", "", []conf.Deprecation{{Name: "CLEAN", File: "/src/dkms.conf", Line: 1}}},
		{
			"OBSOLETE_BY=99.0\nMODULES_CONF[3]=x\n", "", []conf.Deprecation{
				{Name: "MODULES_CONF", File: "/src/dkms.conf", Line: 2},
				{Name: "OBSOLETE_BY", File: "/src/dkms.conf", Line: 1, Hint: "use BUILD_EXCLUSIVE_KERNEL_MAX instead"},
			},
		},
		{
			"REMAKE_INITRD=yes\n", "# two\nCLEAN=x\n", []conf.Deprecation{
				{Name: "REMAKE_INITRD", File: "/src/dkms.conf", Line: 1},
				{Name: "CLEAN", File: "/etc/dkms/example.conf", Line: 2},
				{Name: "REMAKE_INITRD", File: "/etc/dkms/example.conf", Line: 1},
			},
		},
	}
	for _, tt := range tests {
		files := map[string]string{"src/dkms.conf": tt.base}
		if tt.override != "" {
			files["etc/dkms/example.conf"] = tt.override
		}
		l := &conf.Loader{Root: write(t, files), Runner: noProcess{t}}
		m, err := l.Module(t.Context(), conf.Source{Path: "/src/dkms.conf", Name: "example", Version: "1.0"}, target("6.1"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, m.Deprecated); diff != "" {
			t.Errorf("Deprecated of %q and %q mismatch (-want +got):\n%s", tt.base, tt.override, diff)
		}
	}
}

func TestModuleMissing(t *testing.T) {
	t.Parallel()
	l := &conf.Loader{Root: write(t, nil), Runner: noProcess{t}}
	_, err := l.Module(t.Context(), conf.Source{Path: "/src/dkms.conf"}, target("6.1"))
	var missing *conf.MissingError
	if !errors.As(err, &missing) || missing.Path != "/src/dkms.conf" || !strings.Contains(err.Error(), "/src/dkms.conf") {
		t.Errorf("Module() without a dkms.conf = %v, want *MissingError", err)
	}
}
