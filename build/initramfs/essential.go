package initramfs

import (
	"path"
	"slices"
	"strings"

	"dkms-go/dkms/kmod"
)

// Essential reports whether a module drives disks or screens, so that the boot may depend on it before the root file system
// is there. Any of these says so:
//
//   - where its dkms.conf wants it: DEST_MODULE_LOCATION below the kernel's directories for such drivers, or for file systems;
//   - what it calls: the functions of the kernel that a block device, a SCSI or ATA host, an NVMe controller, a file system, a
//     device mapper target or a display has to register with;
//   - what it is called for: PCI devices of class 01 (mass storage) or 03 (display), file systems (fs-…).
//
// What is not among these, such as a network driver for a root file system on the network, is what the settings are for.
func Essential(location string, o *kmod.Object) bool {
	if essentialPlace(location) {
		return true
	}
	if o == nil {
		return false
	}
	for _, s := range o.Needs() {
		if essentialSymbol(s.Name) {
			return true
		}
	}
	return slices.ContainsFunc(o.Aliases(), essentialAlias)
}

func essentialPlace(location string) bool {
	location = strings.TrimPrefix(path.Clean("/"+location), "/kernel")
	for _, dir := range []string{
		"/drivers/ata", "/drivers/block", "/drivers/gpu", "/drivers/md", "/drivers/message", "/drivers/mmc", "/drivers/mtd", "/drivers/nvdimm",
		"/drivers/nvme", "/drivers/scsi", "/drivers/ufs", "/drivers/video", "/fs", "/block",
	} {
		if location == dir || strings.HasPrefix(location, dir+"/") {
			return true
		}
	}
	return false
}

func essentialSymbol(name string) bool {
	switch name {
	case "blk_mq_alloc_tag_set", "blk_alloc_disk", "__blk_alloc_disk", "__blk_mq_alloc_disk", "device_add_disk", "add_disk", "register_blkdev", "__register_blkdev",
		"scsi_host_alloc", "scsi_add_host_with_dma", "ata_host_alloc", "ata_host_activate", "nvme_init_ctrl", "mmc_alloc_host", "mmc_add_host",
		"dm_register_target", "register_filesystem", "register_md_personality",
		"drm_dev_register", "drm_dev_alloc", "__devm_drm_dev_alloc", "register_framebuffer":
		return true
	}
	return false
}

func essentialAlias(alias string) bool {
	if strings.HasPrefix(alias, "fs-") {
		return true
	}
	device, ok := strings.CutPrefix(alias, "pci:")
	if !ok {
		return false
	}
	_, class, _ := strings.Cut(device, "bc") // the vendor and device before it are in capitals
	return strings.HasPrefix(class, "01") || strings.HasPrefix(class, "03")
}
