package dkms

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// What an archive may hold at most. Each is some ten times what the largest modules need.
const (
	maxMembers = 100_000   // the sources of OpenZFS are 5000 files, those of all of Linux 90,000
	maxBytes   = 8 << 30   // NVIDIA's modules are 150 MB for each kernel before stripping
	maxPadding = 1 << 20   // tar pads its output to a multiple of 10 kB; some tapes want more
	maxName    = 4096 - 96 // PATH_MAX, with room for the directory that it is unpacked in
	maxElement = 255       // NAME_MAX
	maxHops    = 40        // links in one path, as in Linux
)

// MemberError says that a member of an archive is not taken: its name is absolute, leads out of the archive or holds
// control characters; it is no file, directory or link; it is there twice; it is a link that leads out of its tree, or lies
// below something that is no directory; or there is too much of it.
type MemberError struct {
	Name string // as it stands in the archive
	Why  string
}

// Error names the member and says why.
func (e *MemberError) Error() string { return fmt.Sprintf("member %q: %s", e.Name, e.Why) }

// member is what counts of one member of an archive. Two passes over the same file must give the same members.
type member struct {
	name  string // clean and relative; "." is the archive itself
	kind  byte   // tar.TypeReg, TypeDir, TypeSymlink or TypeLink
	mode  fs.FileMode
	size  int64
	mtime int64  // seconds
	link  string // target: as written of a symbolic link, a member's name of a hard link
}

func (m member) isDir() bool { return m.kind == tar.TypeDir }

// contents collects the members of an archive.
type contents struct {
	list  []member
	index map[string]int // by name
	bytes int64
}

// isFile reports whether there is a regular file of that name.
func (c *contents) isFile(name string) bool {
	n, ok := c.index[name]
	return ok && (c.list[n].kind == tar.TypeReg || c.list[n].kind == tar.TypeLink)
}

// parseMember takes what counts out of a header. It refuses what can be refused without knowing other members.
func parseMember(h *tar.Header) (member, error) {
	bad := func(why string, args ...any) (member, error) {
		return member{}, &MemberError{Name: h.Name, Why: fmt.Sprintf(why, args...)}
	}
	if why := badPath(h.Name); why != "" {
		return bad("%s", why)
	}
	m := member{
		name: path.Clean(h.Name), kind: h.Typeflag, size: h.Size, mtime: h.ModTime.Unix(),
		mode: fs.FileMode(h.Mode) & 0o777, //nolint:gosec // the rest is cut off
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeSymlink:
		if len(h.Linkname) > maxName || h.Linkname == "" {
			return bad("it is a link to nothing that could exist")
		}
		m.link = h.Linkname
	case tar.TypeLink:
		if why := badPath(h.Linkname); why != "" {
			return bad("it is a link to %q: %s", h.Linkname, why)
		}
		m.link = path.Clean(h.Linkname)
	default:
		return bad("it is %s; only files, directories and links are loaded", typeName(h.Typeflag))
	}
	if m.name == "." && !m.isDir() {
		return bad("it has no name")
	}
	if m.kind != tar.TypeReg {
		m.size = 0
	}
	return m, nil
}

// badPath says what is wrong with the name of a member, or nothing.
func badPath(name string) string {
	switch {
	case name == "":
		return "it has no name"
	case strings.HasPrefix(name, "/"):
		return "its path is absolute"
	case len(name) > maxName:
		return "its path is too long"
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f {
			return fmt.Sprintf("its name contains %q", c)
		}
	}
	for e := range strings.SplitSeq(name, "/") {
		switch {
		case e == "..":
			return "its path leads out of the archive"
		case len(e) > maxElement:
			return "its name is too long"
		}
	}
	return ""
}

func typeName(t byte) string {
	switch t {
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a named pipe"
	}
	return fmt.Sprintf("of type %q", t)
}

// add takes one more member.
func (c *contents) add(h *tar.Header) error {
	m, err := parseMember(h)
	if err != nil {
		return err
	}
	bad := func(why string, args ...any) error {
		return &MemberError{Name: h.Name, Why: fmt.Sprintf(why, args...)}
	}
	if _, ok := c.index[m.name]; ok {
		return bad("it is there twice")
	}
	if c.bytes += m.size; m.size > maxBytes || c.bytes > maxBytes {
		return bad("the archive unpacks to more than %d GiB", maxBytes>>30)
	}
	if m.kind == tar.TypeLink && !c.isFile(m.link) {
		return bad("it is a link to %q, which is no file before it", h.Linkname)
	}
	if c.index == nil {
		c.index = map[string]int{}
	}
	c.index[m.name] = len(c.list)
	c.list = append(c.list, m)
	return nil
}

// check looks at members that other members decide about: nothing may lie below what is no directory, and no link may lead
// out of the directory that scope returns for its name.
func (c *contents) check(scope func(name string) string) error {
	for _, m := range c.list {
		for dir := path.Dir(m.name); dir != "."; dir = path.Dir(dir) {
			if n, ok := c.index[dir]; ok && !c.list[n].isDir() {
				return &MemberError{Name: m.name, Why: fmt.Sprintf("it lies below %q, which is no directory", dir)}
			}
		}
		tree := scope(m.name)
		switch {
		case m.kind == tar.TypeSymlink && !c.stays(tree, m), m.kind == tar.TypeLink && !within(m.link, tree):
			return &MemberError{Name: m.name, Why: fmt.Sprintf("it is a link to %q, which is outside of %s", m.link, treeName(tree))}
		}
	}
	return nil
}

func treeName(tree string) string {
	if tree == "." {
		return "the archive"
	}
	return tree
}

// stays reports whether the symbolic link m, followed through all links on its way, never leaves the directory tree. One
// that ends nowhere or goes round in circles stays.
func (c *contents) stays(tree string, m member) bool {
	if tree != "." && m.name == tree {
		return false // the tree itself is the link
	}
	at := path.Dir(m.name)
	todo := strings.Split(m.link, "/")
	if path.IsAbs(m.link) {
		return false
	}
	for hops := 0; len(todo) > 0; {
		e := todo[0]
		todo = todo[1:]
		switch e {
		case "", ".":
			continue
		case "..":
			if at == tree || at == "." {
				return false
			}
			at = path.Dir(at)
			continue
		}
		at = path.Join(at, e)
		n, ok := c.index[at]
		if !ok || c.list[n].kind != tar.TypeSymlink {
			continue
		}
		if hops++; hops > maxHops {
			return true
		}
		if path.IsAbs(c.list[n].link) {
			return false
		}
		at = path.Dir(at)
		todo = append(strings.Split(c.list[n].link, "/"), todo...)
	}
	return true
}
