package kbuild_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"dkms-go/build/kbuild"
)

func TestEcho(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "plain", `end\`, `a\\b`, `tab\tnewline\nreturn\r`, `bell\a\b\f\v`, `esc\e[0m\E`, `stop\chere`,
		`oct\0101 \01 \0 \08 \0777x`, `no octal \101 \7`, `hex\x41 \x4 \xg \x`, `uni\u00e9 \u \U1F600 \u263a!`, `other\q\"\'\?`, `ä\ö`,
		"-n", "-e x", "new\nline",
	} {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", `echo -e "# command: $1"`, "bash", text)
		cmd.Env = []string{"LC_ALL=C.UTF-8"}
		want, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := kbuild.Echo("# command: " + text); got != string(want) {
			t.Errorf("echo(%q) = %q, want %q as bash prints it", text, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{0, 1, 59, 60, 3599, 3600, 36061, 86399, 86400, 90061} {
		out, err := exec.CommandContext(t.Context(), "date", "-u", "-d", fmt.Sprintf("0 %d sec - 0 sec", seconds), "+%T").Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := kbuild.Clock(seconds), strings.TrimSpace(string(out)); got != want {
			t.Errorf("clock(%d) = %q, want %q", seconds, got, want)
		}
	}
}

// The second line of the log is what date(1) prints, and elapsed time comes
// from the clock.
func TestLogTimes(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "CET-1"} {
		for _, start := range []int64{1793670308, 1795398308} { // a day of one digit, one of two
			s := newSite(t, "times", map[string]string{
				"dkms.conf": "PACKAGE_NAME=times\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=hello\nDEST_MODULE_LOCATION=/updates\n",
				"hello.c":   "",
			})
			location := time.UTC
			if zone != "UTC" {
				location = time.FixedZone("CET", 3600)
			}
			now := time.Unix(start, 0).In(location)
			s.job.Now = func() time.Time { defer func() { now = now.Add(3725 * time.Second) }(); return now }
			if _, err := kbuild.Build(t.Context(), s.job); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "date", "-d", fmt.Sprintf("@%d", start))
			cmd.Env = []string{"LC_ALL=C", "TZ=" + zone}
			want, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(s.log(t), "\n")
			if lines[1] != string(want) {
				t.Errorf("date line = %q, want %q", lines[1], want)
			}
			if !strings.Contains(s.log(t), "# elapsed time: 01:02:05\n") {
				t.Errorf("log without the elapsed time 01:02:05:\n%s", s.log(t))
			}
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	many := func(format string, from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, format+"\n", i)
		}
		return b.String()
	}
	for _, test := range []struct{ name, output, want string }{
		{"nothing", "", ""},
		{"the last lines", many("line %d", 0, 30), many("line %d", 20, 30)},
		{
			"from the first error on", many("  CC %d", 0, 30) + "a.c:1:2: error: no\n" + many("after %d", 0, 30),
			"a.c:1:2: error: no\n" + many("after %d", 0, 9),
		},
		{
			"modpost", "  MODPOST\nERROR: modpost: \"x\" [a.ko] undefined!\nmake[2]: *** [Makefile.modpost:126: Module.symvers] Error 1\n",
			"ERROR: modpost: \"x\" [a.ko] undefined!\nmake[2]: *** [Makefile.modpost:126: Module.symvers] Error 1\n",
		},
		{"without directories and empty lines", "make[1]: Entering directory '/usr/src/x'\r\n\none\n \nmake: Leaving directory '/x'\ntwo", "one\ntwo\n"},
	} {
		if got := kbuild.Tail(test.output); got != strings.TrimSuffix(test.want, "\n") {
			t.Errorf("%s: tail = %q, want %q", test.name, got, test.want)
		}
	}
}
