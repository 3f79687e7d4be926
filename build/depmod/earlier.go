package depmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"dkms-go/dkms/kmod"
)

// earlier is the indexes that lie in a kernel's directory, and what they say of
// each module. doc.go tells when they are believed.
type earlier struct {
	at     time.Time      // when the oldest of them was written
	lines  []string       // of modules.dep
	number map[string]int // of a module's line, by the module's path
	needs  [][]string     // paths, of each line

	// By the name of a module.
	aliases, softdeps, weakdeps, exports map[string][]string
}

// errUnlike says that something in the earlier indexes cannot be, or cannot be
// known from them alone.
var errUnlike = errors.New("the indexes that are there do not tell enough")

// believes says whether the earlier indexes may be asked at all.
func (o *Options) believes() bool {
	return o.Earlier && o.Files == nil && o.OutDir == o.Dir && !o.TextOnly && !o.Unresolved && !o.Duplicates && !o.Needs &&
		o.Symvers == "" && o.SystemMap == ""
}

// borrow takes the facts of those of the kernel's own modules that are not known
// yet from the indexes that are there, if these tell about all of them.
func (s *scan) borrow(list []*module, known map[string]*record, stamps []stamp) {
	unknown := func(m *module) bool { return m.own && s.records[m.index].path == "" }
	if !s.opt.believes() || s.told > 0 || !slices.ContainsFunc(list, unknown) {
		return
	}
	e := s.readEarlier()
	if e == nil || !e.covers(list, stamps) || e.hides(s, list, known) {
		return
	}
	closures, ok := e.closures(list)
	if !ok {
		return
	}
	for _, m := range list {
		if m.closure = closures[m.index]; unknown(m) {
			m.lent, m.Facts = true, e.facts(m.name)
		}
	}
	reduce(list)
	s.borrowed = true
}

// covers says whether the indexes are about all of the kernel's own modules, and
// younger than every one.
func (e *earlier) covers(list []*module, stamps []stamp) bool {
	for i, m := range list {
		if _, ok := e.number[m.rel]; m.own && !(ok && stamps[i].settled(e.at)) {
			return false
		}
	}
	return true
}

// hides says whether a module that was there may have kept something of another
// one out of the indexes: a symbol that both export. Of those that are not the
// kernel's own and in the cache it was found out before that they do not.
func (e *earlier) hides(s *scan, list []*module, known map[string]*record) bool {
	own := map[string]bool{}
	for _, m := range list {
		own[m.rel] = m.own
	}
	for file := range e.number {
		if own[file] || len(e.exports[kmod.ModuleName(file)]) == 0 {
			continue
		}
		if s.ordered[uncompressed(file)] || known[path.Join(s.opt.Dir, file)] == nil {
			return true
		}
	}
	return false
}

// closures is, by index, what each of the kernel's own modules needs altogether.
// All of that is the kernel's own: so it was when the kernel was built.
func (e *earlier) closures(list []*module) ([][]int, bool) {
	byPath := make(map[string]*module, len(list))
	for _, m := range list {
		if m.own {
			byPath[m.rel] = m
		}
	}
	out := make([][]int, len(list))
	for _, m := range list {
		if !m.own {
			continue
		}
		for _, file := range e.needs[e.number[m.rel]] {
			n := byPath[file]
			if n == nil || n == m {
				return nil, false
			}
			out[m.index] = append(out[m.index], n.index)
		}
	}
	return out, true
}

// facts is what the indexes say of a module.
func (e *earlier) facts(name string) Facts {
	f := Facts{Aliases: e.aliases[name], Softdeps: e.softdeps[name], Weakdeps: e.weakdeps[name]}
	for _, symbol := range e.exports[name] {
		f.Exports = append(f.Exports, Symbol{Name: symbol})
	}
	return f
}

// reduce finds out, for modules of which only the closure is known, which ones of
// it they must need themselves: those that the others do not bring along. Others
// may be needed as well, which makes no difference to any order, because a module
// comes after the last one that needs it, and that is never one of those.
func reduce(list []*module) {
	brought := make([]int, len(list)) // by index: 1 + the last module that others bring it along for
	for _, m := range list {
		if !m.lent {
			continue
		}
		for _, n := range m.closure {
			for _, below := range list[n].closure {
				brought[below] = m.index + 1
			}
		}
		for _, n := range m.closure {
			if brought[n] != m.index+1 {
				m.reduced = append(m.reduced, n)
			}
		}
	}
}

// contradicts says whether modules that have now been read change what is known of
// those that are lent.
func (s *scan) contradicts(list []*module, read []int) bool {
	return s.told > 0 || s.collides(list) ||
		slices.ContainsFunc(read, func(n int) bool { return list[n].readErr != nil || list[n].Errno != 0 })
}

// collides says whether a module that is not the kernel's own may export a symbol
// that one of the kernel's own does too, or did if it is not installed. Then others
// may need another module than the earlier indexes say.
func (s *scan) collides(list []*module) bool {
	installed := 0
	own := map[string]bool{}
	for _, m := range list {
		if !m.own {
			continue
		}
		installed++
		for _, x := range m.Exports {
			own[x.Name] = true
		}
	}
	whole := installed == len(s.ordered)
	return slices.ContainsFunc(list, func(m *module) bool {
		return !m.own && slices.ContainsFunc(m.Exports, func(x Symbol) bool { return own[x.Name] || !whole })
	})
}

// confirms says whether what has now been read of a module has it need the same
// as the indexes say.
func confirms(m *module, list []*module) bool {
	told := make(map[int]bool, len(m.closure))
	for _, n := range m.closure {
		told[n] = true
	}
	found := map[int]bool{}
	for _, n := range m.needs {
		found[n] = true
		for _, below := range list[n].closure {
			found[below] = true
		}
	}
	for n := range found {
		if !told[n] {
			return false
		}
	}
	return len(found) == len(told)
}

// readEarlier reads the indexes that lie in the kernel's directory. It returns nil
// unless they are all there, whole, and agree with each other.
func (s *scan) readEarlier() *earlier {
	if _, err := s.root.Lstat(path.Join(s.opt.Dir, groupName+".old")); err == nil {
		return nil // a Publish was cut off
	}
	e := &earlier{}
	files := map[string][]byte{}
	for _, k := range kinds() {
		if strings.HasPrefix(k.name, "modules.builtin") || k.name == "modules.devname" || s.opt.Kmod.before(k.since) {
			continue
		}
		data, at, ok := s.earlierFile(k.name)
		if !ok {
			return nil
		}
		files[k.name] = data
		if e.at.IsZero() || at.Before(e.at) {
			e.at = at
		}
	}
	if !e.parse(files) || !e.agrees(files) {
		return nil
	}
	return e
}

// earlierFile reads one of the indexes, if it is one that can be trusted.
func (s *scan) earlierFile(name string) (data []byte, at time.Time, ok bool) {
	f, err := s.root.OpenNonblock(path.Join(s.opt.Dir, name))
	if err != nil {
		return nil, at, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !trusted(info) {
		return nil, at, false
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return nil, at, false
	}
	return b.Bytes(), info.ModTime(), true
}

// parse reads the text files, and says whether they can be what depmod writes.
func (e *earlier) parse(files map[string][]byte) (ok bool) {
	if ok = e.parseDep(files["modules.dep"]); !ok {
		return false
	}
	for _, t := range []struct {
		file, key string
		last      bool // the module is the last word of a line, otherwise the second
		into      *map[string][]string
	}{
		{"modules.alias", "alias ", true, &e.aliases},
		{"modules.symbols", "alias symbol:", true, &e.exports},
		{"modules.softdep", "softdep ", false, &e.softdeps},
		{"modules.weakdep", "weakdep ", false, &e.weakdeps},
	} {
		data, there := files[t.file]
		if !there {
			continue // of an older kmod
		}
		if *t.into, ok = byModule(data, t.key, t.last); !ok {
			return false
		}
	}
	return true
}

func (e *earlier) parseDep(data []byte) bool {
	lines, ok := textLines(data)
	e.lines, e.number = lines, make(map[string]int, len(lines))
	for i, line := range lines {
		file, rest, colon := strings.Cut(line, ":")
		e.number[file] = i
		e.needs = append(e.needs, strings.Fields(rest))
		ok = ok && colon
	}
	return ok
}

// byModule reads a file that begins with a remark, and of which each line begins
// with key and has a module and something about it, in one order or the other.
func byModule(data []byte, key string, last bool) (map[string][]string, bool) {
	lines, ok := textLines(data)
	if !ok || !strings.HasPrefix(lines[0], "#") {
		return nil, false
	}
	out := make(map[string][]string, len(lines))
	for _, line := range lines[1:] {
		rest, isKey := strings.CutPrefix(line, key)
		at := strings.IndexByte(rest, ' ')
		if last {
			at = strings.LastIndexByte(rest, ' ')
		}
		if !isKey || at < 0 {
			return nil, false
		}
		module, text := rest[:at], rest[at+1:]
		if last {
			module, text = text, module
		}
		out[module] = append(out[module], text)
	}
	return out, true
}

// textLines is the lines of a text whose last one is complete.
func textLines(data []byte) ([]string, bool) {
	whole, ok := strings.CutSuffix(string(data), "\n")
	return strings.Split(whole, "\n"), ok && !strings.Contains(whole, "\x00")
}

// agrees says whether the binary files are what the text files make. They were
// written one by one, so that damage, such as the power cut after which a file is
// empty or older than the rest, would have had to happen to both in the same way.
func (e *earlier) agrees(files map[string][]byte) bool {
	var dep, alias, symbols entries
	for i, line := range e.lines {
		file, _, _ := strings.Cut(line, ":")
		name := kmod.ModuleName(file)
		dep.add(name, line, i)
		for _, text := range e.aliases[name] {
			if a, ok := normalizeAlias(text); ok {
				alias.add(a, name, i)
			}
		}
		for _, symbol := range e.exports[name] {
			symbols.add("symbol:"+symbol, name, i)
		}
	}
	for name, want := range map[string]*entries{"modules.dep.bin": &dep, "modules.alias.bin": &alias, "modules.symbols.bin": &symbols} {
		have := files[name]
		if len(have) < trieHeader {
			return false
		}
		nodesLast := binary.BigEndian.Uint32(have[8:])&trieOffset != trieHeader
		if data, err := want.trie(nodesLast); err != nil || !bytes.Equal(data, have) {
			return false
		}
	}
	return true
}
