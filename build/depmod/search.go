package depmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"dkms-go/dkms/kmod"

	"dkms-go/conf/sysroot"
)

// module is a module file that is to be indexed, and what is known of it.
type module struct {
	Facts
	path    string // inside the root
	rel     string // below the kernel's directory; "" for those elsewhere
	name    string
	readErr error // see readFacts

	own     bool  // the kernel's own: it was built with it, because modules.order lists it
	lent    bool  // the facts are those of the earlier indexes, which do not have Needs
	closure []int // of one's own, if indexes were asked: what it needs altogether, by index
	reduced []int // of a lent one: what of that the others do not bring along

	index int   // in the order of the indexes
	needs []int // modules it needs, by index, each once; later in the order of loading
	users int   // how many modules need it
	rank  int   // place in the order of loading, users first
}

// shown is how the indexes write the module.
func (m *module) shown() string {
	if m.rel != "" {
		return m.rel
	}
	return m.path
}

// stem is the path up to the first dot of the file's name.
func (m *module) stem() string { return m.path[:dirLen(m.path)+len(m.name)] }

// dirLen is the length of the directory of a path, with its slash.
func dirLen(p string) int { return strings.LastIndexByte(p, '/') + 1 }

// listed is how modules.order writes the module: as it would be uncompressed.
func (m *module) listed() string {
	if m.rel == "" {
		return ""
	}
	return uncompressed(m.rel)
}

func uncompressed(rel string) string {
	end := dirLen(rel) + len(kmod.ModuleName(rel)) + len(".ko")
	return rel[:min(end, len(rel))]
}

// search finds the modules of a kernel, as depmod_modules_search does.
type search struct {
	*scan
	byName map[string]*module
}

// modules is what is to be indexed, in the order of kmod's table of modules.
func (s *scan) modules() ([]*module, error) {
	x := &search{scan: s, byName: map[string]*module{}}
	var err error
	if s.opt.Files != nil {
		err = x.given()
	} else {
		err = x.all()
	}
	if err != nil {
		return nil, err
	}
	list := make([]*module, 0, len(x.byName))
	for _, m := range x.byName {
		list = append(list, m)
	}
	hashOrder(list, moduleBuckets, func(m *module) string { return m.name })
	if len(list) >= 1<<16-1 {
		return nil, s.fatal("could not build module array: %s", syscall.ERANGE)
	}
	return list, nil
}

func (s *scan) newModule(file string) *module {
	m := &module{path: file, name: kmod.ModuleName(file)}
	if rel, ok := strings.CutPrefix(file, s.opt.Dir+"/"); ok {
		m.rel = rel
	}
	return m
}

// given takes the modules that were asked for.
func (x *search) given() error {
	for _, file := range x.opt.Files {
		if !strings.HasPrefix(file, "/") {
			return x.fatal("%s: not absolute path.", file)
		}
		if _, err := x.root.Stat(file); err != nil {
			return x.fatal("could not create module %s: %s", x.host(file), err)
		}
		m := x.newModule(file)
		if old := x.byName[m.name]; old != nil && old.path != m.path {
			x.tell(Error, "kmod_module '%s' already exists with different path: new-path='%s' old-path='%s'",
				m.name, x.host(m.path), x.host(old.path))
			return x.fatal("could not create module %s: %s", x.host(file), syscall.EEXIST)
		} else if old != nil {
			x.tell(Error, "hash_add_unique %s: %s", m.name, strerror(syscall.EEXIST))
			return x.fatal("could not add module %s: %s", x.host(file), syscall.EEXIST)
		}
		x.byName[m.name] = m
	}
	return nil
}

// all walks through the kernel's directory and those that rules add.
func (x *search) all() error {
	if err := x.walk(x.opt.Dir, nil); err != nil {
		x.tell(Error, "could not open directory %s: %s", x.host(x.opt.Dir), strerror(err))
		return x.fatal("could not search modules: %s", err)
	}
	for _, dir := range x.rules.externals {
		if err := x.walk(dir, nil); err != nil {
			x.tell(Error, "could not open directory %s: %s", x.host(dir), strerror(err))
		}
	}
	return nil
}

// walk goes through a directory, at the end of a way of directories above it. The
// error is that of opening it.
func (x *search) walk(dir string, way []fs.FileInfo) error {
	entries, way, err := x.list(dir, way)
	if err != nil {
		return err
	}
	for _, e := range entries {
		x.entry(dir, e, way)
	}
	return nil
}

// list reads a directory in its own order, which decides where a module is found
// that lies in several places of equal right. It returns the way to what is in it.
func (x *search) list(dir string, way []fs.FileInfo) ([]fs.DirEntry, []fs.FileInfo, error) {
	f, err := x.root.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, syscall.ENOTDIR
	}
	if slices.ContainsFunc(way, func(above fs.FileInfo) bool { return sysroot.SameFile(info, above) }) {
		return nil, nil, syscall.ELOOP // a link to where it is; kmod follows it until it has no more files to open
	}
	entries, err := f.ReadDir(-1)
	if len(entries) > 0 {
		err = nil // kmod takes an error for the end
	}
	return entries, append(slices.Clip(way), info), err
}

func (x *search) entry(dir string, e fs.DirEntry, way []fs.FileInfo) {
	name := e.Name()
	if x.excluded(name) {
		return
	}
	file := dir + "/" + name
	fd := 2 + len(way) // what kmod has open
	mode := e.Type()
	if !mode.IsRegular() && !mode.IsDir() {
		info, err := x.root.Stat(file)
		if err != nil {
			x.tell(Error, "fstatat(%d, %s): %s", fd, name, strerror(err))
			return
		}
		mode = info.Mode()
	}
	switch {
	case mode.IsDir():
		if err := x.walk(file, way); err != nil {
			x.tell(Error, "openat(%d, %s, O_RDONLY): %s", fd, name, strerror(err))
		}
	case mode.IsRegular():
		if isModule(name) {
			x.found(file)
		}
	default:
		x.tell(Error, "unsupported file type %s: %o", x.host(file), fileType(mode))
	}
}

func (x *search) excluded(name string) bool {
	return name == "build" || name == "source" || slices.Contains(x.rules.excludes, name)
}

// isModule goes by the name alone.
func isModule(name string) bool {
	for _, suffix := range []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"} {
		if len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// fileType is S_IFMT's part of st_mode for what is neither file nor directory.
func fileType(mode fs.FileMode) uint32 {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return syscall.S_IFIFO
	case mode&fs.ModeSocket != 0:
		return syscall.S_IFSOCK
	case mode&fs.ModeCharDevice != 0:
		return syscall.S_IFCHR
	default:
		return syscall.S_IFBLK
	}
}

// found takes a module file, unless one of that name is preferred.
func (x *search) found(file string) {
	m := x.newModule(file)
	if old := x.byName[m.name]; old != nil && x.prefers(old, m) {
		return
	}
	x.byName[m.name] = m
}

// prefers says whether the module found before stays when another of its name is
// found (depmod_module_is_higher_priority).
func (x *search) prefers(old, found *module) bool {
	newStem, oldStem := found.stem(), old.stem()
	newRel, oldRel := x.below(newStem), x.below(oldStem)
	for _, o := range x.rules.overrides {
		if newRel == o {
			return false
		}
		if oldRel == o {
			return true
		}
	}
	builtin, newPlace, oldPlace := -1, -1, -1
	place := 0
	for _, dir := range x.rules.searches {
		switch {
		case dir == searchBuiltin:
			builtin = place
		case dir == searchExternal:
			for _, ext := range x.rules.externals {
				if strings.HasPrefix(newStem, ext+"/") {
					newPlace = place
				}
				if strings.HasPrefix(oldStem, ext+"/") {
					oldPlace = place
				}
				place++
			}
		case strings.HasPrefix(newRel, dir+"/"):
			newPlace = place
		case strings.HasPrefix(oldRel, dir+"/"):
			oldPlace = place
		}
		place++
	}
	if newPlace < 0 {
		newPlace = builtin
	}
	if oldPlace < 0 {
		oldPlace = builtin
	}
	return newPlace <= oldPlace
}

// below is a path below the kernel's directory, "" for one elsewhere.
func (x *search) below(file string) string {
	rel, ok := strings.CutPrefix(file, x.opt.Dir)
	if !ok || rel == "" {
		return ""
	}
	return rel[1:]
}

// sortModules puts the modules that modules.order lists first, in its order, and
// numbers them.
func (s *scan) sortModules(list []*module) {
	defer func() {
		for i, m := range list {
			m.index = i
		}
	}()
	data, ok := s.optional("modules.order")
	if !ok {
		return
	}
	byPath := make(map[string]*module, len(list))
	for _, m := range list {
		if listed := m.listed(); listed != "" {
			byPath[listed] = m
		}
	}
	places := make(map[*module]int, len(list))
	s.ordered = make(map[string]bool, len(list))
	number := 0
	for line := range fgets(data, pathMax) {
		number++
		if line == "" {
			continue
		}
		line, ok := strings.CutSuffix(line, "\n")
		if !ok {
			s.tell(Error, "%s/modules.order:%d corrupted line misses '\\n'", s.host(s.opt.Dir), number)
			return
		}
		s.ordered[line] = true
		m := byPath[line]
		if m == nil {
			continue
		}
		m.own = true
		if _, twice := places[m]; !twice || s.opt.Kmod.before(34) {
			places[m] = number - 1<<30
		}
	}
	slices.SortStableFunc(list, func(a, b *module) int { return places[a] - places[b] })
}

// optional reads a file in the kernel's directory that need not be there.
func (s *scan) optional(name string) (data []byte, ok bool) {
	data, err := s.root.ReadFile(path.Join(s.opt.Dir, name))
	if err == nil {
		return data, true
	}
	if _, dirErr := s.root.Stat(s.opt.Dir); dirErr != nil {
		s.tell(Warning, "could not open directory %s: %s", s.host(s.opt.Dir), strerror(dirErr))
	} else if !errors.Is(err, syscall.EISDIR) {
		s.tell(Warning, "could not open %s at %s: %s", name, s.host(s.opt.Dir), strerror(err))
	}
	return nil, false
}

// abs is where a file of the options is.
func (s *scan) abs(file string) string {
	if strings.HasPrefix(file, "/") {
		return file
	}
	return s.opt.WorkDir + "/" + file
}

// host is a path as kmod would write it: outside the root.
func (s *scan) host(file string) string {
	if dir := s.root.Dir(); dir != "/" && strings.HasPrefix(file, "/") {
		return dir + file
	}
	return file
}

// fatal tells what ends the run, and is the error for it. A last argument that is
// an error is told in the system's words.
func (s *scan) fatal(format string, args ...any) error {
	words := slices.Clone(args)
	for i, a := range words {
		if err, ok := a.(error); ok {
			words[i] = strerror(err)
		}
	}
	text := fmt.Sprintf(format, words...)
	s.tell(Fatal, "%s", text)
	return &FatalError{Text: text}
}

// pathMax is the size of kmod's buffers for lines and paths.
const pathMax = 4096
