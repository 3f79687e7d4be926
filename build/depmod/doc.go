// Package depmod computes and writes the module indexes of a kernel: modules.dep,
// modules.alias and their kin, which modprobe and udev read.
//
// It stands beside kbuild and sign, below build, which asks for it once per
// kernel after modules have been placed or removed; `dkms depmod` offers all of
// it to people. dkms/kmod reads the modules, conf/sysroot writes the files. What
// it writes is, byte for byte, what depmod of kmod writes (34; see [KmodVersion]
// for older ones), and what it says is in kmod's words, because scripts read
// them. Function names in comments are those of kmod's tools/depmod.c.
//
// [Scan] finds the modules, reads the facts of each one on all processors, and
// computes; it changes nothing. [Index.Publish] writes. [Indexer] is both, as the
// other verbs want it.
//
// # From modules to indexes
//
//	search   which files are modules, and of those with the same name which one
//	         counts: rules of depmod.d(5), else those in updates/
//	order    modules.order, then the rest as kmod's hash table has them
//	facts    of each file: aliases, softdeps, weakdeps, exported and needed symbols
//	resolve  who exports what a module needs; later modules win over earlier ones
//	rank     topological order, users first; it fails when modules need each other
//	files    the text of each index, and its binary form
//
// Where kmod's order is that of directories, hash tables or linked lists, so is
// ours. Not as in kmod: nothing is written unless all of it can be (kmod renames
// one file after the other, and what a full disk has cut short as well); a link
// to a directory above itself, and circles that are reached from outside, are not
// followed for ever; kernels whose modules have their checksums only in the
// sections of CONFIG_EXTENDED_MODVERSIONS are not said to disagree about every
// symbol with -E, because those are read; .ko.gz is read whatever kmod was built
// with, and .ko.zst also where the file does not say how large the module is, which
// kmod 34 refuses.
//
// # Vocabulary
//
//	alias     a pattern under which modprobe is asked for a module, such as pci:v00001AF4d*
//	softdep   modules that are to be loaded before or after one, if they are there
//	weakdep   modules that one may ask for later, so that they belong into an initramfs
//	devname   a device node whose opening loads a module
//	override  that a module of the same name in another directory counts instead
//
// # Files
//
//	modules.dep          FILE: FILE...   for each module those that it needs, to be loaded from the last to the first
//	modules.alias        alias PATTERN MODULE
//	modules.symbols      alias symbol:NAME MODULE
//	modules.softdep      softdep MODULE TEXT
//	modules.weakdep      weakdep MODULE TEXT
//	modules.devname      MODULE NODE cMAJOR:MINOR   (or b)
//	modules.dep.bin, modules.alias.bin, modules.symbols.bin    the same to be searched
//	modules.builtin.bin, modules.builtin.alias.bin             names and aliases of what is in the kernel itself
//
// Read besides the modules: modules.order (which module comes first of several for
// an alias), modules.builtin (a path in each line) and modules.builtin.modinfo
// (texts MODULE.KEY=VALUE, each ended by NUL). Without the latter two the files
// made of them are empty.
//
// # The cache
//
// What has been read of each module file is kept below Options.Cache, one file for
// each kernel (cachefile.go has the format), with the file's size, times of change
// to the nanosecond and inode. A file with the same ones is not read again, unless
// it had changed so shortly before it was read that another change might not show.
// A cache also knows what the indexes it was written with were computed from, and
// that they are the ones that lie there. When all of that is as it was, nothing is
// computed and nothing written. A run that had something to tell is not remembered
// in this way, so that the next one tells it again.
//
// A cache that is damaged, that belongs to another directory or to somebody else,
// and one that cannot be written, are as good as none.
//
// # Earlier indexes
//
// Of a kernel that has just been installed nothing is in the cache, but its package
// has had depmod run. What that has written tells, of each module, all that is read
// from its file, but for one thing: modules.dep lists what a module needs altogether,
// not what it needs itself. [Indexer] therefore takes the facts of the kernel's own
// modules, those that modules.order lists, from there. That matters where modules are
// compressed: a kernel of 4,200 .ko.xz takes a processor six seconds to read.
//
// For the topological order it is enough to know what a module needs that the rest
// of what it needs does not bring along, except where two modules become free at
// the same moment: then the order counts in which the one that needed them last
// names them, and that one is read. It is about one in fifty.
//
// The indexes are believed only if they tell of all of the kernel's own modules, none
// of which has changed since in any way; if the text files make the binary ones, to
// the byte; if no other module, neither a present one nor one that is gone, exports
// what one of the kernel's own does, or did if it is not installed; if those modules
// that have to be read say the same; and if there is nothing to tell. In all other
// cases everything is read. `dkms depmod` always reads everything.
//
// # Publication
//
// All files are complete and synced before the first one takes its place, and the
// old ones keep a second name (a hard link in .modules.old) until the last one has,
// modules.dep.bin. An error on the way, a full disk or an interruption included,
// has the old set put back and the rest removed.
//
// Several files cannot be renamed at once. So a process that is killed, or a
// machine that loses power, in the moment between the first and the last rename
// leaves new files beside old ones, each of them whole, with modules.dep.bin among
// the old ones: modprobe finds what it found before, and may be told by a new alias
// of a module that it does not find yet. The next run sees .modules.old and first
// puts the old set back, all of it; then it does its own work. Runs for the same
// kernel take turns, by a lock on its directory.
//
// # The binary format
//
// A binary index is a map from keys to lists of values, in the form of a radix
// tree: what several keys begin with is there once. Numbers are big endian, 32
// bits unless said otherwise; texts end with NUL; only ASCII can be held.
//
//	header   magic 0xB007F457
//	         version: 16 bits major (2), 16 bits minor (1)
//	         place of the root node
//	node     prefix text                         if the place says so
//	         first, last: 8 bits each            if the place says so: characters
//	         place of a node, last-first+1 times    0 where no key goes on with that character
//	         number of values                    if the place says so
//	         priority, value text                that many times
//
// A place is an offset from the beginning of the file in its lower 28 bits, and
// tells in the upper ones what the node there has: 0x80000000 a prefix,
// 0x40000000 values, 0x20000000 children. So no file is larger than 256 MiB.
//
// The key of a node's values is what one meets on the way from the root: of each
// node its prefix, and between a node and its child the character that selected
// it. A node other than the root has values or more than one child; the root has
// no prefix. Values of one key stand in ascending order of their priority, which
// is the number of the module in modules.dep; of equal ones the last added comes
// first.
//
// Since kmod 34 a node precedes those below it. Before, it followed them. Readers
// go by places and do not care.
//
//	key                                     value                      priority
//	modules.dep.bin      module             its line in modules.dep    number of the module
//	modules.alias.bin    alias              module                     number of the module
//	modules.symbols.bin  symbol:NAME        module                     number of the module
//	modules.builtin.bin  module             ""                         0
//	modules.builtin.alias.bin  alias        module                     0
//
// In keys, dashes are underscores, except within brackets.
package depmod
