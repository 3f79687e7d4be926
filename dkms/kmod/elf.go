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
	r    io.ReaderAt
	data []byte
	size int64
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
	b := make([]byte, size)
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
	sections []*elf.Section
	byName   map[string]*elf.Section // those of interesting(), the first of each name
}

// interesting says which sections are looked up by name. They are few, so that a
// map of them is cheap to build for each of thousands of modules.
func interesting(name string) bool {
	switch name {
	case ".modinfo", ".gnu.linkonce.this_module", ".note.gnu.build-id",
		".symtab", ".strtab", "__ksymtab_strings",
		"__versions", "__version_ext_crcs", "__version_ext_names":
		return true
	}
	return false
}

func readELF(src source) (*elfObject, error) {
	if err := checkHeader(src); err != nil {
		return nil, err
	}
	f, err := elf.NewFile(src.r)
	if err != nil {
		return nil, &FormatError{Part: "elf", Err: err}
	}
	if f.Type != elf.ET_REL {
		return nil, malformed("elf", "type %v, not a relocatable object", f.Type)
	}
	e := &elfObject{src: src, is64: f.Class == elf.ELFCLASS64, order: f.ByteOrder, machine: f.Machine, sections: f.Sections}
	e.byName = make(map[string]*elf.Section, 8)
	for _, s := range f.Sections[1:] { // the first one is always empty
		if interesting(s.Name) && e.byName[s.Name] == nil {
			e.byName[s.Name] = s
		}
	}
	return e, nil
}

// checkHeader refuses two things that debug/elf would take: a file that is no
// ELF at all gets a clear word, and a number of sections kept outside the header
// (more than 65279, which the kernel does not load) would let a file ask for
// gigabytes of section records.
func checkHeader(src source) error {
	head, err := src.bytes("elf", 0, min(uint64(src.size), 64))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return malformed("elf", "bad magic number")
	}
	at := 48 // e_shnum, two bytes: zero is zero in either byte order
	if len(head) > elf.EI_CLASS && elf.Class(head[elf.EI_CLASS]) == elf.ELFCLASS64 {
		at = 60
	}
	if len(head) < at+2 {
		return malformed("elf", "header cut short")
	}
	if head[at] == 0 && head[at+1] == 0 {
		return malformed("elf", "no sections")
	}
	return nil
}

// section is the content of the first section of that name, nil when there is none.
func (e *elfObject) section(name string) ([]byte, error) {
	s := e.byName[name]
	if s == nil {
		return nil, nil
	}
	return e.content(s)
}

func (e *elfObject) content(s *elf.Section) ([]byte, error) {
	return e.src.bytes(s.Name, s.Offset, s.FileSize)
}

// thisModule is the name in struct module, which begins with an enum, two
// pointers of a list and then the name, as long as makes 64 bytes with a long
// (MODULE_NAME_LEN in include/linux/module.h).
func (e *elfObject) thisModule() (string, error) {
	s := e.byName[".gnu.linkonce.this_module"]
	if s == nil {
		return "", nil
	}
	offset, size := uint64(12), uint64(60)
	if e.is64 {
		offset, size = 24, 56
	}
	if s.FileSize < offset+size || s.Offset > math.MaxUint64-offset {
		return "", malformed(s.Name, "%d bytes are too few for a struct module", s.FileSize)
	}
	b, err := e.src.bytes(s.Name, s.Offset+offset, size)
	return string(cString(b)), err
}

// buildID takes the identification out of its ELF note: name size, identification
// size, type, the name "GNU" and its NUL, identification.
func (e *elfObject) buildID() ([]byte, error) {
	const typeBuildID = 3 // NT_GNU_BUILD_ID
	note, err := e.section(".note.gnu.build-id")
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
