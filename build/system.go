package build

import (
	"context"
	"path"
	"slices"
	"strings"

	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/proc"
)

// weakModules tells the distribution's own program that modules of an instance came or are about to go, so that it links them
// into other kernels with the same interface, or removes those links. Only the families of RHEL and SUSE have such a program.
// Its status does not count.
func (w *work) weakModules(ctx context.Context, i dkms.Instance, c *conf.Module, ps []dkms.Placement, add bool) {
	argv := w.weakCommand(i.Kernel, add)
	if argv == nil || c.NoWeakModules {
		return
	}
	w.Emit(WeakModules{Add: add})
	_ = w.Runner.Run(ctx, proc.Cmd{
		Args: argv, Dir: "/", Env: w.Env, Root: w.Root.Dir(), Stdout: w.Stdout, Stderr: w.Stderr,
		Stdin: strings.NewReader(strings.Join(w.Tree.InstalledFiles(i, ps), "\n") + "\n"),
	})
}

// HasWeakModules reports whether the distribution has a program that links modules into other kernels.
func (b *Builder) HasWeakModules() bool { return b.weakCommand("", true) != nil }

// weaklyInstalled reports whether the kernel of i uses the objects of that module built for another kernel.
func (b *Builder) weaklyInstalled(i dkms.Instance) bool {
	return b.HasWeakModules() && len(b.Tree.Weak(dkms.Filter{Name: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch})) > 0
}

// weakCommand returns the program that is told, or nil. dkms 3.4 hands SUSE's the text ${kernelver} instead of the kernel.
func (b *Builder) weakCommand(kernel string, add bool) []string {
	if b.Options.NoWeakModules {
		return nil
	}
	verb := "remove"
	if add {
		verb = "add"
	}
	switch d := b.Tree.Options().Distribution; {
	case d.Is("rhel"):
		return []string{"/usr/sbin/weak-modules", "--no-initramfs", "--" + verb + "-modules"}
	case d.Is("sles", "suse", "opensuse"):
		return []string{"/usr/lib/module-init-tools/weak-modules2", "--" + verb + "-kernel-modules", kernel}
	}
	return nil
}

// apport files a report about a build that failed, where Ubuntu's apport is installed.
func (w *work) apport(ctx context.Context, i dkms.Instance) {
	const hook = "/usr/share/apport/package-hooks/dkms_packages.py"
	if !w.executable("/usr/share/apport/apport") {
		return
	}
	if _, err := proc.LookPath(w.Root.Dir(), w.Env, "python3"); err != nil {
		return
	}
	_ = w.Runner.Run(ctx, proc.Cmd{
		Args: []string{"python3", hook, "-m", i.Name, "-v", i.Version, "-k", i.Kernel},
		Dir:  "/", Env: w.Env, Root: w.Root.Dir(), Stdout: w.Stdout, Stderr: w.Stderr,
	})
}

// modprobe loads the modules for the hardware that is present, after modules were installed for the kernel that runs
// (modprobe_on_install of framework.conf). It is nothing that an image could want.
func (w *work) modprobe(ctx context.Context, release string) {
	if !w.Options.Modprobe || release != w.Running || w.Root.Dir() != w.Host.Root.Dir() {
		return
	}
	aliases := w.modaliases("/sys/devices", map[string]bool{})
	const batch = 500 // far below the kernel's limit for a command line
	for len(aliases) > 0 {
		n := min(batch, len(aliases))
		_ = w.Builder.run("/")(ctx, append([]string{"modprobe", "-a", "-b", "-q"}, aliases[:n]...), w.Stderr)
		aliases = aliases[n:]
	}
	const service = "systemd-modules-load.service"
	if fi, err := w.Host.Root.Stat("/lib/systemd/system/" + service); err == nil && fi.Mode().IsRegular() {
		argv := []string{"systemctl", "restart", service}
		if w.inService() {
			argv = slices.Insert(argv, 1, "--no-block") // it may wait for us: at boot it comes after dkms.service
		}
		_ = w.Builder.run("/")(ctx, argv, w.Stderr)
	}
}

// inService reports whether systemd has started us (systemd.exec(5), INVOCATION_ID).
func (b *Builder) inService() bool {
	return slices.ContainsFunc(b.Env, func(s string) bool { return strings.HasPrefix(s, "INVOCATION_ID=") })
}

// modaliases returns what the devices below a directory of /sys call themselves, each text once.
func (w *work) modaliases(dir string, seen map[string]bool) []string {
	ents, err := w.Host.Root.ReadDir(dir)
	if err != nil {
		return nil
	}
	var aliases []string
	for _, e := range ents {
		abs := path.Join(dir, e.Name())
		if e.IsDir() {
			aliases = append(aliases, w.modaliases(abs, seen)...)
			continue
		}
		if e.Name() != "modalias" {
			continue
		}
		text, err := w.Host.Root.ReadFile(abs)
		for a := range strings.FieldsSeq(string(text)) {
			if err == nil && !seen[a] {
				seen[a] = true
				aliases = append(aliases, a)
			}
		}
	}
	return aliases
}
