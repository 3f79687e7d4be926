package depmod

import (
	"path"

	"dkms-go/conf/sysroot"
)

// Options says which modules are indexed, and how. Paths are inside the root.
type Options struct {
	Release string // the kernel
	Dir     string // the directory of its modules, normally /lib/modules/RELEASE
	OutDir  string // where the indexes go; "" means Dir
	// Config is the files and directories of rules to read instead of the usual
	// ones (see depmod.d(5)); nil means those.
	Config []string
	// Files is the modules to index; nil means all that are found in Dir.
	Files []string
	// SystemMap is a System.map, Symvers a Module.symvers, from which the kernel's
	// own symbols are taken; "" means none. Symvers counts if both are given, and
	// has checksums compared as well. Without Unresolved they change nothing.
	SystemMap, Symvers string
	// WorkDir is what relative paths in Config, SystemMap and Symvers are relative
	// to; in messages they stay as they are.
	WorkDir    string
	Prefix     byte // of the architecture's symbols, 0 for none
	Unresolved bool // tell of needed symbols that nobody exports
	Duplicates bool // tell of index entries that say the same
	Needs      bool // tell which module needs which, and for what symbol
	TextOnly   bool // leave the binary files out
	Kmod       KmodVersion
	// Cache is the directory in which facts are kept from one run to the next, ""
	// for nowhere.
	Cache string
	// Earlier believes the indexes that lie in Dir about the kernel's own modules,
	// those that modules.order lists, if they are younger than these.
	Earlier bool
	// Tell takes messages in kmod's words and order; nil drops them. It is called
	// from one goroutine.
	Tell func(Message)
}

// KmodVersion is a version of kmod, from 30 on, whose indexes are wanted; 0 is the
// newest known. What differs:
//
//   - before 33 there is no modules.weakdep;
//   - before 34 the nodes of a binary index come after those below them, and the
//     last of several lines for a module in modules.order counts, not the first.
type KmodVersion int

// before reports whether the version is older than another.
func (v KmodVersion) before(other KmodVersion) bool { return v != 0 && v < other }

// Message is what depmod has to say.
type Message struct {
	Level Level
	Text  string // without the end of line
}

// Level is how much a message matters, numbered as syslog(3) does.
type Level int

// The levels that depmod knows. After a message that is Fatal comes an error.
const (
	Fatal   Level = 2
	Error   Level = 3
	Warning Level = 4
	Notice  Level = 5 // which module needs which
	Info    Level = 6
)

// CacheFor is where facts about the modules of an install tree are kept: below
// /var/cache/dkms for the machine's own, and nowhere for those of images and
// packages that are being made.
func CacheFor(root *sysroot.Root, installTree string) string {
	tree := path.Clean(installTree)
	if root.Dir() != "/" || tree != "/lib/modules" && tree != "/usr/lib/modules" {
		return ""
	}
	return "/var/cache/dkms/depmod"
}
