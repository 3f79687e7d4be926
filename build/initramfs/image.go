package initramfs

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kmod"
)

// Image is the boot image of a kernel.
type Image struct {
	Path    string // inside the root
	Release string
	Base    string // of Arch: the name of the kernel's package, which the image is called after; else ""
	ByEntry bool   // it lies where the boot loader specification has it
	Time    time.Time

	root *sysroot.Root
}

// Find looks for the image of a kernel, in the places that distributions have for it. It returns nil where there is none: the
// kernel does without, or its package is still to make it.
func Find(root *sysroot.Root, release string) *Image {
	candidates := []Image{
		{Path: "/boot/initrd.img-" + release},         // Debian
		{Path: "/boot/initramfs-" + release + ".img"}, // Fedora, Gentoo
		{Path: "/boot/initrd-" + release},             // SUSE
		{Path: "/boot/initrd-" + release + ".img"},    // Mageia
		{Path: "/boot/initramfs-" + release + "-dracut.img"},
	}
	if base := firstLine(root, "/lib/modules/"+release+"/pkgbase"); base != "" && path.Base(base) == base {
		candidates = append(candidates, Image{Path: "/boot/initramfs-" + base + ".img", Base: base})
	}
	if id := firstLine(root, "/etc/machine-id"); id != "" && path.Base(id) == id {
		for _, boot := range []string{"/boot", "/efi", "/boot/efi"} {
			for _, name := range []string{"initrd", "initrd.img"} {
				candidates = append(candidates, Image{Path: path.Join(boot, id, release, name), ByEntry: true})
			}
		}
	}
	for _, c := range candidates {
		if fi, err := root.Stat(c.Path); err == nil && fi.Mode().IsRegular() {
			c.root, c.Release, c.Time = root, release, fi.ModTime()
			return &c
		}
	}
	return nil
}

func firstLine(root *sysroot.Root, abs string) string {
	text, err := root.ReadFile(abs)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// Modules returns the names of the modules in the image, with _ for -. An image that is damaged or packed in a way that is
// not known (lz4, lzo, lzma) gives a *FormatError.
func (i *Image) Modules() (map[string]bool, error) {
	f, err := i.root.Open(i.Path)
	if err != nil {
		return nil, fmt.Errorf("read boot image: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read boot image: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("read boot image: %w", &fs.PathError{Op: "open", Path: i.Path, Err: fs.ErrInvalid})
	}
	modules := map[string]bool{}
	err = names(f, fi.Size(), func(name string) {
		if strings.Contains(name, "lib/modules/"+i.Release+"/") && kmod.IsModule(name) {
			modules[kmod.ModuleName(name)] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", i.Path, err)
	}
	return modules, nil
}

// Command returns the command that makes the image anew, and nothing else; nil where the system has no tool for it. have
// reports whether a program is there.
func (i *Image) Command(have func(program string) bool) []string {
	switch {
	case strings.HasPrefix(i.Path, "/boot/initrd.img-") && have("update-initramfs"):
		return []string{"update-initramfs", "-u", "-k", i.Release}
	case have("mkinitcpio") && i.Base != "":
		return []string{"mkinitcpio", "-k", i.Release, "-g", i.Path}
	case have("dracut"):
		return []string{"dracut", "--force", i.Path, i.Release}
	case have("mkinitcpio"):
		return []string{"mkinitcpio", "-k", i.Release, "-g", i.Path}
	case have("kernel-install") && i.ByEntry:
		return []string{"kernel-install", "add", i.Release, "/lib/modules/" + i.Release + "/vmlinuz"}
	}
	return nil
}
