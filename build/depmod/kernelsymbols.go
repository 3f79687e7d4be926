package depmod

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
)

// export is who exports a symbol.
type export struct {
	owner *module // nil for the kernel itself
	crc   uint64
}

// symbolTable is the exported symbols by name; what is added last counts.
type symbolTable struct {
	prefix  byte
	symbols map[string]export
}

// add adds a symbol with the architecture's prefix, if it has one.
func (t *symbolTable) add(name string, e export) { t.symbols[t.bare(name)] = e }

func (t *symbolTable) bare(name string) string {
	if t.prefix != 0 && name != "" && name[0] == t.prefix {
		return name[1:]
	}
	return name
}

// find looks up a needed symbol. On 64 bit PowerPC a function foo is .foo as well.
func (t *symbolTable) find(name string) (export, bool) {
	e, ok := t.symbols[t.bare(strings.TrimPrefix(name, "."))]
	return e, ok
}

// addLoader adds what the kernel makes up when it loads a module: the module
// itself, and the tables of offsets of S/390 and PowerPC.
func (t *symbolTable) addLoader() {
	t.symbols["__this_module"] = export{}
	t.symbols["_GLOBAL_OFFSET_TABLE_"] = export{}
	if _, ok := t.find("TOC."); !ok {
		t.symbols["TOC."] = export{}
	}
}

// kernelSymbols reads the symbols of the kernel itself, if they are asked for.
func (s *scan) kernelSymbols(t *symbolTable) error {
	file, read := s.opt.Symvers, s.symvers
	if file == "" {
		file, read = s.opt.SystemMap, s.systemMap
	}
	if file == "" {
		if s.opt.Unresolved {
			s.tell(Warning, "-e needs -E or -F")
			s.opt.Unresolved = false
		}
		return nil
	}
	data, err := s.root.ReadFile(s.abs(file))
	if err != nil {
		return s.fatal("could not load %s: %s", file, err)
	}
	read(t, data, file)
	t.addLoader()
	return nil
}

const symbolLine = 10240 // size of kmod's buffer for a line

// symvers reads a Module.symvers: checksum, symbol, "vmlinux" or the module's path,
// kind of export, separated by tabs.
func (s *scan) symvers(t *symbolTable, data []byte, file string) {
	number := 0
	for line := range fgets(data, symbolLine) {
		number++
		words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
		if len(words) < 3 || words[2] != "vmlinux" {
			continue
		}
		crc, err := parseHex(words[0])
		if err != nil {
			s.tell(Error, "%s:%d Invalid symbol version %s: %s", file, number, words[0], strerror(err))
			continue
		}
		t.add(words[1], export{crc: crc})
	}
}

// parseHex is strtoull(3) with base 16, of all of the text.
func parseHex(text string) (uint64, error) {
	digits := strings.TrimLeft(text, "\v\f\r\n")
	negative := strings.HasPrefix(digits, "-")
	digits = strings.TrimPrefix(strings.TrimPrefix(digits, "+"), "-")
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, syscall.ERANGE
	}
	if err != nil {
		return 0, syscall.Errno(0)
	}
	if negative {
		n = -n
	}
	return n, nil
}

// systemMap reads a System.map: address, kind and symbol. What modules may use has
// an entry __ksymtab_X.
func (s *scan) systemMap(t *symbolTable, data []byte, file string) {
	number := 0
	for line := range fgets(data, symbolLine) {
		number++
		_, rest, ok := strings.Cut(line, " ")
		if ok {
			_, rest, ok = strings.Cut(rest, " ")
		}
		if !ok {
			s.tell(Error, "%s:%d: invalid line: %s", file, number, line)
			continue
		}
		if name, ok := strings.CutPrefix(t.bare(rest), "__ksymtab_"); ok {
			name, _, _ = strings.Cut(name, "\n")
			t.symbols[name] = export{}
		}
	}
}
