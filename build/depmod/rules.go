package depmod

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
)

// rules is what the files of depmod.d(5) say. Lists are in kmod's order: what was
// read last comes first.
type rules struct {
	overrides []string // DIRECTORY/MODULE, below the kernel's directory
	searches  []string // a directory below the kernel's, or one of the two words
	externals []string // directories
	excludes  []string // names of files and directories
}

// The words of a search line that are no directories.
const (
	searchBuiltin  = "built-in"
	searchExternal = "external"
)

// usualRules is where rules are looked for, the most important first: of files of
// the same name only the first one is read.
func usualRules() []string {
	return []string{"/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/usr/lib/depmod.d", "/lib/depmod.d"}
}

func (s *scan) loadRules() {
	places := s.opt.Config
	if places == nil {
		places = usualRules()
	}
	for _, file := range s.ruleFiles(places) {
		data, err := s.root.ReadFile(s.abs(file))
		if err != nil {
			s.tell(Error, "file parse %s: %s", s.host(file), strerror(err))
			continue
		}
		s.rules.parse(data, s.host(file), s.opt.Release, s.tell)
	}
	if len(s.rules.searches) == 0 {
		s.rules.searches = []string{"updates"}
	}
}

// ruleFiles is the files to read, in the order of their names.
func (s *scan) ruleFiles(places []string) []string {
	var files []string
	add := func(file string) {
		name := path.Base(file)
		i, found := slices.BinarySearchFunc(files, name, func(f, name string) int { return strings.Compare(path.Base(f), name) })
		if !found {
			files = slices.Insert(files, i, file)
		}
	}
	for _, place := range places {
		info, err := s.root.Stat(s.abs(place))
		switch {
		case err != nil:
		case !info.IsDir():
			add(place)
		default:
			entries, err := s.root.ReadDir(s.abs(place))
			if err != nil {
				s.tell(Error, "files list %s: %s", s.host(place), strerror(err))
			}
			for _, e := range entries {
				if s.isRuleFile(place, e.Name()) {
					add(place + "/" + e.Name())
				}
			}
		}
	}
	return files
}

func (s *scan) isRuleFile(dir, name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	if len(name) < 6 || !strings.HasSuffix(name, ".conf") {
		s.tell(Info, "All cfg files need .conf: %s/%s", s.host(dir), name)
		return false
	}
	info, err := s.root.Stat(s.abs(dir) + "/" + name)
	if err != nil {
		s.tell(Error, "Cannot stat directory entry: %s%s", s.host(dir), name)
		return false
	}
	if info.IsDir() {
		s.tell(Error, "Directories inside directories are not supported: %s/%s", s.host(dir), name)
		return false
	}
	return true
}

// parse adds what one file says for the kernel release.
func (r *rules) parse(data []byte, file, release string, tell func(Level, string, ...any)) {
	number := 0
	for len(data) > 0 {
		var line string
		var read int
		line, read, data = wrappedLine(data)
		number += read
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
		if len(words) == 0 {
			continue
		}
		if !r.apply(words, file, number, release, tell) {
			tell(Error, "%s:%d: ignoring bad line starting with '%s'", file, number, words[0])
		}
	}
}

// apply reports false for a line that makes no sense.
func (r *rules) apply(words []string, file string, number int, release string, tell func(Level, string, ...any)) bool {
	switch args := words[1:]; words[0] {
	case "search":
		for _, w := range args {
			r.searches = slices.Insert(r.searches, 0, w)
		}
	case "exclude":
		for _, w := range args {
			r.excludes = slices.Insert(r.excludes, 0, w)
		}
	case "override":
		if len(args) < 3 {
			return false
		}
		if !matchesKernel(args[1], release) {
			tell(Info, "%s:%d: override kernel did not match %s", file, number, args[1])
			return true
		}
		r.overrides = slices.Insert(r.overrides, 0, args[2]+"/"+args[0])
	case "external":
		if len(args) < 2 {
			return false
		}
		if !matchesKernel(args[0], release) {
			tell(Info, "%s:%d: external directory did not match %s", file, number, args[0])
			return true
		}
		r.externals = slices.Insert(r.externals, 0, args[1])
	case "include", "make_map_files":
		tell(Info, "%s:%d: command %s not implemented yet", file, number, words[0])
	default:
		return false
	}
	return true
}

// wrappedLine takes the next line off data, in which a backslash joins lines and
// is dropped elsewhere. It returns the number of lines read.
func wrappedLine(data []byte) (line string, read int, rest []byte) {
	var b strings.Builder
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c == '\\' {
			i++
			if i == len(data) {
				break
			}
			if c = data[i]; c == '\n' {
				read++
				continue
			}
		} else if c == '\n' {
			return cString(b.String()), read + 1, data[i+1:]
		}
		b.WriteByte(c)
	}
	return cString(b.String()), read + 1, nil
}

// matchesKernel says whether an extended regular expression, or the star of old,
// means the kernel. One that is none means no kernel.
func matchesKernel(pattern, release string) bool {
	if pattern == "*" {
		return true
	}
	re, err := regexp.CompilePOSIX(pattern)
	if err != nil {
		return false
	}
	return re.MatchString(release)
}

func cString(s string) string {
	before, _, _ := strings.Cut(s, "\x00")
	return before
}

// fgets cuts data as a program does that reads lines with fgets(3) into size
// bytes: each piece ends with its newline, unless it is too long or the last one.
// What follows a NUL is not seen.
func fgets(data []byte, size int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(data) > 0 {
			end := bytes.IndexByte(data, '\n') + 1
			if end == 0 {
				end = len(data)
			}
			end = min(end, size-1)
			if !yield(cString(string(data[:end]))) {
				return
			}
			data = data[end:]
		}
	}
}
