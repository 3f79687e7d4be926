package initramfs_test

import (
	"os/exec"
	"strings"
	"testing"

	"dkms-go/build/initramfs"
	"dkms-go/dkms/kmod"
)

func TestEssentialPlace(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]bool{
		"/kernel/drivers/gpu/drm":     true,
		"/kernel/drivers/scsi":        true,
		"kernel/fs/zfs":               true,
		"/kernel/drivers/net":         false,
		"/updates/dkms":               false,
		"/kernel/drivers/scsinothing": false,
		"":                            false,
	} {
		if got := initramfs.Essential(location, nil); got != want {
			t.Errorf("Essential(%q) = %v, want %v", location, got, want)
		}
	}
}

// The rule, held against modules of a real kernel, where it is installed.
func TestEssentialOfRealModules(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("sh", "-c", `ls -d /lib/modules/*/kernel | tail -1`).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Log("no modules of a kernel on this machine")
		return
	}
	for name, want := range map[string]bool{
		"ahci": true, "nvme": true, "virtio_blk": true, "ext4": true, "xfs": true, "dm-crypt": true, "bochs": true, "megaraid_sas": true, "nbd": true,
		"snd-hda-intel": false, "e1000e": false, "uvcvideo": false, "btusb": false, "tun": false, "joydev": false, "usbhid": false,
	} {
		file, err := exec.Command("find", dir, "-name", name+".ko*").Output()
		abs, _, _ := strings.Cut(string(file), "\n")
		if err != nil || abs == "" {
			continue
		}
		o, err := kmod.Open(abs)
		if err != nil {
			t.Fatal(err)
		}
		if got := initramfs.Essential("/updates/dkms", o); got != want {
			t.Errorf("Essential(%s) = %v, want %v", name, got, want)
		}
	}
}
