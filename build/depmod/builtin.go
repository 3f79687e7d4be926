package depmod

import (
	"bytes"
	"strings"
)

// builtinNames is what goes into modules.builtin.bin: the modules in the kernel
// itself, one path in each line of modules.builtin.
func (o *output) builtinNames(data []byte) *entries {
	e := &entries{}
	name := ""
	for line := range fgets(data, pathMax) {
		if line == "" || !isLetter(line[0]) {
			o.tell(Error, "Invalid modules.builtin line: %s", line)
			continue
		}
		if !strings.HasSuffix(line, "/") { // kmod takes the name before it once more
			name = builtinName(line)
		}
		e.add(name, "", 0)
	}
	return e
}

// builtinName is the module's name in a line: up to a dot, with which the newline
// goes; a line without keeps it, as kmod does.
func builtinName(line string) string {
	name, _, _ := strings.Cut(line[strings.LastIndexByte(line, '/')+1:], ".")
	return strings.ReplaceAll(name, "-", "_")
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// builtinAliases is what goes into modules.builtin.alias.bin: the aliases in
// modules.builtin.modinfo, texts of the form module.key=value that end with NUL.
func (o *output) builtinAliases(data []byte) *entries {
	e := &entries{}
	r := &modinfoReader{rest: data, tell: o.tell}
	for !r.end {
		name := r.until('.')
		if name == "" {
			continue
		}
		if r.until('=') != "alias" {
			r.until(0)
			continue
		}
		value := r.until(0)
		if value == "" {
			continue
		}
		alias, ok := normalizeAlias(value)
		if !ok {
			o.tell(Warning, "Unmatched bracket in %s", value)
			continue
		}
		e.add(alias, name, 0)
	}
	return e
}

// modinfoReader takes texts off a file.
type modinfoReader struct {
	rest []byte
	end  bool // something was read beyond the end
	tell func(Level, string, ...any)
}

// until is what comes before the next end, "" when a NUL or the end of the file
// comes first. Both go.
func (r *modinfoReader) until(end byte) string {
	i := bytes.IndexAny(r.rest, string([]byte{end, 0}))
	if i < 0 {
		r.rest, r.end = nil, true
		return ""
	}
	text, c := string(r.rest[:i]), r.rest[i]
	r.rest = r.rest[i+1:]
	if c != end {
		return ""
	}
	return text
}

// normalizeAlias is an alias as modprobe looks for it: dashes are underscores,
// except in brackets. ok is false when brackets do not match.
func normalizeAlias(alias string) (_ string, ok bool) {
	alias = alias[:min(len(alias), pathMax-1)]
	if strings.IndexByte(alias, '-') < 0 && strings.IndexByte(alias, '[') < 0 && strings.IndexByte(alias, ']') < 0 {
		return alias, true
	}
	b := []byte(alias)
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '-':
			b[i] = '_'
		case ']':
			return "", false
		case '[':
			end := bytes.IndexByte(b[i:], ']')
			if end < 0 {
				return "", false
			}
			i += end
		}
	}
	return string(b), true
}
