package kmod

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"math"
)

// source is the bytes of an uncompressed module: a file, or memory, in which
// case data is set and nothing needs to be copied.
type source struct {
	r     io.ReaderAt
	data  []byte
	size  int64
	arena *arena // where what is read goes; nil for new memory
}

// arena is memory for what is read of one module, used again for the next.
type arena struct{ b []byte }

func (a *arena) take(n uint64) []byte {
	if a == nil {
		return make([]byte, n)
	}
	if uint64(cap(a.b)-len(a.b)) < n { // what has been taken stays where it is
		a.b = make([]byte, 0, max(n, 256<<10))
	}
	b := a.b[len(a.b) : uint64(len(a.b))+n]
	a.b = a.b[:uint64(len(a.b))+n]
	return b[:n:n]
}

// bytes is size bytes from offset on. When there are not that many, that is said
// of the part they belong to, and nothing is allocated.
func (s source) bytes(part string, offset, size uint64) ([]byte, error) {
	total := uint64(s.size)
	if offset > total || size > total-offset {
		return nil, malformed(part, "%d bytes at offset %d reach beyond the end of the file at %d", size, offset, total)
	}
	if s.data != nil {
		return s.data[offset : offset+size : offset+size], nil
	}
	b := s.arena.take(size)
	if size == 0 {
		return b, nil
	}
	_, err := s.r.ReadAt(b, int64(offset))
	return b, err
}

// elfObject is the ELF side of a module: headers that have been checked, and
// sections that are read when asked for.
type elfObject struct {
	src      source
	is64     bool
	order    binary.ByteOrder
	machine  elf.Machine
	sections []section
	scratch  scratch
	brief    bool             // GPL and Namespace of symbols do not matter
	lookup   [interesting]int // by sectionKind: the first section of that name, 0 for none
}

// scratch is memory for needReader, used again for the next module.
type scratch struct {
	names    [][]byte
	weak     []bool
	versions map[string]int
}

// section is an entry of the section table.
type section struct {
	name         []byte
	offset, size uint64
}

// sectionKind is a section that is looked up by its name.
type sectionKind int

const (
	secModinfo sectionKind = iota
	secThisModule
	secBuildID
	secSymtab
	secStrtab
	secExported
	secVersions
	secExtendedCRCs
	secExtendedNames
	interesting
	boring sectionKind = -1
)

func kindOf(name []byte) sectionKind {
	switch string(name) {
	case ".modinfo":
		return secModinfo
	case ".gnu.linkonce.this_module":
		return secThisModule
	case ".note.gnu.build-id":
		return secBuildID
	case ".symtab":
		return secSymtab
	case ".strtab":
		return secStrtab
	case "__ksymtab_strings":
		return secExported
	case "__versions":
		return secVersions
	case "__version_ext_crcs":
		return secExtendedCRCs
	case "__version_ext_names":
		return secExtendedNames
	}
	return boring
}

// elfLayout is where the words of an ELF header and of a section's entry are.
type elfLayout struct {
	header, entry                    int // sizes
	tableAt, entrySize, count, names int // in the header: e_shoff, e_shentsize, e_shnum, e_shstrndx
	offset, size                     int // in an entry: sh_offset, sh_size
}

func layout(is64 bool) elfLayout {
	if is64 {
		return elfLayout{header: 64, entry: 64, tableAt: 40, entrySize: 58, count: 60, names: 62, offset: 24, size: 32}
	}
	return elfLayout{header: 52, entry: 40, tableAt: 32, entrySize: 46, count: 48, names: 50, offset: 16, size: 20}
}

// word is a number of the object's word size.
func (e *elfObject) word(b []byte) uint64 {
	if e.is64 {
		return e.order.Uint64(b)
	}
	return uint64(e.order.Uint32(b))
}

// read reads the headers. What the object had held before is forgotten.
func (e *elfObject) read(src source) error {
	*e = elfObject{src: src, sections: e.sections[:0], scratch: e.scratch}
	head, l, err := e.header()
	if err != nil {
		return err
	}
	if typ := elf.Type(e.order.Uint16(head[16:])); typ != elf.ET_REL {
		return malformed("elf", "type %v, not a relocatable object", typ)
	}
	e.machine = elf.Machine(e.order.Uint16(head[18:]))
	count, names := uint64(e.order.Uint16(head[l.count:])), int(e.order.Uint16(head[l.names:]))
	if count == 0 { // or in the first entry, which is for more than the kernel loads
		return malformed("elf", "no sections")
	}
	if size := int(e.order.Uint16(head[l.entrySize:])); size != l.entry {
		return malformed("elf", "section entries of %d bytes", size)
	}
	table, err := src.bytes("section table", e.word(head[l.tableAt:]), count*uint64(l.entry))
	if err != nil {
		return err
	}
	for t := table; len(t) > 0; t = t[l.entry:] {
		e.sections = append(e.sections, section{offset: e.word(t[l.offset:]), size: e.word(t[l.size:])})
	}
	return e.nameSections(table, l, names)
}

// nameSections looks up the sections' names in the section with that number.
func (e *elfObject) nameSections(table []byte, l elfLayout, number int) error {
	if number >= len(e.sections) {
		return malformed("elf", "names of sections are in section %d of %d", number, len(e.sections))
	}
	names, err := e.src.bytes("names of sections", e.sections[number].offset, e.sections[number].size)
	if err != nil {
		return err
	}
	for i := range e.sections {
		at := uint64(e.order.Uint32(table[i*l.entry:]))
		if i == 0 {
			continue // is always empty
		}
		if at >= uint64(len(names)) {
			return malformed("elf", "name of section %d lies outside", i)
		}
		e.sections[i].name = cString(names[at:])
		if k := kindOf(e.sections[i].name); k != boring && e.lookup[k] == 0 {
			e.lookup[k] = i
		}
	}
	return nil
}

// header reads the ELF header, and learns from it how to read the rest.
func (e *elfObject) header() ([]byte, elfLayout, error) {
	head, err := e.src.bytes("elf", 0, min(uint64(e.src.size), 64))
	if err != nil {
		return nil, elfLayout{}, err
	}
	if !bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return nil, elfLayout{}, &FormatError{Part: "elf", Err: ErrMagic}
	}
	if len(head) < elf.EI_NIDENT {
		return nil, elfLayout{}, malformed("elf", "header cut short")
	}
	switch class := elf.Class(head[elf.EI_CLASS]); class {
	case elf.ELFCLASS32:
	case elf.ELFCLASS64:
		e.is64 = true
	default:
		return nil, elfLayout{}, malformed("elf", "unknown class %v", class)
	}
	switch data := elf.Data(head[elf.EI_DATA]); data {
	case elf.ELFDATA2LSB:
		e.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		e.order = binary.BigEndian
	default:
		return nil, elfLayout{}, malformed("elf", "unknown byte order %v", data)
	}
	l := layout(e.is64)
	if len(head) < l.header {
		return nil, l, malformed("elf", "header cut short")
	}
	return head, l, nil
}

// section is the content of the first section of that kind, nil when there is none.
func (e *elfObject) section(k sectionKind) ([]byte, error) {
	if e.lookup[k] == 0 {
		return nil, nil
	}
	return e.content(e.lookup[k])
}

// content is that of the section with that number.
func (e *elfObject) content(i int) ([]byte, error) {
	s := e.sections[i]
	if s.offset > uint64(e.src.size) || s.size > uint64(e.src.size)-s.offset {
		_, err := e.src.bytes(string(s.name), s.offset, s.size)
		return nil, err
	}
	return e.src.bytes("section", s.offset, s.size)
}

// thisModule is the name in struct module, which begins with an enum, two
// pointers of a list and then the name, as long as makes 64 bytes with a long
// (MODULE_NAME_LEN in include/linux/module.h).
func (e *elfObject) thisModule() (string, error) {
	i := e.lookup[secThisModule]
	if i == 0 {
		return "", nil
	}
	s := e.sections[i]
	offset, size := uint64(12), uint64(60)
	if e.is64 {
		offset, size = 24, 56
	}
	if s.size < offset+size || s.offset > math.MaxUint64-offset {
		return "", malformed(string(s.name), "%d bytes are too few for a struct module", s.size)
	}
	b, err := e.src.bytes(".gnu.linkonce.this_module", s.offset+offset, size)
	return string(cString(b)), err
}

// buildID takes the identification out of its ELF note: name size, identification
// size, type, the name "GNU" and its NUL, identification.
func (e *elfObject) buildID() ([]byte, error) {
	const typeBuildID = 3 // NT_GNU_BUILD_ID
	note, err := e.section(secBuildID)
	if err != nil || len(note) < 16 {
		return nil, err
	}
	size := uint64(e.order.Uint32(note[4:]))
	if e.order.Uint32(note) != 4 || e.order.Uint32(note[8:]) != typeBuildID || string(note[12:16]) != "GNU\x00" ||
		size > uint64(len(note)-16) {
		return nil, nil
	}
	return bytes.Clone(note[16 : 16+size]), nil
}

// cString is b up to its first NUL.
func cString(b []byte) []byte {
	if before, _, ok := bytes.Cut(b, []byte{0}); ok {
		return before
	}
	return b
}
