package build

import (
	"context"
	"path"
	"strings"

	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/proc"
)

// weakModules tells the distribution's own program that modules of an instance came or are about to go, so that it links them
// into other kernels with the same interface, or removes those links. Only the families of RHEL and SUSE have such a program.
// Its status does not count.
func (r *run) weakModules(ctx context.Context, i dkms.Instance, c *conf.Module, ps []dkms.Placement, add bool) {
	argv := r.weakCommand(i.Kernel, add)
	if argv == nil || c.NoWeakModules {
		return
	}
	r.Emit(WeakModules{Add: add})
	_ = r.Runner.Run(ctx, proc.Cmd{
		Args: argv, Dir: "/", Env: r.Env, Root: r.Root.Dir(), Stdout: r.Stdout, Stderr: r.Stderr,
		Stdin: strings.NewReader(strings.Join(r.Tree.InstalledFiles(i, ps), "\n") + "\n"),
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
func (r *run) apport(ctx context.Context, i dkms.Instance) {
	const hook = "/usr/share/apport/package-hooks/dkms_packages.py"
	if !r.executable("/usr/share/apport/apport") {
		return
	}
	if _, err := proc.LookPath(r.Root.Dir(), r.Env, "python3"); err != nil {
		return
	}
	_ = r.Runner.Run(ctx, proc.Cmd{
		Args: []string{"python3", hook, "-m", i.Name, "-v", i.Version, "-k", i.Kernel},
		Dir:  "/", Env: r.Env, Root: r.Root.Dir(), Stdout: r.Stdout, Stderr: r.Stderr,
	})
}

// modprobe loads the modules for the hardware that is present, after modules were installed for the kernel that runs
// (modprobe_on_install of framework.conf). It is nothing that an image could want.
func (r *run) modprobe(ctx context.Context, release string) {
	if !r.Options.Modprobe || release != r.Running || r.Root.Dir() != r.Host.Root.Dir() {
		return
	}
	aliases := r.modaliases("/sys/devices", map[string]bool{})
	const batch = 500 // far below the kernel's limit for a command line
	for len(aliases) > 0 {
		n := min(batch, len(aliases))
		_ = r.Builder.run("/")(ctx, append([]string{"modprobe", "-a", "-b", "-q"}, aliases[:n]...), r.Stderr)
		aliases = aliases[n:]
	}
	const service = "systemd-modules-load.service"
	if fi, err := r.Host.Root.Stat("/lib/systemd/system/" + service); err == nil && fi.Mode().IsRegular() {
		_ = r.Builder.run("/")(ctx, []string{"systemctl", "restart", service}, r.Stderr)
	}
}

// modaliases returns what the devices below a directory of /sys call themselves, each text once.
func (r *run) modaliases(dir string, seen map[string]bool) []string {
	ents, err := r.Host.Root.ReadDir(dir)
	if err != nil {
		return nil
	}
	var aliases []string
	for _, e := range ents {
		abs := path.Join(dir, e.Name())
		if e.IsDir() {
			aliases = append(aliases, r.modaliases(abs, seen)...)
			continue
		}
		if e.Name() != "modalias" {
			continue
		}
		text, err := r.Host.Root.ReadFile(abs)
		for a := range strings.FieldsSeq(string(text)) {
			if err == nil && !seen[a] {
				seen[a] = true
				aliases = append(aliases, a)
			}
		}
	}
	return aliases
}
