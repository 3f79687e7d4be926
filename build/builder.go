package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"dkms-go/build/sign"
	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// Options are the wishes of a command line that are the same for all steps of a run.
type Options struct {
	ConfFile     string // -c: used instead of every module's own dkms.conf; "" for none
	KernelSource string // --kernelsourcedir; "" for I/K/build
	KernelConfig string // --config; "" for the one that the headers have
	Jobs         string // how many compilers make may run; "" for as many as it likes
	UsualJobs    bool   // Jobs is one for each processor, because nobody has asked for anything else
	Force        bool   // see the verbs of dkms(8)
	ForceVersion bool   // --force-version-override
	SafeUpgrade  bool   // --rpm_safe_upgrade
	NoIndex      bool   // --no-depmod
	Symlink      bool   // install links instead of copies
	Modprobe     bool   // load modules for present hardware after an installation

	NoImage bool // leave boot images alone: somebody else makes them afterwards
	// LaterImage notes that a boot image is due and leaves it to Images, which is called when everything else is done.
	LaterImage bool

	NoWeakModules bool // leave the links of other kernels alone
}

// Builder plans and runs requests on one machine or image. All fields but Settings, Watch and Options are required.
type Builder struct {
	Root       *sysroot.Root
	Tree       *dkms.Tree
	Conf       *conf.Loader
	Framework  *conf.Framework // as read without a kernel
	Settings   *conf.Settings  // nil for none
	Runner     proc.Runner
	Release    string          // what "dkms --version" prints, for the head of make.log
	Running    string          // release of the running kernel
	Env        []string        // environment for children, "NAME=value"; without KBUILD_SIGN_PIN
	Passphrase sign.Passphrase // what unlocks the signing key
	Host       Host
	Now        func() time.Time
	Stdout     io.Writer // output of scripts and of post-transaction commands that have no log
	Stderr     io.Writer
	Emit       dkms.Emit
	Watch      Watch // nil: nobody looks
	Options    Options

	kernels sync.Map // Target to *kernel.Kernel, see kernel
	looked  sync.Map // path to digest, see looks
	found   sync.Map // name of a program to its path, see program
	read    sync.Map // path and looks to digest, see kernelFile

	now      *conf.Loader // see snapshot
	makeOnce sync.Once
}

// Watch receives the events of a run as they happen, with the number of their step in the plan: those of steps that are at
// work at the same time come from several goroutines. RunBegun, RunEnded and what is about boot images, for which there is no
// step in a plan, come with number -1.
type Watch func(number int, e dkms.Event)

// Host is what a builder knows of the machine that it runs on, as opposed to the root that it works on.
type Host struct {
	UID  int
	Root *sysroot.Root // its own "/", for /proc and /sys
}

// kernel returns the kernel of a target as it is found on disk. It looks once for each.
func (b *Builder) kernel(t Target) (*kernel.Kernel, error) {
	if k, ok := b.kernels.Load(t); ok {
		return k.(*kernel.Kernel), nil
	}
	k, err := kernel.Find(b.Root, kernel.Options{
		InstallTree:  b.Tree.Options().InstallTree,
		SourceDir:    b.Options.KernelSource,
		Config:       b.Options.KernelConfig,
		Distribution: string(b.Tree.Options().Distribution),
	}, t.Kernel, t.Arch)
	if err == nil {
		b.kernels.Store(t, k)
	}
	return k, err
}

// loaderFor returns the loader for configuration files in another root, with everything else as in Conf.
func (b *Builder) loaderFor(root *sysroot.Root) *conf.Loader {
	if root == b.Root {
		return b.Conf
	}
	return &conf.Loader{
		Root: root, Runner: b.Runner, Env: b.Conf.Env, Dir: b.Conf.Dir, Stderr: b.Conf.Stderr,
		Vars: maps.Clone(b.Conf.Vars), Directives: b.Conf.Directives,
	}
}

// Evaluate returns what the dkms.conf of a registered module asks for on a kernel, and the indexes of the records that are
// built there. It is the Evaluate that dkms.Tree.Status wants: it does not complain about what is merely unwise, and reads
// each file once, however many kernels it is asked about.
func (b *Builder) Evaluate(ctx context.Context, i dkms.Instance) (*conf.Module, []int, error) {
	file := b.Tree.ConfFile(i.Module)
	k, err := b.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return nil, nil, err
	}
	c, err := b.loadWith(ctx, b.snapshot(), i, file, k)
	if err != nil {
		return nil, nil, err
	}
	records, err := c.Buildable(ctx, target(k))
	if err == nil && !usable(c) {
		err = &InvalidConfError{Problems: c.Check(false)} // what it says of its records may still be right
	}
	return c, records, err
}

// snapshot returns a loader for files as they were when they were first asked for.
func (b *Builder) snapshot() *conf.Loader {
	b.makeOnce.Do(func() { b.now = b.Conf.Snapshot() })
	return b.now
}

// InvalidConfError says that a dkms.conf breaks the rules.
type InvalidConfError struct{ Problems []conf.Problem }

func (e *InvalidConfError) Error() string {
	p := e.Problems[0]
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, strings.Join(p.Lines, " "))
}

// load evaluates the dkms.conf at file for an instance.
func (b *Builder) load(ctx context.Context, i dkms.Instance, file string, k *kernel.Kernel) (*conf.Module, error) {
	return b.loadWith(ctx, b.Conf, i, file, k)
}

// loadWith is load by another loader than Conf.
func (b *Builder) loadWith(ctx context.Context, l *conf.Loader, i dkms.Instance, file string, k *kernel.Kernel) (*conf.Module, error) {
	c, err := l.Module(ctx, conf.Source{Path: file, Name: i.Name, Version: i.Version}, target(k))
	if err != nil {
		return nil, b.confError(i, file, err)
	}
	return c, nil
}

// confError lifts an error of conf.
func (b *Builder) confError(i dkms.Instance, file string, err error) error {
	var missing *conf.MissingError
	if errors.As(err, &missing) {
		return &dkms.Error{Kind: dkms.ConfMissing, Instance: i, Subject: missing.Path, Err: err}
	}
	return fmt.Errorf("read %s: %w", file, err)
}

// problems reports what is wrong with a dkms.conf as events, and returns an error of kind BadConf that names the file as
// named if something is. Strict validation is for what changes a module's state upwards: a module with duplicate records
// must not be built but can be removed.
func problems(c *conf.Module, named string, strict bool, emit dkms.Emit) error {
	bad := false
	for _, p := range c.Check(strict) {
		emit(ConfProblem{p})
		bad = bad || !p.Warning
	}
	if bad {
		return &dkms.Error{Kind: dkms.BadConf, Subject: named, Remedy: "correct the lines named above in " + c.Path}
	}
	return nil
}

// target is what configuration files are evaluated for.
func target(k *kernel.Kernel) conf.Target {
	return conf.Target{Kernel: k.Release, Arch: k.Arch, KernelSourceDir: k.Headers, KernelConfig: k.Config}
}
