package kernel_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kernel"
)

// debianHeaders is a kernel as Debian packages it: its own tree, one shared with others, and programs in a third package.
func debianHeaders() map[string]string {
	return map[string]string{
		"lib/modules/6.1.0-9/build":                      "-> /usr/src/h-amd64",
		"lib/modules/6.1.0-9/source":                     "-> /usr/src/h-common",
		"usr/src/h-amd64/Makefile":                       "include /usr/src/h-common/Makefile\n",
		"usr/src/h-amd64/.config":                        "CONFIG_X=y\n",
		"usr/src/h-amd64/Module.symvers":                 "0x1\tprintk\n",
		"usr/src/h-amd64/include/config/auto.conf":       "CONFIG_X=y\n",
		"usr/src/h-amd64/include/generated/autoconf.h":   "#define CONFIG_X 1\n",
		"usr/src/h-amd64/include/generated/utsrelease.h": "#define UTS_RELEASE \"6.1.0-9\"\n",
		"usr/src/h-amd64/scripts":                        "-> ../../lib/kbuild/scripts",
		"usr/lib/kbuild/scripts/mod/modpost":             "#!/bin/sh\n",
		"usr/src/h-common/Makefile":                      "all:\n",
		"usr/src/h-common/include/linux/module.h":        "\n",
		"usr/src/h-common/scripts/Makefile.build":        "\n",
	}
}

func TestCheckComplete(t *testing.T) {
	t.Parallel()
	const gone = "gone"
	for _, tt := range []struct {
		name   string
		change map[string]string
		want   string // what is missing; "-" for headers that are not there at all
	}{
		{"all there", nil, ""},
		{"no link", map[string]string{"lib/modules/6.1.0-9/build": gone}, "-"},
		{"link to nothing", map[string]string{"lib/modules/6.1.0-9/build": "-> /usr/src/none"}, "-"},
		{"link to nothing shared", map[string]string{"lib/modules/6.1.0-9/source": "-> /usr/src/none"}, "/lib/modules/6.1.0-9/source"},
		{"no shared tree", map[string]string{"lib/modules/6.1.0-9/source": gone}, ""},
		{"no Makefile", map[string]string{"usr/src/h-amd64/Makefile": gone}, "/lib/modules/6.1.0-9/build/Makefile"},
		{"no shared Makefile", map[string]string{"usr/src/h-common/Makefile": gone}, "/lib/modules/6.1.0-9/source/Makefile"},
		{"empty Makefile", map[string]string{"usr/src/h-amd64/Makefile": ""}, "/lib/modules/6.1.0-9/build/Makefile"},
		{"no configuration", map[string]string{"usr/src/h-amd64/.config": gone, "usr/src/h-amd64/include/config/auto.conf": gone}, "/lib/modules/6.1.0-9/build/include/config/auto.conf"},
		{"the other configuration", map[string]string{"usr/src/h-amd64/include/config/auto.conf": gone}, ""},
		{"no autoconf.h", map[string]string{"usr/src/h-amd64/include/generated/autoconf.h": gone}, "/lib/modules/6.1.0-9/build/include/generated/autoconf.h"},
		{"no symbols", map[string]string{"usr/src/h-amd64/Module.symvers": gone}, "/lib/modules/6.1.0-9/build/Module.symvers"},
		{"no programs", map[string]string{"usr/src/h-amd64/scripts": "-> ../../lib/none"}, "/lib/modules/6.1.0-9/build/scripts"},
		{"no modpost", map[string]string{"usr/lib/kbuild/scripts/mod/modpost": gone, "usr/lib/kbuild/scripts/mod/x": "x"}, "/lib/modules/6.1.0-9/build/scripts/mod/modpost"},
		{"no release", map[string]string{"usr/src/h-amd64/include/generated/utsrelease.h": gone}, "/lib/modules/6.1.0-9/build/include/generated/utsrelease.h"},
		{
			"another release",
			map[string]string{"usr/src/h-amd64/include/generated/utsrelease.h": "#define UTS_RELEASE \"6.1.0-8\"\n"},
			"/lib/modules/6.1.0-9/build/include/generated/utsrelease.h is of kernel 6.1.0-8",
		},
		{"dpkg at work", map[string]string{"usr/src/h-amd64/include/generated/bounds.h.dpkg-new": "x"}, "/lib/modules/6.1.0-9/build/include/generated/bounds.h.dpkg-new"},
		{"dpkg at work on the shared tree", map[string]string{"usr/src/h-common/Kbuild.dpkg-new": "x"}, "/lib/modules/6.1.0-9/source/Kbuild.dpkg-new"},
		{"rpm at work", map[string]string{"usr/src/h-amd64/Kbuild;65a1b2c3": "x"}, "/lib/modules/6.1.0-9/build/Kbuild;65a1b2c3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := debianHeaders()
			maps.Copy(files, tt.change)
			maps.DeleteFunc(files, func(_, text string) bool { return text == gone })
			root := layout(t, files)
			if f := root.Path("/usr/lib/kbuild/scripts/mod/modpost"); files["usr/lib/kbuild/scripts/mod/modpost"] != "" {
				if err := os.Chmod(f, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			err := find(t, root, kernel.Options{InstallTree: "/lib/modules"}, "6.1.0-9").CheckComplete()
			var incomplete *kernel.IncompleteError
			var none *kernel.NoHeadersError
			got := ""
			switch {
			case errors.As(err, &incomplete):
				got = incomplete.Missing
			case errors.As(err, &none):
				got = "-"
			case err != nil:
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("CheckComplete misses %q, want %q", got, tt.want)
			}
		})
	}
}

// The headers that the distribution has installed here are complete.
func TestCheckCompleteOfRealHeaders(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("/lib/modules/*/build/include/generated/utsrelease.h")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no kernel headers are installed: scripts/deps does that")
	}
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range dirs {
		release := filepath.Base(filepath.Join(f, "../../../.."))
		if err := find(t, root, kernel.Options{InstallTree: "/lib/modules"}, release).CheckComplete(); err != nil {
			t.Error(err)
		}
	}
}
