package main

import (
	"regexp"
	"slices"
	"strings"

	"dkms-go/dkms"
)

// The grammar of dkms 3.4 is its own (compare the loop "Parse command line arguments" in dkms.in): options and words come
// in any order, long options with a value are recognised by their beginning, "=" works with long options only, and a word
// may be a verb, a source tree, an archive or a module. permute turns such an argument list into one that the cli package
// understands: the verb, then every option in its canonical form.

// classify says what a word of the command line is on the machine's file system.
type classify interface {
	IsFile(name string) bool
}

// command is a canonical command line.
type command struct {
	Verb string
	Args []string // options in canonical form, for the flags of the verb
	Stop stop     // an option that answers by itself
	Err  error    // what is wrong with the command line; the rest is void
}

// stop is an option after which nothing else of the command line counts.
type stop int

const (
	proceed stop = iota
	showVersion
	showHelp
)

// option is one option as it may be written.
type option struct {
	name     string // the canonical name, without dashes: the letter of an option that has no long form
	short    string // with its dash; takes no "="
	stem     string // with its dashes; for an option with a value everything that begins with it is the option
	value    bool
	exact    bool   // ours, so no more than the stem is recognised
	repeat   bool   // may be given several times; otherwise the last one wins
	argument string // what the value is called in help
	what     string // what the option does
}

// options is in the order in which they are tried: --archive before --arch, which is a beginning of it.
func options() []option {
	return []option{
		{name: "module", short: "-m", stem: "--module", value: true, argument: "MODULE", what: "module or module/version"},
		{name: "v", short: "-v", value: true, argument: "VERSION", what: "version of the module"},
		{name: "kernelver", short: "-k", stem: "--kernelver", value: true, repeat: true, argument: "KERNEL", what: "kernel release or release/architecture; may be repeated"},
		{name: "templatekernel", stem: "--templatekernel", value: true, argument: "KERNEL", what: "kernel release that match takes as its model"},
		{name: "c", short: "-c", value: true, argument: "FILE", what: "use this dkms.conf"},
		{name: "dkmstree", stem: "--dkmstree", value: true, argument: "DIRECTORY", what: "registry directory, instead of /var/lib/dkms"},
		{name: "sourcetree", stem: "--sourcetree", value: true, argument: "DIRECTORY", what: "source directory, instead of /usr/src"},
		{name: "installtree", stem: "--installtree", value: true, argument: "DIRECTORY", what: "module directory, instead of /lib/modules"},
		{name: "config", stem: "--config", value: true, argument: "FILE", what: "kernel configuration file"},
		{name: "archive", stem: "--archive", value: true, argument: "FILE", what: "file to read a module from or write it to"},
		{name: "arch", short: "-a", stem: "--arch", value: true, repeat: true, argument: "ARCHITECTURE", what: "architecture; may be repeated"},
		{name: "kernelsourcedir", stem: "--kernelsourcedir", value: true, argument: "DIRECTORY", what: "kernel headers directory"},
		{name: "directive", stem: "--directive", value: true, repeat: true, argument: "NAME=value", what: "set a directive of dkms.conf: NAME=value; may be repeated"},
		{name: "j", short: "-j", value: true, argument: "NUMBER", what: "number of compilers that make may run"},
		{name: "root", stem: "--root", value: true, exact: true, argument: "DIRECTORY", what: "work on the system below this directory"},
		{name: "quiet", short: "-q", stem: "--quiet", what: "print nothing"},
		{name: "version", short: "-V", stem: "--version", what: "print the version"},
		{name: "help", short: "-h", stem: "--help", what: "print help"},
		{name: "json", stem: "--json", exact: true, what: "print JSON, for programs to read"},
		{name: "password-hash-file", stem: "--password-hash-file", value: true, exact: true, argument: "FILE", what: "hash of the password for the next boot, as mokutil --generate-hash prints it"},
		{name: "signing-key", stem: "--signing-key", value: true, exact: true, argument: "FILE", what: "private key, instead of the configured one"},
		{name: "certificate", stem: "--certificate", value: true, exact: true, argument: "FILE", what: "certificate, instead of the configured one"},
		{name: "binaries-only", stem: "--binaries-only", what: "archive without sources"},
		{name: "source-only", stem: "--source-only", what: "archive without built modules"},
		{name: "force", stem: "--force", what: "do it even if it seems to be done, or to be wrong"},
		{name: "force-version-override", stem: "--force-version-override", what: "install even if the kernel has a newer version"},
		{name: "all", stem: "--all", what: "for all kernels that the module is built for"},
		{name: "verbose", stem: "--verbose", what: "print commands and their output"},
		{name: "rpm_safe_upgrade", stem: "--rpm_safe_upgrade", what: "for scripts of rpm packages"},
		{name: "symlink-modules", stem: "--symlink-modules", what: "install links instead of copies"},
		{name: "no-initramfs", stem: "--no-initramfs", exact: true, what: "leave the boot image alone"},
		{name: "initramfs-later", stem: "--initramfs-later", exact: true, what: "note that the boot image is due, for the verb initramfs"},
		{name: "no-depmod", stem: "--no-depmod", what: "leave the module indexes alone"},
		{name: "modprobe-on-install", stem: "--modprobe-on-install", what: "load modules for present hardware after installation"},
		{name: "trace", stem: "--trace", value: true, exact: true, argument: "FILE", what: "write a timeline of the run, for a trace viewer"},
		{name: "failed", stem: "--failed", exact: true, what: "only what could not be built or installed the last time, and why"},
		{name: "hook", stem: "--hook", exact: true, what: "for hooks: what fails is noted, and stops nobody unless dkms.toml says so"},
		{name: "all-kernels", stem: "--all-kernels", exact: true, what: "for all kernels, as sync"},
		{name: "dry-run", stem: "--dry-run", exact: true, what: "print what would be done, and do nothing"},
		{name: "debug", stem: "--debug", what: "trace what is done"},
	}
}

// historic are options that are accepted, told of, and ignored.
func historic() []string { return []string{"--no-initrd", "--no-clean-kernel", "--no-prepare-kernel"} }

// verbs are the words that name an action. Any other word is a module or a file.
func verbs() []string {
	return []string{
		"add", "remove", "build", "unbuild", "install", "uninstall", "match", "autoinstall", "mktarball", "ldtarball", "status",
		"generate_mok", "kernel_preinst", "kernel_postinst", "kernel_prerm",
	}
}

// newVerbs are the verbs that dkms 3.4 does not have. To it they are names of modules like any other word, so they are verbs
// only where they come first and no other verb follows.
func newVerbs() []string { return []string{"sync", "watch", "ready", "initramfs", "recover"} }

// ownVerbs are verbs that dkms 3.4 does not have. Each is one only as the first word, so that modules may have such names; the
// words after it are its own business, files for instance.
func ownVerbs() []string { return []string{"key", "sign"} }

// moduleWord splits module/version at the first slash.
var moduleWord = regexp.MustCompile(`^([^/]*)/(.*)$`)

// permute parses the argument list args. Remarks about it are printed as parsing goes on, because --quiet counts from
// where it stands.
func permute(args []string, files classify, p *printer) command {
	s := &scan{printer: p, files: files, given: map[string]string{}}
	for n := 0; n < len(args); n++ {
		used, done := s.argument(args[n], args[n+1:])
		if done {
			return s.command
		}
		n += used
	}
	return s.finish()
}

// scan is the state of permute.
type scan struct {
	command
	printer *printer
	files   classify
	given   map[string]string // last value of options that count once
	source  string            // a word that is a source tree
	flags   []string
	lists   []string // options that count every time, in order
}

// argument takes one argument, with those after it at hand. It returns how many of them it used, and whether parsing ends.
func (s *scan) argument(arg string, rest []string) (used int, done bool) {
	if slices.Contains(historic(), arg) {
		s.printer.deprecated(arg)
		return 0, false
	}
	o, ok := findOption(arg)
	switch {
	case !ok && strings.HasPrefix(arg, "-"):
		s.Err = &dkms.Error{Kind: dkms.UnknownOption, Subject: arg}
		return 0, true
	case !ok:
		s.Err = s.word(arg)
		return 0, s.Err != nil
	case !o.value:
		return 0, s.flag(o)
	}
	value := ""
	if _, v, ok := strings.Cut(arg, "="); ok {
		value = v
	} else if used = 1; len(rest) > 0 {
		value = rest[0]
	}
	value, _, _ = strings.Cut(value, "\n")
	s.value(o, strings.Trim(value, " \t"))
	return min(used, len(rest)), false
}

func findOption(arg string) (option, bool) {
	for _, o := range options() {
		if o.matches(arg) {
			return o, true
		}
	}
	return option{}, false
}

func (o option) matches(arg string) bool {
	rest, ok := strings.CutPrefix(arg, o.stem)
	switch {
	case arg == o.short && arg != "":
		return true
	case o.stem == "" || !ok:
		return false
	case rest == "":
		return true
	}
	return o.value && (!o.exact || rest[0] == '=')
}

// flag takes an option without a value, and returns whether parsing ends.
func (s *scan) flag(o option) bool {
	switch o.name {
	case "quiet":
		s.printer.silence()
	case "version":
		s.Stop = showVersion
	case "help":
		s.Stop = showHelp
	default:
		s.flags = append(s.flags, "--"+o.name)
	}
	return s.Stop != proceed
}

// value takes an option with a value.
func (s *scan) value(o option, v string) {
	switch {
	case o.name == "module":
		s.module(v)
	case o.name == "kernelver":
		kernel, arch := v, ""
		if m := moduleWord.FindStringSubmatch(v); m != nil {
			kernel, arch = m[1], m[2]
			s.lists = append(s.lists, "--arch", arch)
		}
		s.lists = append(s.lists, "--kernelver", kernel)
	case o.repeat:
		s.lists = append(s.lists, "--"+o.name, v)
	default:
		s.given[o.name] = v
	}
}

func (s *scan) module(v string) {
	if m := moduleWord.FindStringSubmatch(v); m != nil {
		s.given["module"], s.given["v"] = m[1], m[2]
		return
	}
	s.given["module"] = v
}

// word takes a word that is no option.
func (s *scan) word(w string) error {
	switch {
	case slices.Contains(ownVerbs(), s.Verb):
		s.lists = append(s.lists, "--operand", w)
	case slices.Contains(ownVerbs(), w) && s.first():
		s.Verb = w
	case slices.Contains(verbs(), w):
		if slices.Contains(newVerbs(), s.Verb) && s.given["module"] == "" {
			s.module(s.Verb)
			s.Verb = ""
		}
		if s.Verb != "" {
			return &dkms.Error{Kind: dkms.TwoActions, Subject: w}
		}
		s.Verb = w
	case slices.Contains(newVerbs(), w) && s.Verb == "" && s.given["module"] == "":
		s.Verb = w
	case s.Verb == "ready": // the kernels that it is about
		s.value(option{name: "kernelver"}, w)
	case slices.Contains(newVerbs(), s.Verb): // the others are not about anything
		s.printer.warning("I do not know how to handle " + w + ".")
	case strings.HasSuffix(w, "dkms.conf") && s.files.IsFile(w):
		s.source = strings.TrimSuffix(w, "dkms.conf") + "./"
	case s.files.IsFile(w + "/dkms.conf"):
		s.source = w
	case s.files.IsFile(w):
		s.given["archive"] = w
	case s.given["module"] == "":
		s.module(w)
	default:
		s.printer.warning("I do not know how to handle " + w + ".")
	}
	return nil
}

// first reports whether no word has come yet.
func (s *scan) first() bool {
	return s.Verb == "" && s.source == "" && s.given["module"] == "" && s.given["archive"] == ""
}

// finish puts the canonical command line together.
func (s *scan) finish() command {
	names := make([]string, 0, len(s.given))
	for name := range s.given {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s.Args = append(s.Args, "--"+name, s.given[name])
	}
	if s.source != "" {
		s.Args = append(s.Args, "--source", s.source)
	}
	s.Args = slices.Concat(s.Args, s.lists, s.flags)
	return s.command
}
