package initramfs

import (
	"debug/pe"
	"io"
	"path"
	"strings"

	"dkms-go/conf/sysroot"
)

// A unified kernel image is one file for the firmware: kernel, command line and boot image are sections of a program for EFI
// (PE; the UAPI group's "Unified Kernel Image"). The section .uname says for which kernel it is, .initrd is the boot image.

// unified returns the unified images of a kernel. Those for emergencies are left as they are.
func unified(root *sysroot.Root, release string, tokens []string) []Image {
	var found []Image
	for _, boot := range bootRoots() {
		dir := path.Join(boot, "EFI/Linux")
		ents, err := root.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range ents {
			name := e.Name()
			if !strings.HasSuffix(name, ".efi") || strings.Contains(name, "fallback") || strings.Contains(name, "rescue") {
				continue
			}
			i := Image{Path: path.Join(dir, name), Unified: true, root: root}
			if !i.isFor(name, release) {
				continue
			}
			for _, token := range tokens {
				rest, ok := strings.CutPrefix(name, token+"-"+release)
				i.ByEntry = i.ByEntry || ok && endsRelease(rest)
			}
			found = append(found, i)
		}
	}
	return found
}

// isFor reports whether a unified image is for a kernel: it says so itself or, if it is of a tool that does not have that
// written into it, its name does: TOKEN-RELEASE.efi of kernel-install, linux-RELEASE-MACHINE.efi of dracut.
func (i *Image) isFor(name, release string) bool {
	f, err := i.root.Open(i.Path)
	if err != nil {
		return false
	}
	defer f.Close()
	program, err := pe.NewFile(f)
	if err != nil {
		return false
	}
	if s := program.Section(".uname"); s != nil {
		text, err := io.ReadAll(io.LimitReader(content(s), 256))
		return err == nil && strings.TrimRight(string(text), "\n\x00") == release
	}
	_, rest, ok := strings.Cut(name, "-"+release)
	return ok && endsRelease(rest)
}

// endsRelease reports whether what follows the release of a kernel in a name is no part of it: nothing more, how often the
// image is tried, or the machine.
func endsRelease(rest string) bool {
	return rest == ".efi" || strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, "-")
}

// content is what was put into a section, which is filled up in the file.
func content(s *pe.Section) *io.SectionReader {
	size := s.Size
	if s.VirtualSize > 0 {
		size = min(size, s.VirtualSize)
	}
	return io.NewSectionReader(s, 0, int64(size))
}

// unpacked returns the boot image in a unified one.
func unpacked(f io.ReaderAt) (*io.SectionReader, error) {
	program, err := pe.NewFile(f)
	if err != nil {
		return nil, &FormatError{err.Error()}
	}
	s := program.Section(".initrd")
	if s == nil {
		return nil, &FormatError{"it has no section .initrd"}
	}
	return content(s), nil
}

// unifiedLayout reports whether kernel-install(8) is told to make unified images.
func unifiedLayout(root *sysroot.Root) bool {
	for _, dir := range []string{"/etc/kernel", "/run/kernel", "/usr/local/lib/kernel", "/usr/lib/kernel"} {
		text, err := root.ReadFile(dir + "/install.conf")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if layout, ok := strings.CutPrefix(strings.TrimSpace(line), "layout="); ok {
				return strings.Trim(layout, `"'`) == "uki"
			}
		}
		return false // the first file counts
	}
	return false
}
