package depmod

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
	// has checksums compared as well.
	SystemMap, Symvers string
	Prefix             byte // of the architecture's symbols, 0 for none
	Unresolved         bool // tell of needed symbols that nobody exports
	Duplicates         bool // tell of index entries that say the same
	// Kmod is the version of kmod, from 30 on, whose indexes are wanted; 0 is the
	// newest known.
	Kmod int
	// Cache is the directory in which facts are kept from one run to the next, ""
	// for nowhere.
	Cache string
	// Tell takes messages as they come up, in kmod's words and order; nil drops
	// them. It is called from one goroutine at a time.
	Tell func(Message)
}

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
	Notice  Level = 5 // which module needs which, depmod -v
	Info    Level = 6
)
