package kmod_test

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kmod"
)

func TestEveryELF(t *testing.T) {
	t.Parallel()
	for name, f := range flavours() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, t.TempDir(), "test.ko", f.bytes(t))
			checkInfo(t, path, path)
			exports := modprobeLines(t, "--show-exports", path)
			o, err := kmod.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(exports, crcLines(o.Exports())); d != "" {
				t.Errorf("Exports is not what modprobe shows (-want +got):\n%s", d)
			}
			wantExports := []kmod.Symbol{
				{Name: "by_value", CRC: 0x80000001, GPL: true, Namespace: "SPACE"},
				{Name: "by_offset", CRC: 0x89abcdef},
				{Name: "no_crc"},
			}
			if d := cmp.Diff(wantExports, o.Exports()); d != "" {
				t.Errorf("Exports (-want +got):\n%s", d)
			}
			// In kmod's order: symbols, then what only has a checksum. The second
			// printk is never looked at.
			wantNeeds := []kmod.Symbol{
				{Name: "printk", CRC: 0x1234},
				{Name: "__crc_no_crc", Weak: true},
				{Name: "weak_one", CRC: 7, Weak: true},
				{Name: "no_version"},
				{Name: "register"},
				{Name: "module_layout", CRC: 0xfedcba98},
				{Name: "printk", CRC: 8},
			}
			if f.machine == elf.EM_SPARCV9 {
				wantNeeds = slices.Delete(wantNeeds, 4, 5)
			}
			if d := cmp.Diff(wantNeeds, o.Needs()); d != "" {
				t.Errorf("Needs (-want +got):\n%s", d)
			}
			for _, l := range modprobeLines(t, "--dump-modversions", path) {
				if !slices.Contains(crcLines(o.Needs()), l) {
					t.Errorf("Needs = %q, want %q", crcLines(o.Needs()), l)
				}
			}
			if d := cmp.Diff([]string{"a", "b-c"}, o.Depends()); d != "" {
				t.Errorf("Depends (-want +got):\n%s", d)
			}
			fromMemory, err := kmod.Parse(f.bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(o, fromMemory, cmp.AllowUnexported(kmod.Object{}, kmod.Signature{})); d != "" {
				t.Errorf("Open and Parse differ (-Open +Parse):\n%s", d)
			}
		})
	}
}

// Without modversions depmod takes the strings of __ksymtab_strings, name spaces
// as well.
func TestExportsWithoutChecksums(t *testing.T) {
	t.Parallel()
	f := flavours()["64 little"]
	f.symbols = slices.DeleteFunc(f.symbols, func(s elfSymbol) bool { return strings.HasPrefix(s.name, "__crc_") })
	path := writeFile(t, t.TempDir(), "test.ko", f.bytes(t))
	o, err := kmod.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(modprobeLines(t, "--show-exports", path), crcLines(o.Exports())); d != "" {
		t.Errorf("Exports is not what modprobe shows (-want +got):\n%s", d)
	}
	want := []kmod.Symbol{{Name: "by_value", GPL: true, Namespace: "SPACE"}, {Name: "SPACE"}, {Name: "by_offset"}, {Name: "no_crc"}}
	if d := cmp.Diff(want, o.Exports()); d != "" {
		t.Errorf("Exports (-want +got):\n%s", d)
	}
	f.symbols = nil // strip -s
	o, err = kmod.Parse(f.bytes(t))
	if err != nil || len(o.Exports()) != 4 || len(o.Needs()) != 4 {
		t.Errorf("without symbols: exports %v, needs %v, %v; want the strings and the checksums", o.Exports(), o.Needs(), err)
	}
}

// The newest kernels mark symbols for GPL modules by a bit.
func TestExportFlags(t *testing.T) {
	t.Parallel()
	f := newELF64()
	f.sections = append(f.sections, elfSection{"__kflagstab", []byte{0, 1, 2, 3}}, elfSection{"__ksymtab_strings", []byte("a\x00\x00b\x00\x00c\x00\x00d\x00\x00")})
	for i, n := range []string{"a", "b", "c", "d"} {
		f.symbols = append(f.symbols, elfSymbol{"__flags_" + n, uint64(i), 0, "__kflagstab"})
	}
	o, err := kmod.Parse(f.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []kmod.Symbol{{Name: "a"}, {Name: "b", GPL: true}, {Name: "c"}, {Name: "d", GPL: true}}
	if d := cmp.Diff(want, o.Exports()); d != "" {
		t.Errorf("Exports (-want +got):\n%s", d)
	}
}

func TestDamagedModules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		part   string
		damage func(f *elfFile)
	}{
		"program":              {"elf", func(f *elfFile) { f.typ = elf.ET_EXEC }},
		"no modinfo":           {".modinfo", func(f *elfFile) { f.sections[0].name, f.symbols[1].section = ".other", "*ABS*" }},
		"struct module short":  {".gnu.linkonce.this_module", func(f *elfFile) { f.sections[1].data = f.sections[1].data[:40] }},
		"versions cut":         {"__versions", func(f *elfFile) { f.sections[6].data = f.sections[6].data[:100] }},
		"version without end":  {"__versions", func(f *elfFile) { f.sections[6].data = []byte(strings.Repeat("x", 64)) }},
		"checksum outside":     {"__kcrctab", func(f *elfFile) { f.symbols[8].value = 5 }},
		"checksum far outside": {"__kcrctab", func(f *elfFile) { f.symbols[8].value = 1<<64 - 2 }},
		"name space outside":   {"__ksymtab_strings", func(f *elfFile) { f.symbols[3].value = 1000 }},
		"names without crcs":   {"__version_ext_crcs", func(f *elfFile) { f.sections = append(f.sections, elfSection{"__version_ext_names", []byte("a\x00")}) }},
	} {
		f := flavours()["64 big"]
		c.damage(&f)
		o, err := kmod.Parse(f.bytes(t))
		var damaged *kmod.FormatError
		if o != nil || !errors.As(err, &damaged) || damaged.Part != c.part {
			t.Errorf("%s: Parse = %v, %v; want a FormatError in %s", name, o, err, c.part)
		}
	}
}

// Whatever byte is missing or wrong, there is an object or an error.
func TestCutAndFlipped(t *testing.T) {
	t.Parallel()
	for name, f := range flavours() {
		whole := f.bytes(t)
		for i := range whole {
			if o, err := kmod.Parse(whole[:i]); o != nil || err == nil {
				t.Errorf("%s: Parse of the first %d bytes of %d = %v, %v; want an error", name, i, len(whole), o, err)
			}
			for _, x := range []byte{0x01, 0x80, 0xff} {
				data := slices.Clone(whole)
				data[i] ^= x
				if o, err := kmod.Parse(data); (o == nil) == (err == nil) {
					t.Errorf("%s: Parse with byte %d changed = %v, %v; want one of them", name, i, o, err)
				}
			}
		}
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo.ko")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := writeFile(t, dir, "huge.ko", nil)
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func(string) error{
		func(path string) error { _, err := kmod.Open(path); return err },
		func(path string) error { _, err := kmod.ReadFile(path); return err },
		func(path string) error { _, err := kmod.ReadVersion(path); return err },
	} {
		if err := read(filepath.Join(dir, "missing.ko")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing file: %v, want fs.ErrNotExist", err)
		}
		var format *kmod.FormatError
		for _, path := range []string{fifo, dir} {
			if err := read(path); !errors.As(err, &format) || !strings.Contains(err.Error(), "not a regular file") {
				t.Errorf("%s: %v, want that it is not a regular file", path, err)
			}
		}
		if err := read(huge); !errors.Is(err, kmod.ErrTooLarge) {
			t.Errorf("file of 1 TiB: %v, want ErrTooLarge", err)
		}
	}
}
