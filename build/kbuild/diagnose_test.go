package kbuild_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/kbuild"
)

// The logs are those of real builds, see testdata/README.md.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	const module = "/var/lib/dkms/demo/1.0/build/demo.c"
	want := map[string]struct {
		cause   kbuild.Cause
		subject string
		first   string // line of the diagnosis
		lines   int
	}{
		"api_implicit":           {kbuild.CauseKernelAPI, "strlcpy", module + ":4:41: error: implicit declaration of function ‘strlcpy’; did you mean ‘strncpy’? [-Werror=implicit-function-declaration]", 4},
		"api_implicit_gcc14":     {kbuild.CauseKernelAPI, "strlcpy", module + ":4:41: error: implicit declaration of function ‘strlcpy’; did you mean ‘strncpy’? [-Wimplicit-function-declaration]", 4},
		"api_member":             {kbuild.CauseKernelAPI, "trans_start", module + ":4:69: error: ‘struct net_device’ has no member named ‘trans_start’", 3},
		"api_pointer":            {kbuild.CauseKernelAPI, "proc_create", module + ":5:110: error: passing argument 4 of ‘proc_create’ from incompatible pointer type [-Werror=incompatible-pointer-types]", 5},
		"api_pointer_gcc14":      {kbuild.CauseKernelAPI, "proc_create", module + ":5:110: error: passing argument 4 of ‘proc_create’ from incompatible pointer type [-Wincompatible-pointer-types]", 5},
		"api_header":             {kbuild.CauseKernelAPI, "linux/genhd.h", module + ":2:10: fatal error: linux/genhd.h: No such file or directory", 3},
		"api_quoted":             {kbuild.CauseKernelAPI, "strlcpy_gone", module + ":3:36: error: implicit declaration of function ‘strlcpy_gone’ [-Werror=implicit-function-declaration]", 3},
		"header_stdarg":          {kbuild.CauseKernelAPI, "stdarg.h", module + ":2:10: fatal error: stdarg.h: No such file or directory", 3},
		"header_of_others":       {kbuild.CauseHeaderMissing, "sys/zfs_context.h", module + ":3:10: fatal error: sys/zfs_context.h: No such file or directory", 3},
		"no_headers":             {kbuild.CauseHeadersIncomplete, "/lib/modules/9.9/build", "make: *** /lib/modules/9.9/build: No such file or directory.  Stop.", 1},
		"headers_half":           {kbuild.CauseHeadersIncomplete, "", "  ERROR: Kernel configuration is invalid.", 3},
		"undefined":              {kbuild.CauseSymbolMissing, "symbol_of_another_module", `ERROR: modpost: "symbol_of_another_module" [/var/lib/dkms/demo/1.0/build/demo.ko] undefined!`, 1},
		"gpl_only":               {kbuild.CauseLicense, "debugfs_create_dir", "ERROR: modpost: GPL-incompatible module demo.ko uses GPL-only symbol 'debugfs_create_dir'", 1},
		"own_bug":                {kbuild.CauseUnknown, "", module + ":3:25: error: expected expression before ‘}’ token", 3},
		"no_rule":                {kbuild.CauseSourceMissing, "/var/lib/dkms/demo/1.0/build/demo.o", "make[2]: *** No rule to make target '/var/lib/dkms/demo/1.0/build/demo.o', needed by '/var/lib/dkms/demo/1.0/build/'.  Stop.", 1},
		"compiler_missing":       {kbuild.CauseCompilerMissing, "x86_64-linux-gnu-gcc-12", "/bin/sh: 1: x86_64-linux-gnu-gcc-12: not found", 1},
		"compiler_missing_named": {kbuild.CauseCompilerMissing, "gcc-99", "/bin/sh: 1: gcc-99: not found", 1},
		"option":                 {kbuild.CauseCompilerMismatch, "-fno-such-option-of-a-newer-gcc", "x86_64-linux-gnu-gcc-12: error: unrecognized command-line option ‘-fno-such-option-of-a-newer-gcc’", 1},
		"tool_missing":           {kbuild.CauseToolMissing, "as", "x86_64-linux-gnu-gcc-12: fatal error: cannot execute ‘as’: execvp: No such file or directory", 1},
		"no_tool":                {kbuild.CauseToolMissing, "flexx", "bash: line 1: flexx: command not found", 1},
		"out_of_memory":          {kbuild.CauseOutOfMemory, "", "virtual memory exhausted: Cannot allocate memory", 1},
		"killed":                 {kbuild.CauseOutOfMemory, "", "gcc: fatal error: Killed signal terminated program cc1", 1},
		"disk_full":              {kbuild.CauseDiskFull, "", "/usr/src/linux-headers-6.12.117+deb12-common/scripts/module-common.c:24:1: fatal error: closing dependency file /var/lib/dkms/demo/1.0/build/..module-common.o.d: No space left on device", 3},
	}
	logs, err := filepath.Glob("testdata/failures/*.log")
	if err != nil || len(logs) != len(want) {
		t.Fatalf("%d logs, %v, want %d", len(logs), err, len(want))
	}
	for _, log := range logs {
		name := strings.TrimSuffix(filepath.Base(log), ".log")
		text := readFile(t, log)
		got := kbuild.Diagnose(strings.NewReader(text))
		w := want[name]
		if got.Cause != w.cause || got.Subject != w.subject || len(got.Lines) != w.lines || got.Lines[0] != w.first {
			t.Errorf("Diagnose(%s) = %q %q\n%s\nwant %q %q, %d lines from\n%s", name, got.Cause, got.Subject, strings.Join(got.Lines, "\n"), w.cause, w.subject, w.lines, w.first)
		}
		// The same log cut off before its end, as after a power failure.
		cut, _, _ := strings.Cut(text, "\n# exit code")
		if diff := cmp.Diff(got, kbuild.Diagnose(strings.NewReader(cut))); diff != "" {
			t.Errorf("%s without its end (-whole +cut):\n%s", name, diff)
		}
		// What commands that succeeded wrote before does not count.
		before := "DKMS\ndate\n\nRunning the pre_build script\n# command: x\nconftest.c:1: error: unknown type name ‘x’\nNo space left on device\n\n# exit code: 0\n# elapsed time: 00:00:01\n" + strings.Repeat("-", 64) + "\n"
		if diff := cmp.Diff(got, kbuild.Diagnose(strings.NewReader(before+text))); diff != "" {
			t.Errorf("%s after another step (-alone +after):\n%s", name, diff)
		}
	}
}

func TestDiagnoseNothing(t *testing.T) {
	t.Parallel()
	for _, log := range []string{"", "\n", "DKMS\ndate\n", "\nBuilding\n# command: make\nerror: x\n\n# exit code: 0\n# elapsed time: 00:00:01\n" + strings.Repeat("-", 64) + "\n"} {
		if diff := cmp.Diff(kbuild.Diagnosis{}, kbuild.Diagnose(strings.NewReader(log))); diff != "" {
			t.Errorf("Diagnose(%q) (-want +got):\n%s", log, diff)
		}
	}
}

// A build that fails here and now is diagnosed as its log in testdata is.
func TestDiagnoseReal(t *testing.T) {
	t.Parallel()
	s := realSite(t, installedHeaders(t)[0])
	s.write(t, "src/hello-1.0/dkms.conf", "PACKAGE_NAME=hello\nPACKAGE_VERSION=1.0\nDEST_MODULE_LOCATION=/updates\n")
	s.readConf(t)
	if _, err := kbuild.Build(t.Context(), s.job); err == nil {
		t.Fatal("Build = nil, want an error")
	}
	f, err := os.Open(s.job.BuildDir + "/make.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := kbuild.Diagnose(f)
	if got.Cause != kbuild.CauseKernelAPI || got.Subject != "GREETING" || !strings.Contains(got.Lines[0], "hello.c:6:") {
		t.Errorf("Diagnose = %+v, want GREETING in line 6", got)
	}
}
