package conf_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
)

// load evaluates a plain dkms.conf.
func load(t testing.TB, text string) *conf.Module {
	t.Helper()
	l := &conf.Loader{Root: write(t, map[string]string{"src/dkms.conf": text}), Runner: noProcess{t}, Vars: treeVars()}
	m, err := l.Module(t.Context(), conf.Source{Path: "/src/dkms.conf"}, target("6.1.0-56-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const named = "PACKAGE_NAME=\"example\"\nPACKAGE_VERSION=\"1.0\"\n"

// TestCheck has the texts and the order of upstream's test suite, section "malformed/borderline dkms.conf", and more.
func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		conf   string
		want   []string // one line for each Problem: line number, text lines joined by " / "
		strict []string // what strict adds
	}{
		{
			name: "empty",
			conf: "",
			want: []string{
				"1 No 'PACKAGE_NAME' directive specified.",
				"1 No 'PACKAGE_VERSION' directive specified.",
			},
		},
		{
			name: "invalid values",
			conf: named + `DEST_MODULE_NAME[0]="bar.ko"
DEST_MODULE_LOCATION="/wrong/path"
BUILT_MODULE_NAME[1]="bar.o"
DEST_MODULE_NAME[1]="foo"
AUTOINSTALL="maybe"
`,
			want: []string{
				"1 No 'BUILT_MODULE_NAME' directive specified for record #0.",
				"3 'DEST_MODULE_NAME' directive ends in '.o' or '.ko' in record #0.",
				"4 Directive 'DEST_MODULE_LOCATION' does not begin with / '/kernel', '/updates', or '/extra' in record #0.",
				"5 'BUILT_MODULE_NAME' directive ends in '.o' or '.ko' in record #1.",
				"1 No 'DEST_MODULE_LOCATION' directive specified for record #1.",
				"7 Unsupported AUTOINSTALL value 'maybe'",
			},
		},
		{
			name: "sparse arrays",
			conf: named + `BUILT_MODULE_NAME[1]="one"
DEST_MODULE_LOCATION[1]="/kernel/extra"
BUILT_MODULE_NAME[3]="three"
DEST_MODULE_LOCATION[3]="/kernel/extra"
DEST_MODULE_LOCATION[4]="/oops"
`,
			want: []string{
				"1 No 'BUILT_MODULE_NAME' directive specified for record #0.",
				"1 No 'DEST_MODULE_LOCATION' directive specified for record #0.",
				"1 No 'BUILT_MODULE_NAME' directive specified for record #2.",
				"1 No 'DEST_MODULE_LOCATION' directive specified for record #2.",
				"1 No 'BUILT_MODULE_NAME' directive specified for record #4.",
				"7 Directive 'DEST_MODULE_LOCATION' does not begin with / '/kernel', '/updates', or '/extra' in record #4.",
			},
		},
		{
			// difference: names
			name: "paths that lead elsewhere",
			conf: named + `BUILT_MODULE_NAME=(a b c ../d e f g ../h)
DEST_MODULE_NAME=(../../a "b*" c d .e dir/f g)
BUILT_MODULE_LOCATION[2]=sub/../../
BUILT_MODULE_LOCATION[6]=sub/../other
DEST_MODULE_LOCATION=(/extra /extra /extra /extra /updates/../../../etc /extra /updates/../kernel /extra)
`,
			want: []string{
				"4 'DEST_MODULE_NAME' directive is no name of a file in record #0.",
				"4 'DEST_MODULE_NAME' directive is no name of a file in record #1.",
				"5 'BUILT_MODULE_LOCATION' directive leads out of the source in record #2.",
				"1 'BUILT_MODULE_LOCATION' directive leads out of the source in record #3.",
				"4 'DEST_MODULE_NAME' directive is no name of a file in record #4.",
				"7 Directive 'DEST_MODULE_LOCATION' does not begin with / '/kernel', '/updates', or '/extra' in record #4.",
				"4 'DEST_MODULE_NAME' directive is no name of a file in record #5.",
				"3 'BUILT_MODULE_NAME' directive is no name of a file in record #7.",
			},
		},
		{
			name: "a package name that is none, and the module has it",
			conf: "PACKAGE_NAME=../x\nPACKAGE_VERSION=1\nDEST_MODULE_LOCATION=/extra\n",
			want: []string{"1 'PACKAGE_NAME' directive is no name of a file in record #0."},
		},
		{
			name:   "zero modules",
			conf:   named + "AUTOINSTALL=yes\n",
			strict: []string{"1 warning: Zero modules specified."},
		},
		{
			name: "built name from the package name",
			conf: named + `DEST_MODULE_LOCATION[0]="/updates-dkms-test"` + "\n",
		},
		{
			name: "the same module twice",
			conf: named + `BUILT_MODULE_NAME[0]="twice"
DEST_MODULE_LOCATION[0]="/kernel/extra"
BUILT_MODULE_NAME[1]="twice"
DEST_MODULE_LOCATION[1]="/kernel/extra"
`,
			strict: []string{
				"5 Duplicate module 'twice' in 'BUILT_MODULE_NAME[1]'.",
				"1 Duplicate module 'twice' in 'DEST_MODULE_NAME[1]'.",
			},
		},
		{
			name: "the same built module twice",
			conf: named + `BUILT_MODULE_NAME=(twice twice twice)
BUILT_MODULE_LOCATION=(a a/ b)
DEST_MODULE_NAME=(one two three)
DEST_MODULE_LOCATION=(/extra /extra /extra)
`,
			strict: []string{"3 Duplicate module 'a/twice' in 'BUILT_MODULE_NAME[1]'."},
		},
		{
			name:   "the same destination twice",
			conf:   named + "BUILT_MODULE_NAME=(one two)\nDEST_MODULE_NAME=(same same)\nDEST_MODULE_LOCATION=(/extra /extra)\n",
			strict: []string{"4 Duplicate module 'same' in 'DEST_MODULE_NAME[1]'."},
		},
		{
			name: "strict looks no further than an error",
			conf: "PACKAGE_NAME=example\n",
			want: []string{"1 No 'PACKAGE_VERSION' directive specified."},
		},
		{
			name: "built name ends in .ko and is the destination too",
			conf: named + "BUILT_MODULE_NAME=example.ko\nDEST_MODULE_LOCATION=/extra\n",
			want: []string{
				"3 'BUILT_MODULE_NAME' directive ends in '.o' or '.ko' in record #0.",
				"3 'DEST_MODULE_NAME' directive ends in '.o' or '.ko' in record #0.",
			},
		},
		{
			name: "yes and no in any case",
			conf: named + "AUTOINSTALL=yEs\nNO_WEAK_MODULES=nO\nBUILD_DEPENDS_REBUILD=\nBUILT_MODULE_NAME=example\nDEST_MODULE_LOCATION=/kernelx\n",
		},
		{
			name: "neither yes nor no, in upstream's order",
			conf: named + "NO_WEAK_MODULES=1\nBUILD_DEPENDS_REBUILD=true\nAUTOINSTALL=y\nBUILT_MODULE_NAME=example\nDEST_MODULE_LOCATION=/extra\n",
			want: []string{
				"5 Unsupported AUTOINSTALL value 'y'",
				"4 Unsupported BUILD_DEPENDS_REBUILD value 'true'",
				"3 Unsupported NO_WEAK_MODULES value '1'",
			},
		},
		{
			name: "upstream's own arrays are too long",
			conf: named + "BUILT_MODULE_NAME=example\nDEST_MODULE_LOCATION=/extra\ndest_module_name[1]=x\nbuilt_module_name[0]=y\n",
			want: []string{"5 Module name/location array length mismatch."},
		},
		{
			name: "an index beyond all reason",
			conf: named + "BUILT_MODULE_NAME=example\nDEST_MODULE_LOCATION=/extra\nDEST_MODULE_NAME[999999]=x\n",
			want: []string{"1 Module name/location array length mismatch."},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := load(t, tt.conf)
			if diff := cmp.Diff(tt.want, summary(t, m.Check(false))); diff != "" {
				t.Errorf("Check(false) mismatch (-want +got):\n%s", diff)
			}
			want := append(append([]string(nil), tt.want...), tt.strict...)
			if diff := cmp.Diff(want, summary(t, m.Check(true))); diff != "" {
				t.Errorf("Check(true) mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

func summary(t *testing.T, problems []conf.Problem) []string {
	t.Helper()
	var lines []string
	for _, p := range problems {
		text := strings.Join(p.Lines, " / ")
		if p.Warning {
			text = "warning: " + text
		}
		if p.File != "/src/dkms.conf" || p.Hint == "" {
			t.Errorf("Problem %q has File %q and Hint %q, want the dkms.conf and a hint", text, p.File, p.Hint)
		}
		lines = append(lines, strings.Join([]string{strconv.Itoa(p.Line), text}, " "))
	}
	return lines
}

// TestCheckHint: hints are lines to be copied.
func TestCheckHint(t *testing.T) {
	t.Parallel()
	m := load(t, named+"BUILT_MODULE_NAME[0]=lamp.ko\nDEST_MODULE_NAME[0]=light\nDEST_MODULE_LOCATION[0]=/lib\n")
	var hints []string
	for _, p := range m.Check(true) {
		hints = append(hints, p.Hint)
	}
	want := []string{`write BUILT_MODULE_NAME[0]="lamp"`, `write DEST_MODULE_LOCATION[0]="/updates/dkms"`}
	if diff := cmp.Diff(want, hints); diff != "" {
		t.Errorf("Check(true) hints mismatch (-want +got):\n%s", diff)
	}
}

// TestProblemInOverride: a problem points at the file that has the assignment.
func TestProblemInOverride(t *testing.T) {
	t.Parallel()
	l := &conf.Loader{Runner: noProcess{t}, Root: write(t, map[string]string{
		"src/dkms.conf":         named + "BUILT_MODULE_NAME=example\nDEST_MODULE_LOCATION=/extra\nAUTOINSTALL=yes\n",
		"etc/dkms/example.conf": "# ours\n\nAUTOINSTALL=perhaps\n",
	})}
	m, err := l.Module(t.Context(), conf.Source{Path: "/src/dkms.conf", Name: "example", Version: "1.0"}, target("6.1"))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Check(false)
	want := []conf.Problem{{
		File: "/etc/dkms/example.conf", Line: 3, Lines: []string{"Unsupported AUTOINSTALL value 'perhaps'"},
		Hint: "write AUTOINSTALL=yes or AUTOINSTALL=no",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Check(false) mismatch (-want +got):\n%s", diff)
	}
}
