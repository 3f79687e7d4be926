package initramfs

import (
	"fmt"
	"io"
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
	ByEntry bool   // it lies where kernel-install puts it, by the boot loader specification
	Unified bool   // it is in a unified kernel image, which Path is
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
	tokens := entryTokens(root)
	for _, token := range tokens {
		for _, boot := range bootRoots() {
			for _, name := range []string{"initrd", "initrd.img"} {
				candidates = append(candidates, Image{Path: path.Join(boot, token, release, name), ByEntry: true})
			}
		}
	}
	// Where both are found, the other one is a rest.
	if unified := unified(root, release, tokens); unifiedLayout(root) {
		candidates = append(unified, candidates...)
	} else {
		candidates = append(candidates, unified...)
	}
	for _, c := range candidates {
		if fi, err := root.Stat(c.Path); err == nil && fi.Mode().IsRegular() {
			c.root, c.Release, c.Time = root, release, fi.ModTime()
			return &c
		}
	}
	return nil
}

// bootRoots returns where the boot partition or the one of EFI may be.
func bootRoots() []string { return []string{"/boot", "/efi", "/boot/efi"} }

// entryTokens returns by what names the images of this system may go, among those of others in the same partition: the one that
// the administrator has chosen (kernel-install(8)), and the machine's.
func entryTokens(root *sysroot.Root) []string {
	var tokens []string
	for _, file := range []string{"/etc/kernel/entry-token", "/etc/machine-id"} {
		if token := firstLine(root, file); token != "" && path.Base(token) == token && !strings.HasPrefix(token, ".") {
			tokens = append(tokens, token)
		}
	}
	return tokens
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
	image := io.NewSectionReader(f, 0, fi.Size())
	if i.Unified {
		if image, err = unpacked(f); err != nil {
			return nil, fmt.Errorf("read %s: %w", i.Path, err)
		}
	}
	modules := map[string]bool{}
	err = names(image, image.Size(), func(name string) {
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
	case i.Unified:
		return i.unifiedCommand(have)
	case strings.HasPrefix(i.Path, "/boot/initrd.img-") && have("update-initramfs"):
		return []string{"update-initramfs", "-u", "-k", i.Release}
	case have("mkinitcpio") && i.Base != "":
		return []string{"mkinitcpio", "-k", i.Release, "-g", i.Path}
	case have("dracut"):
		return []string{"dracut", "--force", i.Path, i.Release}
	case have("mkinitcpio"):
		return []string{"mkinitcpio", "-k", i.Release, "-g", i.Path}
	case have("kernel-install") && i.ByEntry:
		return i.kernelInstall()
	}
	return nil
}

func (i *Image) unifiedCommand(have func(program string) bool) []string {
	switch {
	case have("kernel-install") && i.ByEntry:
		return i.kernelInstall()
	case have("mkinitcpio"):
		return []string{"mkinitcpio", "-k", i.Release, "-U", i.Path}
	case have("dracut"):
		return []string{"dracut", "--force", "--uefi", i.Path, i.Release}
	}
	return nil
}

// kernelInstall has everything made anew that the boot loader needs of a kernel.
func (i *Image) kernelInstall() []string {
	kernel := "/lib/modules/" + i.Release + "/vmlinuz"
	if debian := "/boot/vmlinuz-" + i.Release; !i.isFile(kernel) && i.isFile(debian) {
		kernel = debian
	}
	return []string{"kernel-install", "add", i.Release, kernel}
}

func (i *Image) isFile(abs string) bool {
	fi, err := i.root.Stat(abs)
	return err == nil && fi.Mode().IsRegular()
}
