package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dkms-go/build"
	"dkms-go/build/sign"
	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// machine is the system that a command works on, and what the command knows of the one that it runs on.
type machine struct {
	host   *sysroot.Root // the machine that the command runs on
	root   *sysroot.Root // what it works on: the same, or what --root says
	args   []string      // the command line, to be named to others
	env    []string      // for children
	dir    string        // working directory
	uid    int
	pin    string // passphrase of the signing key; in no environment of any child but that of the one who signs
	uname  unix.Utsname
	runner proc.Runner
	distro conf.Distribution
}

// openMachine looks at the machine. An error of kind SystemUnknown means that there is no os-release file.
func openMachine(ctx context.Context, rootDir string, stderr io.Writer, open opener) (*machine, error) {
	m := &machine{env: environment(os.Environ()), uid: os.Geteuid(), runner: proc.Host{}}
	m.pin = os.Getenv("KBUILD_SIGN_PIN")
	var err error
	if m.host, err = sysroot.Open("/"); err != nil {
		return nil, err
	}
	if m.root, err = open(rootDir); err != nil {
		return nil, &dkms.Error{Kind: dkms.Internal, Subject: "--root " + rootDir, Err: err}
	}
	if m.dir, err = os.Getwd(); err != nil {
		m.dir = "/"
	}
	if err := unix.Uname(&m.uname); err != nil {
		return nil, err
	}
	m.distro, err = m.loader(stderr, nil, nil).Distribution(ctx)
	var none *conf.NoOSReleaseError
	if errors.As(err, &none) {
		return nil, &dkms.Error{Kind: dkms.SystemUnknown, Err: err}
	}
	return m, err
}

// environment returns env without what would change how a module is built, and without what no log should ever hold.
func environment(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return slices.Contains([]string{"CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "KBUILD_SIGN_PIN"}, name)
	})
}

// getenv returns the value of a variable, or "".
func (m *machine) getenv(name string) string {
	for _, s := range m.env {
		if v, ok := strings.CutPrefix(s, name+"="); ok {
			return v
		}
	}
	return ""
}

func (m *machine) release() string { return unix.ByteSliceToString(m.uname.Release[:]) }
func (m *machine) arch() string    { return unix.ByteSliceToString(m.uname.Machine[:]) }

func (m *machine) loader(stderr io.Writer, vars map[string]string, directives []string) *conf.Loader {
	return &conf.Loader{
		Root: m.root, Runner: m.runner, Env: m.env, Dir: m.dir, Stderr: stderr, Vars: vars, Directives: directives,
	}
}

// builder wires the rooms together for one command line.
func (m *machine) builder(ctx context.Context, o *request, p *printer, r *renderer) (*build.Builder, error) {
	if o.debug {
		m.runner = traced{m.runner, p.err}
	}
	vars := m.variables(o)
	l := m.loader(p.err, vars, o.directives)
	f, err := l.Framework(ctx, "")
	if err != nil {
		return nil, err
	}
	opt := dkms.Options{
		DKMSTree:     m.abs(or(o.dkmsTree, f.DKMSTree)),
		SourceTree:   m.abs(or(o.sourceTree, f.SourceTree)),
		InstallTree:  m.abs(or(o.installTree, f.InstallTree)),
		Distribution: m.distro,
		AddonDir:     m.addonDir(),
		Command:      strings.Join(m.args, " "),
	}
	vars["dkms_tree"], vars["source_tree"], vars["install_tree"] = opt.DKMSTree, opt.SourceTree, opt.InstallTree
	jobs := m.jobs(or(o.jobs, f.ParallelJobs))
	vars["tmp_location"], vars["parallel_jobs"] = f.TmpLocation, jobs
	p.verbose = o.verbose || f.Verbose
	p.rich = p.rich || p.verbose
	l = m.loader(p.err, vars, o.directives)
	settings, err := m.settings()
	if err != nil {
		return nil, err
	}
	secrets := sign.Secrets{
		PIN: m.pin, Host: m.host, Credentials: m.getenv("CREDENTIALS_DIRECTORY"), Root: m.root, File: settings.Signing.PassphraseFile,
	}
	watch := m.watchers(o, p, r)
	b := &build.Builder{
		Passphrase: secrets.Passphrase,
		Root:       m.root, Tree: dkms.Open(m.root, opt), Conf: l, Framework: f, Runner: m.runner,
		Settings: settings,
		Release:  release, Running: m.release(), Env: slices.Concat(m.env, l.DirectiveEnv()),
		Host: build.Host{UID: m.uid, Root: m.host}, Now: time.Now, Stdout: p.out, Stderr: p.err,
		Options: build.Options{
			ConfFile: m.optional(o.conf), KernelSource: m.optional(o.kernelSource), KernelConfig: m.optional(o.kernelConfig),
			Jobs: jobs, UsualJobs: or(o.jobs, f.ParallelJobs) == "", Force: o.force, ForceVersion: o.forceVersion, SafeUpgrade: o.safeUpgrade,
			NoImage: o.noImage, LaterImage: o.laterImage, NoIndex: o.noDepmod, Symlink: o.symlink || f.SymlinkModules,
			Modprobe: o.modprobe || f.ModprobeOnInstall, NoWeakModules: m.getenv("NO_WEAK_MODULES") != "",
		},
		Emit: func(dkms.Event) {}, Watch: watch,
	}
	if r != nil {
		b.Emit = r.emit
	}
	return b, nil
}

// settings reads dkms.toml.
func (m *machine) settings() (*conf.Settings, error) {
	s, err := conf.LoadSettings(m.root)
	if err != nil {
		err = &dkms.Error{Kind: dkms.SettingsInvalid, Subject: err.Error(), Err: err}
	}
	return s, err
}

// watchers sets up who looks at a run: a live view where stdout is a terminal, a stream of events with --json, a timeline with
// --trace. What the program prints goes through them.
func (m *machine) watchers(o *request, p *printer, r *renderer) build.Watch {
	var all []build.Watch
	switch {
	case r == nil || o.dryRun:
	case o.json && o.changes:
		r.stream = &eventStream{w: p.out}
		p.out, p.err = &textStream{eventStream: r.stream, name: "stdout"}, &textStream{eventStream: r.stream, name: "stderr"}
	case !p.verbose:
		if v := terminalProgress(p.out, m.getenv("TERM")); v != nil {
			all = append(all, v.watch)
			if isTerminal(p.err) {
				p.err = v
			}
			p.out, p.live = v, true
		}
	}
	if o.trace != "" {
		t := &trace{root: m.host, file: m.abs(o.trace), now: time.Now, fail: func(err error) { p.warning("The timeline cannot be written: " + err.Error()) }}
		all = append(all, t.watch)
	}
	if len(all) == 0 {
		return nil
	}
	return func(n int, e dkms.Event) {
		for _, w := range all {
			w(n, e)
		}
	}
}

// traced prints every program before it runs it, for --debug.
type traced struct {
	proc.Runner
	out io.Writer
}

func (t traced) Run(ctx context.Context, c proc.Cmd) error {
	fmt.Fprintf(t.out, "+ %s\n", strings.Join(c.Args, " "))
	return t.Runner.Run(ctx, c)
}

// variables are what configuration files may see beside the environment.
func (m *machine) variables(o *request) map[string]string {
	v := map[string]string{
		"current_kernel": m.release(), "current_os": unix.ByteSliceToString(m.uname.Sysname[:]),
		"running_distribution": string(m.distro), "addon_modules_dir": m.addonDir(),
		"tmp_location": or(m.getenv("TMPDIR"), "/tmp"), "verbose": "", "force": "",
	}
	if o.verbose {
		v["verbose"] = "true"
	}
	if o.force {
		v["force"] = "true"
	}
	return v
}

// abs makes a path that the user gave absolute. Paths to trees and kernels are inside the root.
func (m *machine) abs(p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(m.dir, p)
}

func (m *machine) optional(p string) string {
	if p == "" {
		return ""
	}
	return m.abs(p)
}

// jobs returns how many compilers may run, as make's -j takes it: "" is without limit.
func (m *machine) jobs(wish string) string {
	switch wish {
	case "":
		return strconv.Itoa(runtime.NumCPU())
	case "0":
		return ""
	}
	return wish
}

// defaultKernel returns the kernel that is meant when none is named: the running one. In an image or a chroot that kernel
// is often not installed; then it is the newest that is.
func (m *machine) defaultKernel(installTree string) string {
	running := m.release()
	installed, err := kernel.List(m.root, installTree)
	installed = slices.DeleteFunc(slices.Clone(installed), func(name string) bool { return dkms.CheckKernel(name) != nil })
	if err != nil || len(installed) == 0 || slices.Contains(installed, running) {
		return running
	}
	return slices.MaxFunc(installed, conf.CompareVersions)
}

// output runs a program of the root and returns what it prints, or "" if it fails.
func (m *machine) output(ctx context.Context, argv ...string) string {
	var out strings.Builder
	if err := m.runner.Run(ctx, proc.Cmd{Args: argv, Dir: "/", Env: m.env, Root: m.root.Dir(), Stdout: &out}); err != nil {
		return ""
	}
	return strings.TrimRight(out.String(), "\n")
}

// addonSetting finds the setting in a file that a shell would read.
var addonSetting = regexp.MustCompile(`(?m)^\s*(?:export\s+)?ADDON_MODULES_DIR=["']?([^"'\s;#]*)`)

// addonDir returns where an administrator of old wants modules installed, below the kernel's directory; "" for the usual place.
func (m *machine) addonDir() string {
	dir := m.getenv("ADDON_MODULES_DIR")
	if dir != "" {
		return dir
	}
	text, err := m.root.ReadFile("/etc/sysconfig/module-init-tools")
	if err != nil {
		return ""
	}
	for _, found := range addonSetting.FindAllStringSubmatch(string(text), -1) {
		dir = found[1]
	}
	return dir
}

// writable reports whether the user may write to a directory of the root.
func (m *machine) writable(abs string) bool {
	resolved, err := m.root.Follow(abs)
	return err == nil && unix.Access(m.root.Path(resolved), unix.W_OK) == nil
}

// IsFile reports whether a word of the command line is a regular file. It makes machine a classify: such words are paths of
// the machine that the command runs on.
func (m *machine) IsFile(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && fi.Mode().IsRegular()
}

// or returns the first text that is not empty.
func or(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
