package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// rpm plays that program: what it answers to each question, by its beginning. To others it fails.
type rpm map[string]string

func (r rpm) Run(_ context.Context, c proc.Cmd) error {
	for question, answer := range r {
		if strings.HasPrefix(strings.Join(c.Args, " "), question) {
			_, err := io.WriteString(c.Stdout, answer)
			return err
		}
	}
	return &proc.ExitError{Args: c.Args, Status: 1}
}

// The values are those of the option parser of dkms 3.4, where no architecture is given.
func TestDefaultArch(t *testing.T) {
	t.Parallel()
	const intel, amd = "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\n", "vendor_id\t: AuthenticAMD\n"
	const configs = "usr/src/linux/configs/"
	owned := rpm{"rpm -qf": "kernel-core-6.1\n", "rpm -q --queryformat %{ARCH} kernel-core-6.1": "i686"}
	for _, tt := range []struct {
		name, distro, uname string
		rpm                 rpm
		files               map[string]string
		want                string
	}{
		{"Debian does not ask", "debian", "x86_64", owned, map[string]string{"proc/cpuinfo": intel, configs + "kernel-ia32e.config": ""}, "x86_64"},
		{"the owner of the kernel", "fedora", "x86_64", owned, nil, "i686"},
		{
			"of several owners the first kernel", "rhel fedora", "x86_64",
			rpm{"rpm -qf": "filesystem-3\nkernel-a\nkernel-b\n", "rpm -q --queryformat %{ARCH} kernel-a": "aarch64"},
			nil, "aarch64",
		},
		{"no owner", "fedora", "aarch64", rpm{"rpm -qf": "file /lib/modules/K is not owned by any package\n"}, nil, "aarch64"},
		{"no rpm", "suse", "x86_64", nil, nil, "x86_64"},
		{"ia32e", "rhel", "x86_64", nil, map[string]string{"proc/cpuinfo": intel, configs + "kernel-2.4.21-ia32e.config": ""}, "ia32e"},
		{"ia32e of another processor", "rhel", "x86_64", nil, map[string]string{"proc/cpuinfo": amd, configs + "kernel-2.4.21-ia32e.config": ""}, "x86_64"},
		{"ia32e of another machine", "rhel", "i686", nil, map[string]string{"proc/cpuinfo": intel, configs + "kernel-2.4.21-ia32e.config": ""}, "i686"},
		{"Intel without ia32e", "rhel", "x86_64", nil, map[string]string{"proc/cpuinfo": intel, configs + "kernel-2.4.21-x86_64.config": ""}, "x86_64"},
		{"no processor known", "rhel", "x86_64", nil, map[string]string{configs + "kernel-2.4.21-ia32e.config": ""}, "x86_64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range tt.files {
				writeFile(t, filepath.Join(dir, name), text)
			}
			writeFile(t, filepath.Join(dir, "lib/modules/K/modules.dep"), "")
			if err := os.Symlink("/usr/src/linux", filepath.Join(dir, "lib/modules/K/build")); err != nil {
				t.Fatal(err)
			}
			root, err := sysroot.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			m := &machine{host: root, root: root, runner: tt.rpm, distro: conf.Distribution(tt.distro)}
			copy(m.uname.Machine[:], tt.uname)
			if got := m.defaultArch(t.Context(), "/lib/modules/K"); got != tt.want {
				t.Errorf("defaultArch() = %q, want %q", got, tt.want)
			}
		})
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
