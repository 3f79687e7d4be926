package kmod

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Symbol is one that a module exports to others, or needs from them.
type Symbol struct {
	Name string
	// CRC is the checksum of the symbol's type (modversions); 0 when the kernel
	// was built without them.
	CRC uint32
	// GPL tells of an exported symbol that only GPL modules may use it.
	GPL bool
	// Namespace is the name space of an exported symbol (EXPORT_SYMBOL_NS), which
	// its users must import; mostly "".
	Namespace string
	// Weak tells of a needed symbol that the module loads without it as well.
	Weak bool
}

// Exports is the symbols that the module offers, in the order of its symbol
// table; see kmod_elf_get_symbols in kmod's libkmod-elf.c, which depmod uses.
//
// With modversions these are the __crc_X. Without, they are the strings of
// __ksymtab_strings, where name spaces stand among the names: depmod takes those
// for symbols, and so they are listed here.
func (o *Object) Exports() []Symbol { return o.exports }

// Needs is the symbols that the module does not define itself, in the order of
// its symbol table, followed by those that only have a checksum (module_layout);
// see kmod_elf_get_dependency_symbols in kmod's libkmod-elf.c.
func (o *Object) Needs() []Symbol { return o.needs }

// symbols goes through the symbol table once.
func (e *elfObject) symbols() (exports, needs []Symbol, err error) {
	table, err := e.symtab()
	if err != nil {
		return nil, nil, err
	}
	x := exportReader{elfObject: e}
	n := needReader{elfObject: e, names: e.scratch.names[:0], weak: e.scratch.weak[:0]}
	for i := 1; i < table.count; i++ { // the first one is always empty
		s, err := table.at(i)
		if err != nil {
			return nil, nil, err
		}
		if s.section == elf.SHN_UNDEF {
			n.add(s)
		}
		x.add(s)
	}
	if exports, err = x.symbols(); err != nil {
		return nil, nil, err
	}
	needs, err = n.symbols()
	return exports, needs, err
}

// symtab is a symbol table in the bytes of its two sections.
type symtab struct {
	*elfObject
	entries, names []byte
	size, count    int
}

// tableSymbol is an entry of a symbol table.
type tableSymbol struct {
	name    []byte
	value   uint64
	info    uint8
	section elf.SectionIndex
}

// symtab of a module that was stripped of all symbols is empty.
func (e *elfObject) symtab() (symtab, error) {
	t := symtab{elfObject: e, size: elf.Sym32Size}
	if e.is64 {
		t.size = elf.Sym64Size
	}
	var err error
	if t.entries, err = e.section(secSymtab); err != nil {
		return t, err
	}
	if t.names, err = e.section(secStrtab); err != nil {
		return t, err
	}
	if t.names == nil {
		return t, nil
	}
	if len(t.entries)%t.size != 0 {
		return t, malformed(".symtab", "%d bytes are not a multiple of %d", len(t.entries), t.size)
	}
	t.count = len(t.entries) / t.size
	return t, nil
}

func (t *symtab) at(i int) (tableSymbol, error) {
	var s tableSymbol
	b := t.entries[i*t.size : (i+1)*t.size]
	var name uint32
	switch {
	case t.is64 && t.order == binary.LittleEndian: // as below, and faster; nearly all machines
		name = binary.LittleEndian.Uint32(b)
		s.info = b[4]
		s.section = elf.SectionIndex(binary.LittleEndian.Uint16(b[6:]))
		s.value = binary.LittleEndian.Uint64(b[8:])
	case t.is64:
		name = t.order.Uint32(b)
		s.info = b[4]
		s.section = elf.SectionIndex(t.order.Uint16(b[6:]))
		s.value = t.order.Uint64(b[8:])
	default:
		name = t.order.Uint32(b)
		s.value = uint64(t.order.Uint32(b[4:]))
		s.info = b[12]
		s.section = elf.SectionIndex(t.order.Uint16(b[14:]))
	}
	if uint64(name) >= uint64(len(t.names)) {
		return s, malformed(".symtab", "name of symbol %d lies outside .strtab", i)
	}
	s.name = t.names[name:] // up to a NUL, looked for by those who need the end
	return s, nil
}

// cutPrefix is the rest of the symbol's name after the prefix, up to its NUL.
func (s tableSymbol) cutPrefix(prefix string) (rest []byte, ok bool) {
	if len(s.name) < len(prefix) || string(s.name[:len(prefix)]) != prefix {
		return nil, false
	}
	return cString(s.name[len(prefix):]), true
}

// compact makes strings of names in a single allocation, so that an Object does
// not keep the string table of its module alive.
func compact(names [][]byte) []string {
	var size int
	for _, n := range names {
		size += len(n)
	}
	var b strings.Builder
	b.Grow(size)
	for _, n := range names {
		b.Write(n)
	}
	text := b.String()
	out := make([]string, len(names))
	for i, n := range names {
		out[i], text = text[:len(n)], text[len(n):]
	}
	return out
}

// splitNUL is the non-empty strings of a section of NUL-terminated strings.
func splitNUL(section []byte) [][]byte {
	var out [][]byte
	for s := range bytes.SplitSeq(section, []byte{0}) {
		if len(s) > 0 {
			out = append(out, s)
		}
	}
	return out
}
