package initramfs_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/initramfs"
	"dkms-go/conf/sysroot"
)

const release = "6.1.0-9-test"

// archive has cpio make an archive of empty files, followed by zeros as the tools that put archives together leave them.
func archive(t *testing.T, files ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		abs := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(abs, []byte(strings.Repeat("x", len(f))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-c", "find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cpio: %v", err)
	}
	return out
}

func pipe(t *testing.T, data []byte, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out
}

// image makes a root with an image of these bytes.
func image(t *testing.T, data []byte) *initramfs.Image {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "boot"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "boot/initrd.img-"+release), data, 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	i := initramfs.Find(root, release)
	if i == nil {
		t.Fatal("Find = nil")
	}
	return i
}

func TestModules(t *testing.T) {
	t.Parallel()
	microcode := archive(t, "kernel/x86/microcode/GenuineIntel.bin")
	early := archive(t, "usr/lib/modules/"+release+"/kernel/drivers/md/raid-1.ko.xz")
	main := archive(t, "usr/lib/modules/"+release+"/kernel/fs/ext4/ext4.ko", "lib/modules/"+release+"/updates/dkms/snd-x.ko.zst",
		"usr/lib/modules/6.1.0-8-test/kernel/old.ko", "usr/lib/modules/"+release+"/modules.dep", "init")
	all := []string{"ext4", "snd_x"}
	for _, tt := range []struct {
		name string
		data []byte
		want []string
		err  string
	}{
		{"plain", main, all, ""},
		{"gzip", pipe(t, main, "gzip"), all, ""},
		{"xz", pipe(t, main, "xz", "--check=crc32"), all, ""},
		{"zstd", pipe(t, main, "zstd", "-q"), all, ""},
		{"bzip2", pipe(t, main, "bzip2"), all, ""},
		{"microcode first", slices.Concat(microcode, pipe(t, main, "zstd", "-q")), all, ""},
		{"modules early", slices.Concat(microcode, make([]byte, 1024), early, pipe(t, main, "gzip")), append(all, "raid_1"), ""},
		{"zeros behind", slices.Concat(pipe(t, main, "zstd", "-q"), make([]byte, 4096)), all, ""},
		{"two in one", pipe(t, slices.Concat(main, make([]byte, 512), early), "gzip"), append(all, "raid_1"), ""},
		{"no modules", microcode, nil, ""},
		{"cut off", main[:len(main)-600], nil, "it is cut off"},
		{"cut off in zstd", pipe(t, main, "zstd", "-q")[:200], nil, "unexpected EOF"},
		{"empty", nil, nil, "it holds nothing"},
		{"lz4", append([]byte{0x02, 0x21, 0x4c, 0x18}, main...), nil, "its compression is not known"},
		{"damaged", slices.Concat(main[:54], []byte("no hexes"), main[62:]), nil, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := image(t, tt.data).Modules()
			if tt.err != "" {
				var bad *initramfs.FormatError
				if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Modules = %v, %v; want an error with %q", got, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("Modules (-want +got):\n%s", diff)
			}
		})
	}
}

// The image that update-initramfs, dracut or mkinitcpio has made here, against what lists it.
func TestModulesOfRealImages(t *testing.T) {
	t.Parallel()
	lister, err := exec.LookPath("lsinitramfs")
	found, _ := filepath.Glob("/boot/initrd.img-*")
	if err != nil || len(found) == 0 {
		t.Log("no initramfs-tools or no image of theirs on this machine")
		return
	}
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		release := strings.TrimPrefix(file, "/boot/initrd.img-")
		out, err := exec.Command(lister, file).Output()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			name, suffix, isModule := strings.Cut(filepath.Base(strings.TrimSpace(line)), ".ko")
			if isModule && slices.Contains([]string{"", ".gz", ".xz", ".zst"}, suffix) && strings.Contains(line, "lib/modules/"+release+"/") {
				want[strings.ReplaceAll(name, "-", "_")] = true
			}
		}
		got, err := initramfs.Find(root, release).Modules()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Modules of %s (-lsinitramfs +got):\n%s", file, diff)
		}
	}
}

func FuzzModules(f *testing.F) {
	f.Add([]byte("070701"))
	f.Add(append(bytes.Repeat([]byte{0}, 8), "070701000002D1000041ED000000000000000000000001000000000000000000000000000000000000000000000000000000000000000B00000000TRAILER!!!\x00\x00\x00\x00"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		modules, err := image(t, data).Modules()
		if (modules == nil) != (err != nil) {
			t.Errorf("Modules = %v, %v", modules, err)
		}
	})
}

func TestFindAndCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files map[string]string
		have  []string
		path  string
		want  []string
	}{
		{"Debian", map[string]string{"boot/initrd.img-" + release: ""}, []string{"update-initramfs", "dracut"}, "/boot/initrd.img-" + release, []string{"update-initramfs", "-u", "-k", release}},
		{"Debian with dracut", map[string]string{"boot/initrd.img-" + release: ""}, []string{"dracut"}, "/boot/initrd.img-" + release, []string{"dracut", "--force", "/boot/initrd.img-" + release, release}},
		{"Fedora", map[string]string{"boot/initramfs-" + release + ".img": ""}, []string{"dracut", "kernel-install"}, "/boot/initramfs-" + release + ".img", []string{"dracut", "--force", "/boot/initramfs-" + release + ".img", release}},
		{"SUSE", map[string]string{"boot/initrd-" + release: ""}, []string{"dracut"}, "/boot/initrd-" + release, []string{"dracut", "--force", "/boot/initrd-" + release, release}},
		{
			"Arch",
			map[string]string{"boot/initramfs-linux-lts.img": "", "lib/modules/" + release + "/pkgbase": "linux-lts\n"},
			[]string{"mkinitcpio", "kernel-install"},
			"/boot/initramfs-linux-lts.img",
			[]string{"mkinitcpio", "-k", release, "-g", "/boot/initramfs-linux-lts.img"},
		},
		{
			"boot loader specification",
			map[string]string{"efi/0123abcd/" + release + "/initrd": "", "etc/machine-id": "0123abcd\n"},
			[]string{"kernel-install"},
			"/efi/0123abcd/" + release + "/initrd",
			[]string{"kernel-install", "add", release, "/lib/modules/" + release + "/vmlinuz"},
		},
		{"no tool", map[string]string{"boot/initrd.img-" + release: ""}, []string{"kernel-install"}, "/boot/initrd.img-" + release, nil},
		{"no image", map[string]string{"boot/initrd.img-6.1.0-8": ""}, []string{"update-initramfs"}, "", nil},
		{"a way out", map[string]string{"lib/modules/" + release + "/pkgbase": "../etc/x\n", "etc/x.img": ""}, nil, "", nil},
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
