package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"dkms-go/build"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return runOn(ctx, args, stdout, stderr, sysroot.Open)
}

// opener opens the tree that is worked on.
type opener func(dir string) (*sysroot.Root, error)

// runOn is run on a tree that open opens: a test may look at every change, or keep it from being made.
func runOn(ctx context.Context, args []string, stdout, stderr io.Writer, open opener) int {
	syscall.Umask(0o022) // what we make is for everyone to read, whatever the administrator's shell says
	if dir, rest, ok := depmodLine(args); ok {
		return runDepmod(ctx, dir, rest, stdout, stderr)
	}
	p := newPrinter(stdout, stderr)
	if len(args) > 0 && args[0] == "sign-file" {
		return signFile(args[1:], p)
	}
	return exitStatus(execute(ctx, args, p, open))
}

// execute executes one command line. It prints the error that it returns.
func execute(ctx context.Context, args []string, p *printer, open opener) error {
	err := dispatch(ctx, args, p, open)
	if err != nil && !reported(err) {
		p.report(err)
	}
	return err
}

// dispatch has the verb of a command line do its work.
func dispatch(ctx context.Context, args []string, p *printer, open opener) error {
	m, err := openMachine(ctx, rootOption(args), p.err, open)
	if err != nil {
		return err
	}
	if verb, rest := findHookVerb(args); verb != nil {
		return hook(ctx, m, p, verb, rest)
	}
	m.args = slices.Concat([]string{"dkms"}, args)
	c := permute(args, m, p)
	switch {
	case c.Err != nil:
		p.report(c.Err)
		if e, ok := c.Err.(*dkms.Error); ok && e.Kind == dkms.UnknownOption { //nolint:errorlint // made by permute, never wrapped
			usage(p.out)
		}
		return reportedError{c.Err}
	case c.Stop == showVersion:
		p.say("%s", release)
		return nil
	case c.Stop == showHelp:
		verbUsage(p.out, c.Verb)
		return nil
	case c.Verb == "":
		err := &dkms.Error{Kind: dkms.UnknownAction}
		p.report(err)
		usage(p.out)
		return reportedError{err}
	}
	return newApp(m, p).RunContext(ctx, slices.Concat([]string{"dkms", c.Verb}, c.Args))
}

// rootOption finds --root before anything else is parsed, because even the first look at the machine depends on it.
func rootOption(args []string) string {
	dir := "/"
	for n, a := range args {
		if v, ok := strings.CutPrefix(a, "--root="); ok {
			dir = v
		}
		if a == "--root" && n+1 < len(args) {
			dir = args[n+1]
		}
	}
	return dir
}

// reportedError is an error that was printed when it happened, in its place among the other messages.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

func reported(err error) bool {
	_, ok := err.(reportedError) //nolint:errorlint // only the outermost counts
	return ok
}

// verb is one verb of the program.
type verb struct {
	name, usage, about string
	options            []string // names of the options that mean something to it, beyond those that all take
	bare               bool     // has arguments of its own, and no options of ours
	reads              bool     // it changes nothing in the trees, and takes them as they are
	run                func(ctx context.Context, s *session) error
}

// table lists the verbs that there are.
func table() []verb {
	return []verb{
		addVerb(), buildVerb(), installVerb(), uninstallVerb(), unbuildVerb(), removeVerb(), statusVerb(), autoinstallVerb(),
		matchVerb(), mktarballVerb(), ldtarballVerb(), generateMOKVerb(), syncVerb(), watchVerb(), readyVerb(), initramfsVerb(), recoverVerb(), kernelPostinstVerb(), kernelPreinstVerb(), kernelPrermVerb(),
		keyVerb(), signVerb(), signFileVerb(),
	}
}

// newApp describes the canonical command line to the cli package. Every verb accepts every option, as in dkms 3.4.
func newApp(m *machine, p *printer) *cli.App {
	app := &cli.App{
		Name: "dkms", Writer: p.out, ErrWriter: p.err,
		HideVersion: true, HideHelp: true, DisableSliceFlagSeparator: true,
		ExitErrHandler: func(*cli.Context, error) {},
	}
	for _, v := range table() {
		app.Commands = append(app.Commands, &cli.Command{
			Name: v.name, HideHelp: true, Flags: flags(),
			Action: func(c *cli.Context) error {
				r := &renderer{printer: p}
				o := newRequest(c)
				o.changes = slices.Contains(v.options, "dry-run")
				if o.dryRun && !o.changes { // never do what somebody only wants to be told of
					return &dkms.Error{Kind: dkms.UnknownOption, Subject: "--dry-run"}
				}
				b, err := m.builder(c.Context, o, p, r)
				if err != nil {
					return err
				}
				s := &session{machine: m, printer: p, renderer: r, request: o, Builder: b, verb: v.name}
				if !v.reads && !o.dryRun {
					s.recover(c.Context)
				}
				return v.run(c.Context, s)
			},
			OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
		})
	}
	return app
}

// flags returns the flags for all options.
func flags() []cli.Flag {
	fs := []cli.Flag{&cli.StringFlag{Name: "source"}, &cli.StringSliceFlag{Name: "operand"}}
	for _, o := range options() {
		switch {
		case o.repeat:
			fs = append(fs, &cli.StringSliceFlag{Name: o.name})
		case o.value:
			fs = append(fs, &cli.StringFlag{Name: o.name})
		default:
			fs = append(fs, &cli.BoolFlag{Name: o.name})
		}
	}
	return fs
}

// request is a command line, as values.
type request struct {
	module                                         dkms.Module
	kernels, arches                                []string
	all, force, forceVersion, verbose, safeUpgrade bool
	noImage, laterImage                            bool
	symlink, noDepmod, modprobe, debug             bool
	binariesOnly, sourceOnly                       bool
	allKernels, dryRun                             bool
	failed, hook                                   bool
	changes                                        bool // the verb changes modules
	trace                                          string
	conf, kernelConfig, kernelSource, jobs         string
	template                                       string
	dkmsTree, sourceTree, installTree              string
	source, archive                                string
	directives                                     []string
	json                                           bool
	signingKey, certificate, hashFile              string
	operands                                       []string // words of verbs of our own
}

func newRequest(c *cli.Context) *request {
	return &request{
		module:  dkms.Module{Name: c.String("module"), Version: c.String("v")},
		kernels: c.StringSlice("kernelver"), arches: c.StringSlice("arch"),
		all: c.Bool("all"), force: c.Bool("force"), forceVersion: c.Bool("force-version-override"),
		verbose: c.Bool("verbose"), safeUpgrade: c.Bool("rpm_safe_upgrade"),
		symlink: c.Bool("symlink-modules"), noDepmod: c.Bool("no-depmod"), modprobe: c.Bool("modprobe-on-install"), debug: c.Bool("debug"),
		binariesOnly: c.Bool("binaries-only"), sourceOnly: c.Bool("source-only"),
		conf: c.String("c"), kernelConfig: c.String("config"), kernelSource: c.String("kernelsourcedir"), jobs: c.String("j"),
		noImage: c.Bool("no-initramfs"), laterImage: c.Bool("initramfs-later"), failed: c.Bool("failed"), hook: c.Bool("hook"),
		allKernels: c.Bool("all-kernels"), dryRun: c.Bool("dry-run"), trace: c.String("trace"),
		dkmsTree: c.String("dkmstree"), sourceTree: c.String("sourcetree"), installTree: c.String("installtree"),
		template: c.String("templatekernel"),
		source:   c.String("source"), archive: c.String("archive"), directives: c.StringSlice("directive"),
		json: c.Bool("json"), signingKey: c.String("signing-key"), certificate: c.String("certificate"),
		hashFile: c.String("password-hash-file"), operands: c.StringSlice("operand"),
	}
}

// session is one verb at work.
type session struct {
	*machine
	*printer
	renderer *renderer
	*request
	*build.Builder
	verb string
}
