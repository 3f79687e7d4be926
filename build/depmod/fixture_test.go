package depmod_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// fake is a module in which only what depmod reads is there.
type fake struct {
	info    []string // texts of .modinfo
	exports []fakeSymbol
	needs   []fakeSymbol
	bits32  bool
	big     bool // byte order
	machine elf.Machine
	crcs    crcKind
}

type fakeSymbol struct {
	name  string
	crc   uint32
	weak  bool
	space string // name space
}

// crcKind is how a kernel keeps checksums.
type crcKind int

const (
	noCRCs       crcKind = iota // CONFIG_MODVERSIONS=n
	absoluteCRCs                // values of __crc_X; __versions
	sectionCRCs                 // __crc_X point into a section; __versions
	extendedCRCs                // as sectionCRCs, but __version_ext_* instead of __versions
)

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// elfWriter puts an ELF file together.
type elfWriter struct {
	fake
	order    byteOrder
	sections []fakeSection
}

type fakeSection struct {
	name string
	kind elf.SectionType
	link uint32
	size uint64 // of an entry
	data []byte
}

func symbols(names string) []fakeSymbol {
	var out []fakeSymbol
	for i, name := range strings.Fields(names) {
		out = append(out, fakeSymbol{name: name, crc: 0x1000 + uint32(len(name)*64+i)})
	}
	return out
}

// bytes is the module's file.
func (f fake) bytes() []byte {
	w := &elfWriter{fake: f, order: binary.LittleEndian}
	if f.big {
		w.order = binary.BigEndian
	}
	if w.machine == 0 {
		w.machine = elf.EM_X86_64
	}
	w.add(fakeSection{})
	if len(f.info) > 0 {
		w.add(fakeSection{name: ".modinfo", kind: elf.SHT_PROGBITS, data: []byte(strings.Join(f.info, "\x00") + "\x00")})
	}
	w.versions()
	w.add(fakeSection{name: "__ksymtab_strings", kind: elf.SHT_PROGBITS, data: w.exportStrings()})
	w.symtab()
	return w.file()
}

func (w *elfWriter) add(s fakeSection) int {
	w.sections = append(w.sections, s)
	return len(w.sections) - 1
}

func (w *elfWriter) exportStrings() []byte {
	var b []byte
	for _, s := range w.exports {
		b = append(append(b, s.name...), 0)
		b = append(append(b, s.space...), 0)
	}
	return b
}

func (w *elfWriter) versions() {
	var basic, crcs, names []byte
	for _, s := range w.needs {
		record := make([]byte, 64)
		w.order.PutUint32(record, s.crc)
		at := 4
		if !w.bits32 {
			w.order.PutUint64(record, uint64(s.crc))
			at = 8
		}
		copy(record[at:63], s.name)
		basic = append(basic, record...)
		crcs = w.order.AppendUint32(crcs, s.crc)
		names = append(append(names, s.name...), 0)
	}
	switch w.crcs {
	case noCRCs:
	case extendedCRCs:
		w.add(fakeSection{name: "__version_ext_crcs", kind: elf.SHT_PROGBITS, data: crcs})
		w.add(fakeSection{name: "__version_ext_names", kind: elf.SHT_PROGBITS, data: append(names, 0)})
	default:
		w.add(fakeSection{name: "__versions", kind: elf.SHT_PROGBITS, data: basic})
	}
}

func (w *elfWriter) symtab() {
	names := []byte{0}
	var table []byte
	symbol := func(name string, value uint64, bind elf.SymBind, section int) {
		at := uint32(len(names))
		names = append(append(names, name...), 0)
		info := elf.ST_INFO(bind, elf.STT_NOTYPE)
		if w.bits32 {
			table = w.order.AppendUint32(table, at)
			table = w.order.AppendUint32(table, uint32(value))
			table = append(w.order.AppendUint32(table, 0), info, 0)
			table = w.order.AppendUint16(table, uint16(section))
			return
		}
		table = append(w.order.AppendUint32(table, at), info, 0)
		table = w.order.AppendUint16(table, uint16(section))
		table = w.order.AppendUint64(table, value)
		table = w.order.AppendUint64(table, 0)
	}
	symbol("", 0, 0, 0)
	var kcrctab []byte
	crcSection := len(w.sections)
	for i, s := range w.exports {
		switch w.crcs {
		case absoluteCRCs:
			symbol("__crc_"+s.name, uint64(s.crc), elf.STB_GLOBAL, int(elf.SHN_ABS))
		case sectionCRCs, extendedCRCs:
			symbol("__crc_"+s.name, uint64(4*i), elf.STB_LOCAL, crcSection)
			kcrctab = w.order.AppendUint32(kcrctab, s.crc)
		}
		symbol(s.name, 0, elf.STB_GLOBAL, 1)
	}
	w.add(fakeSection{name: "__kcrctab", kind: elf.SHT_PROGBITS, data: kcrctab})
	for _, s := range w.needs {
		if s.name == "module_layout" {
			continue // has a checksum only
		}
		bind := elf.STB_GLOBAL
		if s.weak {
			bind = elf.STB_WEAK
		}
		symbol(s.name, 0, bind, 0)
	}
	size := uint64(elf.Sym64Size)
	if w.bits32 {
		size = elf.Sym32Size
	}
	strtab := w.add(fakeSection{name: ".strtab", kind: elf.SHT_STRTAB, data: names})
	w.add(fakeSection{name: ".symtab", kind: elf.SHT_SYMTAB, link: uint32(strtab), size: size, data: table})
}

func (w *elfWriter) file() []byte {
	var names []byte
	offsets := make([]uint32, 0, len(w.sections)+1)
	w.add(fakeSection{name: ".shstrtab", kind: elf.SHT_STRTAB})
	for _, s := range w.sections {
		offsets = append(offsets, uint32(len(names)))
		names = append(append(names, s.name...), 0)
	}
	last := len(w.sections) - 1
	w.sections[last].data = names
	head := 64
	if w.bits32 {
		head = 52
	}
	body := make([]byte, head)
	places := make([]uint64, len(w.sections))
	for i, s := range w.sections {
		for len(body)%8 != 0 {
			body = append(body, 0)
		}
		places[i] = uint64(len(body))
		body = append(body, s.data...)
	}
	for len(body)%8 != 0 {
		body = append(body, 0)
	}
	table := len(body)
	var out bytes.Buffer
	for i, s := range w.sections {
		if i == 0 {
			places[i] = 0
		}
		if w.bits32 {
			_ = binary.Write(&out, w.order, elf.Section32{Name: offsets[i], Type: uint32(s.kind), Off: uint32(places[i]), Size: uint32(len(s.data)), Link: s.link, Addralign: 1, Entsize: uint32(s.size)})
			continue
		}
		_ = binary.Write(&out, w.order, elf.Section64{Name: offsets[i], Type: uint32(s.kind), Off: places[i], Size: uint64(len(s.data)), Link: s.link, Addralign: 1, Entsize: s.size})
	}
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if w.big {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	var header bytes.Buffer
	if w.bits32 {
		ident[elf.EI_CLASS] = byte(elf.ELFCLASS32)
		_ = binary.Write(&header, w.order, elf.Header32{
			Ident: ident, Type: uint16(elf.ET_REL), Machine: uint16(w.machine), Version: 1,
			Shoff: uint32(table), Ehsize: 52, Shentsize: 40, Shnum: uint16(len(w.sections)), Shstrndx: uint16(last),
		})
	} else {
		_ = binary.Write(&header, w.order, elf.Header64{
			Ident: ident, Type: uint16(elf.ET_REL), Machine: uint16(w.machine), Version: 1,
			Shoff: uint64(table), Ehsize: 64, Shentsize: 64, Shnum: uint16(len(w.sections)), Shstrndx: uint16(last),
		})
	}
	copy(body, header.Bytes())
	return append(body, out.Bytes()...)
}
