package kmod

import (
	"bytes"
	"debug/elf"
)

// exportReader picks out of a symbol table what belongs to exported symbols.
type exportReader struct {
	*elfObject
	crcs  []tableSymbol               // __crc_X, named X
	facts map[string]exportFacts      // of each X
	data  map[elf.SectionIndex][]byte // sections that these symbols point into, read once
}

// exportFacts is the other symbols that modpost writes for an exported X
// (include/linux/export-internal.h); a zero one is not there.
type exportFacts struct {
	table tableSymbol // __ksymtab_X: its entry in the table of exported symbols
	space tableSymbol // __kstrtabns_X: its name space
	flags tableSymbol // __flags_X: a byte, in kernels that have one table for all exported symbols
}

func (x *exportReader) add(s tableSymbol) {
	if len(s.name) < 3 || s.name[0] != '_' || s.name[1] != '_' {
		return // nearly all of them
	}
	if name, ok := s.cutPrefix("__crc_"); ok {
		s.name = name
		x.crcs = append(x.crcs, s)
	} else if x.brief {
		return
	} else if name, ok := s.cutPrefix("__ksymtab_"); ok {
		x.note(name, func(f *exportFacts) { f.table = s })
	} else if name, ok := s.cutPrefix("__kstrtabns_"); ok {
		x.note(name, func(f *exportFacts) { f.space = s })
	} else if name, ok := s.cutPrefix("__flags_"); ok {
		x.note(name, func(f *exportFacts) { f.flags = s })
	}
}

func (x *exportReader) note(name []byte, set func(*exportFacts)) {
	if x.facts == nil {
		x.facts = map[string]exportFacts{}
	}
	f := x.facts[string(name)]
	set(&f)
	x.facts[string(name)] = f
}

func (x *exportReader) symbols() ([]Symbol, error) {
	names, err := x.names()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	out := make([]Symbol, len(names))
	for i, name := range compact(names) {
		out[i].Name = name
		if out[i].GPL, err = x.gpl(name); err != nil {
			return nil, err
		}
		if out[i].Namespace, err = x.namespace(name); err != nil {
			return nil, err
		}
		if len(x.crcs) == 0 {
			continue
		}
		if out[i].CRC, err = x.crc(x.crcs[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// names is of the symbols with a checksum or, when there are none, all strings of
// the table of exported names.
func (x *exportReader) names() ([][]byte, error) {
	if len(x.crcs) == 0 {
		text, err := x.section(secExported)
		return splitNUL(text), err
	}
	names := make([][]byte, len(x.crcs))
	for i, s := range x.crcs {
		names[i] = s.name
	}
	return names, nil
}

// gpl says whether only GPL modules may use a symbol. Kernels keep those in a
// table of their own; the newest ones have one table, and a bit for this in
// __kflagstab (KSYM_FLAG_GPL_ONLY in include/linux/module_symbol.h).
func (x *exportReader) gpl(name string) (bool, error) {
	f := x.facts[name]
	if bytes.HasPrefix(x.sectionName(f.table), []byte("__ksymtab_gpl")) {
		return true, nil
	}
	if string(x.sectionName(f.flags)) != "__kflagstab" {
		return false, nil
	}
	b, err := x.target(f.flags, 1)
	return err == nil && b[0]&1 != 0, err
}

func (x *exportReader) namespace(name string) (string, error) {
	s := x.facts[name].space
	if string(x.sectionName(s)) != "__ksymtab_strings" {
		return "", nil
	}
	b, err := x.target(s, 0)
	return string(cString(b)), err
}

// sectionName is where a symbol lies, nil when it is in no section.
func (x *exportReader) sectionName(s tableSymbol) []byte {
	if int(s.section) < len(x.sections) {
		return x.sections[s.section].name
	}
	return nil
}

// crc is the value of a __crc_X symbol, or of the four bytes that it points to:
// newer kernels keep checksums in sections, so that they need no relocation.
// An undefined one, which stands for a checksum that could not be computed, is 0.
func (x *exportReader) crc(s tableSymbol) (uint32, error) {
	if s.section == elf.SHN_ABS || s.section == elf.SHN_UNDEF {
		return uint32(s.value), nil
	}
	b, err := x.target(s, 4)
	if err != nil {
		return 0, err
	}
	return x.order.Uint32(b), nil
}

// target is the bytes of a section from where a symbol points to on, size of
// them at least.
func (x *exportReader) target(s tableSymbol, size uint64) ([]byte, error) {
	if int(s.section) >= len(x.sections) {
		return nil, malformed(".symtab", "symbol for an export lies in section %d of %d", s.section, len(x.sections))
	}
	b, ok := x.data[s.section]
	if !ok {
		var err error
		if b, err = x.content(int(s.section)); err != nil {
			return nil, err
		}
		if x.data == nil {
			x.data = map[elf.SectionIndex][]byte{}
		}
		x.data[s.section] = b
	}
	if s.value > uint64(len(b)) || size > uint64(len(b))-s.value {
		return nil, malformed(string(x.sections[s.section].name), "symbol for an export points outside")
	}
	return b[s.value:], nil
}
