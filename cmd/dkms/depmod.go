package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// The verb depmod takes what depmod(8) of kmod takes and says what that says, so that it can stand in for it: also by its
// name, when the program is called depmod. It knows nothing of modules in the registry, and looks at no other machine than
// the one it runs on unless --root, in front of it, says so.

// likeKmod is the version of kmod whose depmod this one equals.
const likeKmod = 34

// depmodLine returns the arguments of depmod, if that is what a command line asks for: "depmod ARG...", or the same after
// --root.
func depmodLine(args []string) (rootDir string, rest []string, ok bool) {
	rootDir = "/"
	if len(args) > 1 && args[0] == "--root" {
		rootDir, args = args[1], args[2:]
	} else if len(args) > 0 && strings.HasPrefix(args[0], "--root=") {
		rootDir, args = strings.TrimPrefix(args[0], "--root="), args[1:]
	}
	if len(args) == 0 || args[0] != "depmod" {
		return "", nil, false
	}
	return rootDir, args[1:], true
}

// depmodOptions are those of kmod 34, in its order, and ours.
func depmodOptions() []longOption {
	return []longOption{
		{long: "all", short: 'a'},
		{long: "quick", short: 'A'},
		{long: "basedir", short: 'b', value: true},
		{long: "moduledir", short: 'm', value: true},
		{long: "outdir", short: 'o', value: true},
		{long: "config", short: 'C', value: true},
		{long: "symvers", short: 'E', value: true},
		{long: "filesyms", short: 'F', value: true},
		{long: "errsyms", short: 'e'},
		{long: "verbose", short: 'v'},
		{long: "show", short: 'n'},
		{long: "dry-run", short: 'n'},
		{long: "symbol-prefix", short: 'P', value: true},
		{long: "warn", short: 'w'},
		{long: "version", short: 'V'},
		{long: "help", short: 'h'},
		{long: "files-of", value: true, exact: true},
		{long: "cache", value: true, exact: true},
	}
}

func depmodUsage(w io.Writer) {
	fmt.Fprint(w, `Usage: depmod [OPTION]... [KERNEL [MODULE]...]

Writes the indexes of a kernel's modules, for modprobe. Without KERNEL, of the running one;
without MODULE (absolute paths), of all that there are.

options:
  -a, --all                 index all modules, whatever is named
  -A, --quick               do nothing unless a module is newer than the indexes
  -b, --basedir DIRECTORY   the system that the kernel is in, instead of /
  -m, --moduledir DIRECTORY where kernels' modules are below that, instead of /lib/modules
  -o, --outdir DIRECTORY    write the indexes as if the system were here
  -C, --config PATH         file or directory of rules (depmod.d), instead of the usual ones; may be repeated
  -F, --filesyms FILE       System.map of the kernel
  -E, --symvers FILE        Module.symvers of the kernel; checksums are compared too
  -e, --errsyms             tell which symbols nobody has (with -F or -E)
  -P, --symbol-prefix CHAR  what the architecture puts before symbols
  -n, --show, --dry-run     print the indexes that are text, and write none
  -w, --warn                tell of entries that are there twice
  -v, --verbose             tell which module needs which; twice: more
      --files-of VERSION    write what depmod of kmod VERSION (30 and later) writes
      --cache DIRECTORY     where to keep what has been read for the next time
  -V, --version             print the version
  -h, --help                print this
`)
}

// depmodCommand is one command line of depmod.
type depmodCommand struct {
	out, err io.Writer
	root     *sysroot.Root
	dir      string // working directory
	opt      depmod.Options
	base     string
	tree     string
	outBase  string
	all      bool
	quick    bool
	verbose  int
	words    []string
	done     bool // an option has answered by itself
}

// runDepmod executes a command line of depmod and returns the exit status: 0, or 1 as kmod knows no other.
func runDepmod(ctx context.Context, rootDir string, args []string, stdout, stderr io.Writer) int {
	root, err := sysroot.Open(rootDir)
	dir, dirErr := filepath.Abs(".")
	if err == nil {
		err = dirErr
	}
	c := &depmodCommand{out: stdout, err: stderr, root: root, dir: dir, tree: "/lib/modules"}
	if err == nil {
		err = c.run(ctx, args)
	}
	if err == nil {
		return 0
	}
	var told interface{ Told() bool }
	var usage usageError
	switch {
	case errors.As(err, &told) && told.Told():
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, err)
	default:
		c.tell(depmod.Message{Level: depmod.Error, Text: err.Error()})
	}
	return 1
}

// tell prints a message as kmod's tools do.
func (c *depmodCommand) tell(m depmod.Message) {
	switch {
	case m.Level == depmod.Notice:
		fmt.Fprintln(c.out, m.Text)
	case int(m.Level) <= int(depmod.Warning)+c.verbose:
		names := map[depmod.Level]string{depmod.Fatal: "FATAL", depmod.Error: "ERROR", depmod.Warning: "WARNING", depmod.Info: "INFO"}
		fmt.Fprintf(c.err, "depmod: %s: %s\n", names[m.Level], m.Text)
	}
}

func (c *depmodCommand) fail(level depmod.Level, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	c.tell(depmod.Message{Level: level, Text: text})
	return &depmod.FatalError{Text: text}
}

func (c *depmodCommand) run(ctx context.Context, args []string) error {
	options, words, err := (&getopt{name: "depmod", options: depmodOptions()}).parse(args)
	for _, o := range options {
		if optionErr := c.option(o); optionErr != nil || c.done {
			return optionErr
		}
	}
	if err != nil {
		return err
	}
	c.words = words
	if err := c.target(); err != nil {
		return err
	}
	if c.quick && (c.opt.TextOnly || depmod.UpToDate(ctx, c.root, c.opt.Dir, c.tell)) {
		return nil
	}
	if len(c.words) > 0 && !c.all && !c.quick {
		c.opt.Files = c.words
	}
	c.opt.Needs, c.opt.Tell, c.opt.WorkDir = c.verbose > 0, c.tell, c.dir
	index, err := depmod.Scan(ctx, c.root, c.opt)
	if err != nil {
		return err
	}
	return c.write(ctx, index)
}

// option takes one option; some answer by themselves.
func (c *depmodCommand) option(o given) error {
	switch o.long {
	case "all":
		c.all = true
	case "quick":
		c.quick = true
	case "basedir":
		c.base = c.abs(o.value)
	case "moduledir":
		c.tree = o.value
	case "outdir":
		c.outBase = c.abs(o.value)
	case "config":
		c.opt.Config = append(c.opt.Config, o.value)
	case "symvers":
		c.opt.Symvers = o.value
	case "filesyms":
		c.opt.SystemMap = o.value
	case "errsyms":
		c.opt.Unresolved = true
	case "verbose":
		c.verbose++
	case "show", "dry-run":
		c.opt.TextOnly = true
	case "symbol-prefix":
		if len(o.value) != 1 {
			return c.fail(depmod.Fatal, "-P only takes a single char")
		}
		c.opt.Prefix = o.value[0]
	case "warn":
		c.opt.Duplicates = true
	case "files-of":
		v, err := strconv.Atoi(o.value)
		if err != nil || v < 30 {
			return usageError("depmod: --files-of takes a version of kmod from 30 on, such as 30 or 34")
		}
		c.opt.Kmod = depmod.KmodVersion(v)
	case "cache":
		c.opt.Cache = c.abs(o.value)
	case "version":
		c.done = true
		fmt.Fprintf(c.out, "%s, like kmod version %d\n+ZSTD +XZ +ZLIB\n", release, likeKmod)
	case "help":
		c.done = true
		depmodUsage(c.out)
	}
	return nil
}

// target says which kernel is meant, and where its modules and indexes are. Directories are put together as kmod does,
// because they appear in messages.
func (c *depmodCommand) target() error {
	if len(c.words) > 0 {
		c.opt.Release, c.words = c.words[0], c.words[1:]
		var major, minor uint
		if n, _ := fmt.Sscanf(c.opt.Release, "%d.%d", &major, &minor); n != 2 {
			return c.fail(depmod.Error, "Bad version passed %s", c.opt.Release)
		}
	} else {
		var u unix.Utsname
		if err := unix.Uname(&u); err != nil {
			return c.fail(depmod.Fatal, "uname() failed: %v", err)
		}
		c.opt.Release = unix.ByteSliceToString(u.Release[:])
	}
	if c.opt.Cache == "" && c.base == "" {
		c.opt.Cache = depmod.CacheFor(c.root, "/"+strings.TrimLeft(c.tree, "/"))
	}
	below := "/" + strings.TrimLeft(c.tree, "/") + "/" + c.opt.Release
	c.opt.Dir = c.base + below
	c.opt.OutDir = c.opt.Dir
	if c.outBase != "" {
		c.opt.OutDir = c.outBase + below
	}
	return nil
}

// write publishes the index, or prints what of it is text.
func (c *depmodCommand) write(ctx context.Context, index *depmod.Index) error {
	if c.opt.TextOnly {
		for _, f := range index.Files() {
			if err := f.WriteTo(c.out); err != nil {
				return err
			}
		}
		return nil
	}
	if err := c.root.MkdirAll(index.Dir(), 0o755); err != nil {
		return err
	}
	return index.Publish(ctx)
}

// abs makes a path absolute and leaves it as it is otherwise.
func (c *depmodCommand) abs(p string) string {
	if path.IsAbs(p) {
		return p
	}
	return c.dir + "/" + p
}
