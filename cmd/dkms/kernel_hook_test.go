package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The hook of Debian's kernel packages leaves the boot image to whoever makes it next: a hook for images, or kernel-install, which
// would otherwise be called again by what it calls.
func TestKernelHookAndBootImage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../packaging/deb/postinst.d")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, dir, other, env, want string }{
		{"nobody else", "postinst.d", "", "", "start K --hook"},
		{"initramfs-tools", "postinst.d", "initramfs-tools", "", "start K --hook --no-initramfs"},
		{"dracut", "postinst.d", "dracut", "", "start K --hook --no-initramfs"},
		{"headers", "header_postinst.d", "initramfs-tools", "", "start K --hook"},
		{"kernel-install", "postinst.d", "", "KERNEL_INSTALL_LAYOUT=bls", "start K --hook --no-initramfs"},
		{"older kernel-install", "postinst.d", "", "KERNEL_INSTALL_MACHINE_ID=0123abcd", "start K --hook --no-initramfs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			program := func(name, text string) {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			program("autoinstaller", "#!/bin/sh\necho \"$@\"\n")
			program(tt.dir+"/dkms", strings.ReplaceAll(string(text), "/usr/lib/dkms/dkms_autoinstaller", dir+"/autoinstaller"))
			if tt.other != "" {
				program(tt.dir+"/"+tt.other, "#!/bin/sh\n")
			}
			cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, tt.dir, "dkms"), "K", "/boot/vmlinuz-K")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), tt.env}
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
				t.Errorf("the hook calls dkms_autoinstaller %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}
