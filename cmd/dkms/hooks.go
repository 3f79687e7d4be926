package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"dkms-go/build"
	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/hooks"
)

// The hidden verbs, which only the scripts of packaging call, with arguments by position. They are verbs as the first word
// of a command line alone, so that modules may have their names.

// hookVerb is one hidden verb.
type hookVerb func(ctx context.Context, s *hookSession, args []string) error

// hookSession is what a hidden verb works with.
type hookSession struct {
	*printer
	system  *hooks.System
	machine *machine
	builder *build.Builder
	in      io.Reader
}

func hookVerbs() map[string]hookVerb {
	return map[string]hookVerb{"package_postinst": packagePostinst, "autoinstaller": autoinstaller, "pacman_hook": pacmanHook}
}

// findHookVerb returns the hidden verb of a command line, and its arguments.
func findHookVerb(args []string) (hookVerb, []string) {
	if len(args) > 2 && args[0] == "--root" {
		args = args[2:]
	}
	if len(args) == 0 {
		return nil, nil
	}
	return hookVerbs()[args[0]], args[1:]
}

// packagePostinst is what common.postinst calls: NAME VERSION [ARCHIVES [ARCH [UPGRADE]]].
func packagePostinst(ctx context.Context, s *hookSession, args []string) error {
	args = append(slices.Clone(args), make([]string, 5)...)
	p := s.printer
	m := dkms.Module{Name: args[0], Version: args[1]}
	err := s.system.PackagePostinst(ctx, hooks.Package{Module: m, Archives: args[2], Arch: args[3], Upgrade: args[4] != ""})
	var none *hooks.NotInstalledError
	if errors.As(err, &none) {
		return s.notInstalled(ctx, m, args[3], none)
	}
	var e *dkms.Error
	switch {
	case !errors.As(err, &e) || reported(err):
		return err
	case e.Kind == dkms.MissingArguments:
		p.say("Need NAME and VERSION defined\nARCH is optional")
		return reportedError{err}
	case e.Kind == dkms.PackageArchive:
		p.say("\n\n%s\n\n", strings.Join(sentence(e), "\n"))
		return reportedError{err}
	}
	return err
}

// notInstalled is what the failure of a module comes to in the package of it: it is remembered, and the package is configured all
// the same unless the administrator requires the module.
func (s *hookSession) notInstalled(ctx context.Context, m dkms.Module, arch string, failure *hooks.NotInstalledError) error {
	missing := make([]string, len(failure.Kernels))
	for n, kernel := range failure.Kernels {
		missing[n] = fmt.Sprintf("%s for kernel %s", m, kernel)
		i := dkms.Instance{Module: m, Kernel: kernel, Arch: or(arch, s.machine.defaultArch(ctx, s.system.Tree.KernelDir(kernel)))}
		if err := s.builder.NoteFailure(i, failure.Err.Error()); err != nil {
			s.warning(err.Error())
		}
	}
	if s.builder.Settings.Module(m.Name).Policy == conf.Required {
		return reportedError{failure}
	}
	s.notAllInstalled(missing)
	s.builder.RepeatFailures(ctx)
	return nil
}

// notAllInstalled tells what a hook goes on without.
func (p *printer) notAllInstalled(missing []string) {
	p.warning("Not installed: "+strings.Join(missing, ", ")+".", "Everything else is in place. See why with: dkms status --failed")
}

// autoinstaller is what dkms_autoinstaller calls: [KERNEL] [--hook] [--no-initramfs]. Any failure of it is status 1.
func autoinstaller(ctx context.Context, s *hookSession, args []string) error {
	kernel := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		kernel = args[0]
	}
	o := hooks.AutoinstallOptions{Hook: slices.Contains(args, "--hook"), NoImage: slices.Contains(args, "--no-initramfs")}
	if err := s.system.Autoinstaller(ctx, kernel, o); err != nil {
		return reportedError{errors.New("autoinstall has failed")}
	}
	return nil
}

// pacmanHook is what the hooks of pacman call: install or remove, with targets on standard input, a line each. A failure stops
// nobody; pacman has no way to deal with one.
func pacmanHook(ctx context.Context, s *hookSession, args []string) error {
	text, err := io.ReadAll(s.in)
	if err != nil {
		return err
	}
	targets := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(args) > 0 && args[0] == "remove" {
		err = s.system.PacmanRemoves(ctx, targets)
	} else {
		err = s.system.PacmanInstalled(ctx, targets)
	}
	if err != nil {
		return reportedError{err}
	}
	return nil
}

// hook runs a hidden verb.
func hook(ctx context.Context, m *machine, p *printer, verb hookVerb, args []string) error {
	b, err := m.builder(ctx, &request{}, p, nil)
	if err != nil {
		return err
	}
	r := &renderer{printer: p}
	return verb(ctx, &hookSession{printer: p, machine: m, builder: b, in: os.Stdin, system: &hooks.System{
		Root: m.root, Tree: b.Tree, Conf: m.loader(nil, nil, nil), Framework: b.Framework, Running: m.release(),
		RPMKernel: m.newestRPMKernel, Verbs: verbRunner{m.root.Dir(), p.out, p.err}, Emit: r.hook,
	}}, args)
}

// newestRPMKernel returns the release of the kernel package that rpm lists last.
func (m *machine) newestRPMKernel(ctx context.Context) string {
	lines := strings.Split(m.output(ctx, "rpm", "-q", "--qf=%{VERSION}-%{RELEASE}.%{ARCH}\\n", "--whatprovides", "kernel"), "\n")
	return lines[len(lines)-1]
}

// verbRunner runs the verbs of this program.
type verbRunner struct {
	root     string
	out, err io.Writer
}

func (v verbRunner) Add(ctx context.Context, m dkms.Module) error {
	v.out = io.Discard
	return v.run(ctx, "add", dkms.Instance{Module: m})
}

func (v verbRunner) AddFrom(ctx context.Context, dir string) error {
	v.out = io.Discard
	return v.run(ctx, "add", dkms.Instance{}, dir)
}

func (v verbRunner) Load(ctx context.Context, archive string) error {
	return v.run(ctx, "ldtarball", dkms.Instance{}, "--archive", archive)
}

func (v verbRunner) Build(ctx context.Context, i dkms.Instance) error { return v.run(ctx, "build", i) }

func (v verbRunner) Install(ctx context.Context, i dkms.Instance) error {
	return v.run(ctx, "install", i)
}

func (v verbRunner) Remove(ctx context.Context, m dkms.Module, laterImage bool) error {
	options := []string{"--all"}
	if laterImage {
		options = append(options, "--initramfs-later")
	}
	return v.run(ctx, "remove", dkms.Instance{Module: m}, options...)
}

func (v verbRunner) Autoinstall(ctx context.Context, kernel string, o hooks.AutoinstallOptions) error {
	var options []string
	if o.Hook {
		options = append(options, "--hook")
	}
	if o.NoImage {
		options = append(options, "--no-initramfs")
	}
	return v.run(ctx, "autoinstall", dkms.Instance{Kernel: kernel}, options...)
}

func (v verbRunner) Sync(ctx context.Context, kernels []string, laterImage bool) error {
	options := []string{"--hook"}
	for _, k := range kernels {
		options = append(options, "-k", k)
	}
	if laterImage {
		options = append(options, "--initramfs-later")
	}
	return v.run(ctx, "sync", dkms.Instance{}, options...)
}

func (v verbRunner) KernelPrerm(ctx context.Context, kernel string) error {
	return v.run(ctx, "kernel_prerm", dkms.Instance{Kernel: kernel})
}

// run runs a verb as from a command line. Its error has been printed.
func (v verbRunner) run(ctx context.Context, verb string, i dkms.Instance, more ...string) error {
	args := []string{"--root", v.root, verb}
	for _, o := range [][2]string{{"-m", i.Name}, {"-v", i.Version}, {"-k", i.Kernel}, {"-a", i.Arch}} {
		if o[1] != "" {
			args = append(args, o[0], o[1])
		}
	}
	if err := execute(ctx, append(args, more...), newPrinter(v.out, v.err), sysroot.Open); err != nil {
		return reportedError{err}
	}
	return nil
}

// hook prints the events of hooks.
func (r *renderer) hook(e dkms.Event) {
	switch e := e.(type) {
	case hooks.Disabled:
		r.say("autoinstall for dkms modules has been disabled.")
	case hooks.Replacing:
		r.say("Removing old %s DKMS files...", e.Module)
	case hooks.Adding:
		r.say("Loading new %s DKMS files...", e.Module)
	case hooks.NotWanted:
		r.say("Not building the %s module which does not have AUTOINSTALL enabled.", e.Module.Name)
	case hooks.RunningElsewhere:
		r.say("It is likely that %s belongs to a chroot's host", e.Kernel)
	case hooks.NoKernels:
		r.say("WARNING: No kernel headers were found, skipping module build.\n"+
			"         To get the headers for the running kernel (%s)\n"+
			"         please install the linux-headers-%s package.", e.Running, e.Running)
	case hooks.KernelsChosen:
		r.say("Building for %s", kernelList(e))
		if e.Arch != "" {
			r.say("Building for architecture %s", e.Arch)
		}
	case hooks.KernelBegun:
		r.say("")
	case hooks.BootVariant:
		r.say("Module build and install for %s was skipped as \nit is a BOOT variant", e.Kernel)
	case hooks.NoSource:
		r.say("This package appears to be a binaries-only package\n you will not be able to build against kernel %s\n"+
			" since the package source was not provided", e.Kernel)
	case hooks.HeadersAbsent:
		r.say("Module build for kernel %s was skipped since the\nkernel headers for this kernel do not seem to be installed.", e.Kernel)
	case hooks.AutoinstallSkipped:
		r.say("Automatic installation of modules for kernel %s was skipped since the kernel headers for this kernel do not seem to be installed.", e.Kernel)
	case hooks.FirstBuild:
		r.say("Building initial module %s for %s", e.Module, e.Kernel)
	case hooks.BuildsFailed:
		r.say("Builds for the following kernel(s) failed: %s", strings.Join(e.Kernels, " "))
	}
}

// kernelList is the list of all kernels as a sentence has it, or a choice as it is.
func kernelList(e hooks.KernelsChosen) string {
	last := len(e.Kernels) - 1
	if !e.All || last == 0 {
		return strings.Join(e.Kernels, " ")
	}
	return strings.Join(e.Kernels[:last], ", ") + " and " + e.Kernels[last]
}
