package kernel_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kernel"
)

// realMake includes file in a makefile as upstream's do_build does.
func realMake(ctx context.Context, file, variable string) (string, error) {
	cmd := exec.CommandContext(ctx, "make", "-f", "-", "show-"+variable)
	cmd.Stdin = strings.NewReader("show-%:\n\t@echo $($*)\ninclude " + file + "\n")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	return strings.TrimRight(string(out), "\n"), err
}

func TestToolchain(t *testing.T) {
	t.Parallel()
	const gcc = `CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14) 12.2.0"` + "\n"
	for _, test := range []struct {
		name, config, variables string
		programs                []string
		want                    kernel.Toolchain
	}{
		{"no configuration", "", "", nil, kernel.Toolchain{}},
		{"compiler there", gcc, "", []string{"gcc-12"}, kernel.Toolchain{CC: "gcc-12", KernelCC: "gcc-12"}},
		{"compiler missing", gcc, "", []string{"gcc"}, kernel.Toolchain{}},
		{
			"without quotes", "CONFIG_CC_VERSION_TEXT=x86_64-linux-gnu-gcc-12 (Ubuntu) 12.3.0\n", "",
			[]string{"x86_64-linux-gnu-gcc-12"},
			kernel.Toolchain{CC: "x86_64-linux-gnu-gcc-12", KernelCC: "x86_64-linux-gnu-gcc-12"},
		},
		{"a single word names no compiler", `CONFIG_CC_VERSION_TEXT="gcc"` + "\n", "", []string{"gcc"}, kernel.Toolchain{}},
		{
			"clang", "CONFIG_CC_VERSION_TEXT=\"Debian clang version 19\"\nCONFIG_CC_IS_CLANG=y\nCONFIG_LD_IS_LLD=y\n", "",
			[]string{"clang", "ld.lld"},
			kernel.Toolchain{CC: "clang", KernelCC: "clang", LD: "ld.lld", KernelLD: "ld.lld", LLVM: true},
		},
		{"clang kernel without clang", "CONFIG_CC_IS_CLANG=y\nCONFIG_LD_IS_LLD=y\n", "", nil, kernel.Toolchain{LLVM: true}},
		{
			"variables", "", "CROSS_COMPILE = s390x-\nCC = $(if $(NONE),ccache) $(CROSS_COMPILE)gcc-12 -Wall\n", nil,
			kernel.Toolchain{CC: "s390x-gcc-12 -Wall"},
		},
		{"the configuration is stronger", gcc, "CC = other\n", []string{"gcc-12"}, kernel.Toolchain{CC: "gcc-12", KernelCC: "gcc-12"}},
		{"unless its compiler is missing", gcc, "CC = other\n", nil, kernel.Toolchain{CC: "other"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"h/.config": test.config}
			if test.variables != "" {
				files["h/.kernelvariables"] = test.variables
			}
			root := layout(t, files)
			got, err := find(t, root, kernel.Options{SourceDir: "/h"}, "6.1").Toolchain(t.Context(), kernel.Probe{
				Has: func(program string) bool { return slices.Contains(test.programs, program) },
				MakeVariable: func(ctx context.Context, file, variable string) (string, error) {
					return realMake(ctx, root.Path(file), variable)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Toolchain (-want +got):\n%s", diff)
			}
		})
	}
}

// Expected values come from the commands of upstream's do_build.
func TestToolchainOfInstalledKernels(t *testing.T) {
	t.Parallel()
	const upstream = `cc=$(sed -n 's|^CONFIG_CC_VERSION_TEXT="*\([^" ]*\) .*|\1|p' "$1")
if command -v "$cc" >/dev/null; then
	echo "$cc"
elif [[ -f $2/.kernelvariables ]]; then
	echo -e "show-%:\n\t@echo \$(\$*)\ninclude $2/.kernelvariables" | make -f - show-CC
fi`
	for _, k := range installed(t) {
		got, err := k.Toolchain(t.Context(), kernel.Probe{
			Has: func(program string) bool {
				_, err := exec.LookPath(program)
				return err == nil
			},
			MakeVariable: realMake,
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := bash(t, upstream, k.Config, k.Headers); got.CC != want || want == "" {
			t.Errorf("compiler of %s = %q, want %q", k.Release, got.CC, want)
		}
	}
}

// The answer must be what upstream gets from readelf -p .comment.
func TestBuiltByClang(t *testing.T) {
	t.Parallel()
	object := func(t *testing.T, source string) string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "vmlinux")
		if text, err := exec.CommandContext(t.Context(), "as", "-o", out, source).CombinedOutput(); err != nil {
			t.Fatalf("as %s: %v\n%s(install binutils)", source, err, text)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, test := range []struct{ name, vmlinux string }{
		{"clang", object(t, "testdata/comment-clang.s")},
		{"gcc", object(t, "testdata/comment-gcc.s")},
		{"no ELF file", "clang version 19"},
	} {
		// The configuration says clang, but only counts without a vmlinux.
		root := layout(t, map[string]string{"h/vmlinux": test.vmlinux, "h/.config": "CONFIG_CC_IS_CLANG=y\n"})
		want := bash(t, `readelf -p .comment "$1" 2>&1 | grep -q clang && echo yes || echo no`, root.Path("/h/vmlinux")) == "yes"
		got, err := find(t, root, kernel.Options{SourceDir: "/h"}, "6.1").Toolchain(t.Context(), kernel.Probe{
			Has: func(string) bool { return false },
		})
		if err != nil || got.LLVM != want {
			t.Errorf("LLVM for %s = %v, %v, want %v", test.name, got.LLVM, err, want)
		}
	}
}

func TestToolchainCancelled(t *testing.T) {
	t.Parallel()
	root := layout(t, map[string]string{"h/.kernelvariables": "CC=x\n"})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := find(t, root, kernel.Options{SourceDir: "/h"}, "6.1").Toolchain(ctx, kernel.Probe{
		MakeVariable: func(ctx context.Context, _, _ string) (string, error) {
			cancel()
			return "", ctx.Err()
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Toolchain = %v, want %v", err, context.Canceled)
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	got := kernel.Toolchain{CC: "clang", KernelCC: "clang", KernelLD: "ld.lld"}.Environ()
	if diff := cmp.Diff([]string{"CC=clang", "KERNEL_CC=clang", "KERNEL_LD=ld.lld"}, got); diff != "" {
		t.Errorf("Environ (-want +got):\n%s", diff)
	}
}
