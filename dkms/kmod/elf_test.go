package kmod_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"
)

// elfFile is a small ELF object for tests: what no compiler on the machine would
// make, such as other word sizes and byte orders, and damaged ones.
type elfFile struct {
	class    elf.Class
	order    byteOrder
	machine  elf.Machine
	typ      elf.Type
	sections []elfSection
	symbols  []elfSymbol // written as .symtab and .strtab unless there are none
}

// byteOrder is what binary.LittleEndian and binary.BigEndian both are.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

type elfSection struct {
	name string
	data []byte
}

type elfSymbol struct {
	name    string
	value   uint64
	info    byte
	section string // name of a section, "" = undefined, "*ABS*"
}

func (f elfFile) is64() bool { return f.class == elf.ELFCLASS64 }

// word is a number in the file's byte order, long one of its word size.
func (f elfFile) word(n uint32) []byte { return f.order.AppendUint32(nil, n) }

func (f elfFile) long(n uint64) []byte {
	if f.is64() {
		return f.order.AppendUint64(nil, n)
	}
	return f.word(uint32(n))
}

// thisModule is the beginning of a struct module.
func (f elfFile) thisModule(name string) elfSection {
	data := make([]byte, 64+64)
	if f.is64() {
		copy(data[24:], name)
	} else {
		copy(data[12:], name)
	}
	return elfSection{".gnu.linkonce.this_module", data}
}

// version is a record of __versions.
func (f elfFile) version(crc uint32, name string) []byte {
	b := append(f.long(uint64(crc)), name...)
	return append(b, make([]byte, 64-len(b))...)
}

func (f elfFile) sectionIndex(t testing.TB, name string) uint16 {
	switch name {
	case "":
		return uint16(elf.SHN_UNDEF)
	case "*ABS*":
		return uint16(elf.SHN_ABS)
	}
	i := slices.IndexFunc(f.sections, func(s elfSection) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("no section %q", name)
	}
	return uint16(i + 1)
}

// strtab is strings in one section, and the offset of each.
func strtab(names []string) (data []byte, offsets []uint32) {
	data = []byte{0}
	for _, n := range names {
		offsets = append(offsets, uint32(len(data)))
		data = append(append(data, n...), 0)
	}
	return data, offsets
}

func (f elfFile) put(t testing.TB, w *bytes.Buffer, v any) {
	if err := binary.Write(w, f.order, v); err != nil {
		t.Fatal(err)
	}
}

func (f elfFile) symtab(t testing.TB) (table, strs []byte) {
	var names []string
	for _, s := range f.symbols {
		names = append(names, s.name)
	}
	strs, offsets := strtab(names)
	var w bytes.Buffer
	if f.is64() {
		f.put(t, &w, elf.Sym64{})
	} else {
		f.put(t, &w, elf.Sym32{})
	}
	for i, s := range f.symbols {
		shndx := f.sectionIndex(t, s.section)
		if f.is64() {
			f.put(t, &w, elf.Sym64{Name: offsets[i], Info: s.info, Shndx: shndx, Value: s.value})
		} else {
			f.put(t, &w, elf.Sym32{Name: offsets[i], Info: s.info, Shndx: shndx, Value: uint32(s.value)})
		}
	}
	return w.Bytes(), strs
}

// bytes writes header, sections, section headers.
func (f elfFile) bytes(t testing.TB) []byte {
	sections := slices.Clone(f.sections)
	if len(f.symbols) > 0 {
		table, strs := f.symtab(t)
		sections = append(sections, elfSection{".symtab", table}, elfSection{".strtab", strs})
	}
	names := []string{".shstrtab"}
	for _, s := range sections {
		names = append(names, s.name)
	}
	shstrtab, offsets := strtab(names)
	sections = append(sections, elfSection{".shstrtab", shstrtab})
	offsets = append(offsets[1:], offsets[0])

	headerSize, entrySize := 52, 40
	if f.is64() {
		headerSize, entrySize = 64, 64
	}
	var body, table bytes.Buffer
	table.Write(make([]byte, entrySize))
	for i, s := range sections {
		typ := uint32(elf.SHT_PROGBITS)
		switch s.name {
		case ".symtab":
			typ = uint32(elf.SHT_SYMTAB)
		case ".strtab", ".shstrtab":
			typ = uint32(elf.SHT_STRTAB)
		}
		at := uint64(headerSize + body.Len())
		size := uint64(len(s.data))
		if f.is64() {
			f.put(t, &table, elf.Section64{Name: offsets[i], Type: typ, Off: at, Size: size})
		} else {
			f.put(t, &table, elf.Section32{Name: offsets[i], Type: typ, Off: uint32(at), Size: uint32(size)})
		}
		body.Write(s.data)
	}
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(f.class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if f.order == binary.BigEndian {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	shoff, shnum := headerSize+body.Len(), uint16(len(sections)+1)
	var w bytes.Buffer
	if f.is64() {
		f.put(t, &w, elf.Header64{
			Ident: ident, Type: uint16(f.typ), Machine: uint16(f.machine), Version: 1, Shoff: uint64(shoff),
			Ehsize: 64, Shentsize: 64, Shnum: shnum, Shstrndx: shnum - 1,
		})
	} else {
		f.put(t, &w, elf.Header32{
			Ident: ident, Type: uint16(f.typ), Machine: uint16(f.machine), Version: 1, Shoff: uint32(shoff),
			Ehsize: 52, Shentsize: 40, Shnum: shnum, Shstrndx: shnum - 1,
		})
	}
	w.Write(body.Bytes())
	w.Write(table.Bytes())
	return w.Bytes()
}

// newELF64 is the smallest module there is.
func newELF64() elfFile {
	return elfFile{
		class: elf.ELFCLASS64, order: binary.LittleEndian, machine: elf.EM_X86_64, typ: elf.ET_REL,
		sections: []elfSection{{".modinfo", []byte("license=GPL\x00name=test\x00")}},
	}
}

// flavours is the four kinds of ELF, each with symbols of every sort.
func flavours() map[string]elfFile {
	out := map[string]elfFile{}
	for name, f := range map[string]elfFile{
		"64 little": {class: elf.ELFCLASS64, order: binary.LittleEndian, machine: elf.EM_X86_64},
		"64 big":    {class: elf.ELFCLASS64, order: binary.BigEndian, machine: elf.EM_S390},
		"32 little": {class: elf.ELFCLASS32, order: binary.LittleEndian, machine: elf.EM_ARM},
		"32 big":    {class: elf.ELFCLASS32, order: binary.BigEndian, machine: elf.EM_PPC},
		"64 sparc":  {class: elf.ELFCLASS64, order: binary.BigEndian, machine: elf.EM_SPARCV9},
	} {
		f.typ = elf.ET_REL
		f.sections = []elfSection{
			{".modinfo", []byte("\x00\x00license=GPL\x00\x00\x00name=test\x00version=0.1\x00nothing\x00depends=a,b-c\x00alias=x\x00alias=y=z")},
			f.thisModule("test"),
			{"__ksymtab", make([]byte, 16)},
			{"__ksymtab_gpl", make([]byte, 16)},
			{"__kcrctab", slices.Concat(f.word(0), f.word(0x89abcdef))},
			{"__ksymtab_strings", []byte("by_value\x00SPACE\x00by_offset\x00\x00no_crc\x00\x00")},
			{"__versions", slices.Concat(f.version(0xfedcba98, "module_layout"), f.version(0x1234, "printk"), f.version(7, "weak_one"), f.version(8, "printk"))},
		}
		global, weak := elf.ST_INFO(elf.STB_GLOBAL, elf.STT_NOTYPE), elf.ST_INFO(elf.STB_WEAK, elf.STT_NOTYPE)
		f.symbols = []elfSymbol{
			{"", 0, 0, ""},
			{"local", 4, 0, ".modinfo"},
			{"printk", 0, global, ""},
			{"__kstrtabns_by_value", 9, 0, "__ksymtab_strings"},
			{"__kstrtabns_by_offset", 25, 0, "__ksymtab_strings"},
			{"__ksymtab_by_value", 0, 0, "__ksymtab_gpl"},
			{"__ksymtab_by_offset", 0, 0, "__ksymtab"},
			{"__crc_by_value", 0x80000001, global, "*ABS*"},
			{"__crc_by_offset", 4, 0, "__kcrctab"},
			{"__crc_no_crc", 0, weak, ""},
			{"weak_one", 0, weak, ""},
			{"no_version", 0, global, ""},
			{"register", 0, elf.ST_INFO(elf.STB_GLOBAL, 13), ""},
		}
		out[name] = f
	}
	return out
}
