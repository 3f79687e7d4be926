package initramfs_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/initramfs"
	"dkms-go/conf/sysroot"
)

// unified has objcopy make a program for EFI with these sections, as it made unified kernel images before there was ukify.
func unified(t *testing.T, sections map[string]string) string {
	t.Helper()
	format := map[string]string{"amd64": "pei-x86-64", "arm64": "pei-aarch64-little"}[runtime.GOARCH]
	dir := t.TempDir()
	run := func(program string, args ...string) {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v: %s", program, args, err, out)
		}
	}
	run("as", "-o", "stub.o", "/dev/null")
	args := []string{"-O", format, "--subsystem", "efi-app"}
	for name, text := range sections {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--add-section", name+"="+name, "--set-section-flags", name+"=alloc,load,readonly,data")
	}
	run("objcopy", append(args, "stub.o", "image.efi")...)
	data, err := os.ReadFile(filepath.Join(dir, "image.efi"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// tree makes a root of files.
func tree(t *testing.T, files map[string]string) *sysroot.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		abs := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(abs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestUnified(t *testing.T) {
	t.Parallel()
	ours := unified(t, map[string]string{".uname": release + "\n", ".linux": "kernel"})
	other := unified(t, map[string]string{".uname": "6.1.0-8-test\n", ".linux": "kernel"})
	silent := unified(t, map[string]string{".linux": "kernel"})
	plain := "boot/initramfs-" + release + ".img"
	all := []string{"dracut", "kernel-install", "update-initramfs"}
	install := []string{"kernel-install", "add", release, "/lib/modules/" + release + "/vmlinuz"}
	for _, tt := range []struct {
		name  string
		files map[string]string
		have  []string
		path  string
		want  []string
	}{
		{"entry token", map[string]string{"etc/kernel/entry-token": "fedora\n", "etc/machine-id": "0123abcd", "boot/fedora/" + release + "/initrd": ""}, []string{"kernel-install"}, "/boot/fedora/" + release + "/initrd", install},
		{"an older token", map[string]string{"etc/kernel/entry-token": "fedora\n", "etc/machine-id": "0123abcd", "boot/0123abcd/" + release + "/initrd": ""}, []string{"kernel-install"}, "/boot/0123abcd/" + release + "/initrd", install},
		{"a token with a way out", map[string]string{"etc/kernel/entry-token": "..\n", "boot/x": "", release + "/initrd": ""}, all, "", nil},
		{"kernel-install", map[string]string{"etc/machine-id": "0123abcd", "efi/EFI/Linux/0123abcd-" + release + ".efi": ours}, all, "/efi/EFI/Linux/0123abcd-" + release + ".efi", install},
		{"counted tries", map[string]string{"etc/kernel/entry-token": "x", "efi/EFI/Linux/x-" + release + "+3.efi": silent}, all, "/efi/EFI/Linux/x-" + release + "+3.efi", install},
		{
			"kernel in /boot",
			map[string]string{"etc/machine-id": "0123abcd", "boot/vmlinuz-" + release: "", "boot/efi/EFI/Linux/0123abcd-" + release + ".efi": ours},
			all, "/boot/efi/EFI/Linux/0123abcd-" + release + ".efi",
			[]string{"kernel-install", "add", release, "/boot/vmlinuz-" + release},
		},
		{"dracut", map[string]string{"efi/EFI/Linux/linux-" + release + "-0123abcd.efi": silent}, all, "/efi/EFI/Linux/linux-" + release + "-0123abcd.efi", []string{"dracut", "--force", "--uefi", "/efi/EFI/Linux/linux-" + release + "-0123abcd.efi", release}},
		{
			"mkinitcpio",
			map[string]string{"efi/EFI/Linux/arch-linux-fallback.efi": ours, "efi/EFI/Linux/arch-linux.efi": ours, "efi/EFI/Linux/arch-linux-lts.efi": other},
			[]string{"mkinitcpio", "kernel-install"},
			"/efi/EFI/Linux/arch-linux.efi",
			[]string{"mkinitcpio", "-k", release, "-U", "/efi/EFI/Linux/arch-linux.efi"},
		},
		{"of another kernel", map[string]string{"efi/EFI/Linux/x-" + release + ".efi": other}, all, "", nil},
		{"of a longer release", map[string]string{"efi/EFI/Linux/x-" + release + ".1.efi": silent}, all, "", nil},
		{"no program", map[string]string{"efi/EFI/Linux/x-" + release + ".efi": "text"}, all, "", nil},
		{"no tool", map[string]string{"efi/EFI/Linux/x-" + release + ".efi": ours}, []string{"kernel-install"}, "/efi/EFI/Linux/x-" + release + ".efi", nil},
		{"beside a plain one", map[string]string{plain: "", "efi/EFI/Linux/x-" + release + ".efi": ours}, all, "/" + plain, []string{"dracut", "--force", "/" + plain, release}},
		{
			"by the layout",
			map[string]string{plain: "", "efi/EFI/Linux/x-" + release + ".efi": ours, "etc/kernel/entry-token": "x", "etc/kernel/install.conf": "# ours\nlayout=uki\n", "usr/lib/kernel/install.conf": "layout=bls\n"},
			all, "/efi/EFI/Linux/x-" + release + ".efi", install,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := initramfs.Find(tree(t, tt.files), release)
			if i == nil {
				if tt.path != "" {
					t.Errorf("Find = nil, want %s", tt.path)
				}
				return
			}
			got := i.Command(func(p string) bool { return slices.Contains(tt.have, p) })
			if diff := cmp.Diff(tt.want, got); diff != "" || i.Path != tt.path {
				t.Errorf("Find = %s, want %s; Command (-want +got):\n%s", i.Path, tt.path, diff)
			}
		})
	}
}

func TestModulesOfUnified(t *testing.T) {
	t.Parallel()
	initrd := pipe(t, archive(t, "usr/lib/modules/"+release+"/updates/disk.ko.zst", "init"), "zstd", "-q")
	name := "efi/EFI/Linux/x-" + release + ".efi"
	i := initramfs.Find(tree(t, map[string]string{name: unified(t, map[string]string{".linux": "kernel", ".initrd": string(initrd)})}), release)
	got, err := i.Modules()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"disk"}, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("Modules (-want +got):\n%s", diff)
	}
	i = initramfs.Find(tree(t, map[string]string{name: unified(t, map[string]string{".linux": "kernel"})}), release)
	if got, err := i.Modules(); err == nil || err.Error() != "read /"+name+": not readable as a boot image: it has no section .initrd" {
		t.Errorf("Modules without .initrd = %v, %v, want a FormatError", got, err)
	}
}
