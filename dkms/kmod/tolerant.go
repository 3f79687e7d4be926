package kmod

import (
	"debug/elf"
	"errors"
	"math"
)

// ErrMagic says that a file does not begin as an ELF file does.
var ErrMagic = errors.New("bad magic number")

// tolerant takes from a damaged module what libkmod, and so depmod, takes from it
// (libkmod-elf.c): parts that are missing or make no sense are as if empty, and
// the symbols that it exports and those that it needs are told for themselves. The
// error is about the exported ones.
func tolerant(e *elfObject) (*Object, error) {
	o := &Object{}
	if info, err := e.section(secModinfo); err == nil {
		o.modinfo = parseModinfo(info)
	}
	for k := range interesting { // what lies outside of the file is not there
		if _, err := e.section(k); err != nil {
			e.lookup[k] = 0
		}
	}
	x := exportReader{elfObject: e}
	n := needReader{elfObject: e}
	exports, needs := e.pick(&x, &n)
	if !exports {
		x.crcs = nil
	}
	if needs {
		o.needs = n.tolerant()
	}
	var err error
	o.exports, err = x.tolerant()
	return o, err
}

// pick goes through the symbol table, and says for which of both it can be used.
func (e *elfObject) pick(x *exportReader, n *needReader) (exports, needs bool) {
	table, err := e.symtab()
	if err != nil || table.names == nil || e.lookup[secSymtab] == 0 {
		return false, false
	}
	exports, needs = true, true
	for i := 1; i < table.count; i++ {
		s, err := table.at(i)
		if err != nil {
			exports = false
			needs = needs && s.section != elf.SHN_UNDEF
			continue
		}
		if s.section == elf.SHN_UNDEF {
			n.add(s)
		}
		x.add(s)
	}
	return exports, needs
}

// tolerant is symbols, where a checksum that cannot be found is all ones.
func (x *exportReader) tolerant() ([]Symbol, error) {
	if len(x.crcs) == 0 {
		text, err := x.section(secExported)
		if err == nil && len(text) > 1 && text[len(text)-1] != 0 {
			err = malformed("__ksymtab_strings", "the last one has no end")
		}
		if err != nil {
			return nil, err
		}
	}
	names, err := x.names()
	out := make([]Symbol, len(names))
	for i, name := range compact(names) {
		out[i].Name = name
		if len(x.crcs) == 0 {
			continue
		}
		crc, err := x.crc(x.crcs[i])
		if err != nil {
			crc = math.MaxUint32
		}
		out[i].CRC = crc
	}
	return out, err
}

// tolerant is symbols, without checksums that cannot be read.
func (n *needReader) tolerant() []Symbol {
	if _, err := n.extendedVersions(); err != nil {
		n.lookup[secExtendedCRCs], n.lookup[secExtendedNames] = 0, 0
	}
	b, _ := n.section(secVersions)
	if len(b)%64 != 0 {
		n.lookup[secVersions] = 0
	}
	needs, err := n.symbols()
	if err != nil {
		return nil
	}
	return needs
}
