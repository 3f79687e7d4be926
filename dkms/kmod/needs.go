package kmod

import (
	"bytes"
	"debug/elf"
)

// needReader picks out of a symbol table what a module needs from others, and
// adds the checksums it was built with.
type needReader struct {
	*elfObject
	names [][]byte
	weak  []bool
}

func (n *needReader) add(s tableSymbol) {
	const sttRegister = 13 // SPARC: the use of a register, no reference
	sparc := n.machine == elf.EM_SPARC || n.machine == elf.EM_SPARCV9
	if sparc && elf.ST_TYPE(s.info) == sttRegister {
		return
	}
	name := cString(s.name)
	if len(name) == 0 {
		return
	}
	n.names = append(n.names, name)
	n.weak = append(n.weak, elf.ST_BIND(s.info) == elf.STB_WEAK)
}

func (n *needReader) symbols() ([]Symbol, error) {
	versions, err := n.versions()
	if err != nil {
		return nil, err
	}
	if n.scratch.versions == nil {
		n.scratch.versions = map[string]int{}
	}
	n.scratch.names, n.scratch.weak = n.names, n.weak
	index := n.scratch.versions // the first of each name
	clear(index)
	for i, v := range versions {
		if _, ok := index[v.Name]; !ok {
			index[v.Name] = i
		}
	}
	crcs := make([]uint32, len(n.names), len(n.names)+1)
	used := make([]bool, len(versions))
	for i, name := range n.names {
		if v, ok := index[string(name)]; ok {
			crcs[i], used[v] = versions[v].CRC, true
		}
	}
	for i, v := range versions {
		if !used[i] {
			n.names = append(n.names, []byte(v.Name))
			n.weak = append(n.weak, false)
			crcs = append(crcs, v.CRC)
		}
	}
	if len(n.names) == 0 {
		return nil, nil
	}
	out := make([]Symbol, len(n.names))
	for i, name := range compact(n.names) {
		out[i] = Symbol{Name: name, CRC: crcs[i], Weak: n.weak[i]}
	}
	return out, nil
}

// versions is the checksums of needed symbols in file order: those of __versions,
// then those that only the extended tables have because the name is too long for
// the others, or because the kernel writes no others.
func (n *needReader) versions() ([]Symbol, error) {
	basic, err := n.basicVersions()
	if err != nil {
		return nil, err
	}
	extended, err := n.extendedVersions()
	if err != nil || len(extended) == 0 {
		return basic, err
	}
	known := make(map[string]bool, len(basic))
	for _, v := range basic {
		known[v.Name] = true
	}
	for _, v := range extended {
		if !known[v.Name] {
			basic = append(basic, v)
		}
	}
	return basic, nil
}

// basicVersions reads __versions: an array of struct modversion_info, a long and
// a name that together have 64 bytes.
func (n *needReader) basicVersions() ([]Symbol, error) {
	const size = 64
	b, err := n.section(secVersions)
	if err != nil {
		return nil, err
	}
	if len(b)%size != 0 {
		return nil, malformed("__versions", "%d bytes are not a multiple of %d", len(b), size)
	}
	long := 4
	if n.is64 {
		long = 8
	}
	out := make([]Symbol, 0, len(b)/size)
	for text := string(b); len(b) > 0; b, text = b[size:], text[size:] {
		end := bytes.IndexByte(b[long:size], 0)
		if end < 0 {
			return nil, malformed("__versions", "name without an end")
		}
		crc := n.order.Uint32(b)
		if n.is64 {
			crc = uint32(n.order.Uint64(b))
		}
		out = append(out, Symbol{Name: text[long : long+end], CRC: crc})
	}
	return out, nil
}

// extendedVersions reads the pair of sections that kernels from 6.14 on write
// with CONFIG_EXTENDED_MODVERSIONS (add_extended_versions in
// scripts/mod/modpost.c): the checksums in one, the names in the same order in
// the other, each ended by NUL, with at least one further NUL at the end.
func (n *needReader) extendedVersions() ([]Symbol, error) {
	crcs, err := n.section(secExtendedCRCs)
	if err != nil {
		return nil, err
	}
	text, err := n.section(secExtendedNames)
	if err != nil {
		return nil, err
	}
	names := splitNUL(text)
	if len(crcs)%4 != 0 || len(names) != len(crcs)/4 {
		return nil, malformed("__version_ext_crcs", "%d bytes of checksums for %d names", len(crcs), len(names))
	}
	out := make([]Symbol, len(names))
	for i, name := range names {
		out[i] = Symbol{Name: string(name), CRC: n.order.Uint32(crcs[4*i:])}
	}
	return out, nil
}
