package build

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"dkms-go/build/initramfs"
	"dkms-go/build/sign"
	"dkms-go/build/sign/trust"
	"dkms-go/conf"
	"dkms-go/dkms"
)

// Readiness says whether a machine can be started with a kernel without missing a driver.
type Readiness struct {
	Target   Target
	Enforced trust.Reason    // why the kernel takes signed modules only; then signatures count
	Modules  []dkms.Instance // that have to be there
	Lacks    []*dkms.Error   // what they lack, in the order of the modules; Remedy says what to type
}

// Ready looks at every module that automatic installation would install for a kernel: whether it is built, signed by a key
// that the machine trusts where its kernel insists on that, installed as it was built, in the index that modprobe reads, and in
// the boot image where it has to be. It only reads.
func (b *Builder) Ready(ctx context.Context, t Target) (*Readiness, error) {
	c := &check{Builder: b, Readiness: &Readiness{Target: t}}
	if !b.Bootable(t.Kernel) {
		c.lack(dkms.Instance{Kernel: t.Kernel, Arch: t.Arch}, dkms.KernelDirMissing, b.Tree.KernelDir(t.Kernel), "install that kernel, or name another one with -k")
		return c.Readiness, nil
	}
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	p := &planner{Builder: b, plan: &Plan{}}
	newest, err := p.newest()
	if err != nil {
		return nil, err
	}
	for _, m := range p.plan.Broken {
		c.lack(dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}, dkms.SourceBroken, "", "restore its sources, or delete its directory in the DKMS tree")
	}
	for _, m := range newest {
		if err := c.module(ctx, dkms.Instance{Module: m, Kernel: t.Kernel, Arch: t.Arch}); err != nil {
			return nil, err
		}
	}
	c.imageDue()
	return c.Readiness, nil
}

// check is a readiness in the making.
type check struct {
	*Builder
	*Readiness
	key     *KeyStatus      // nil where signatures do not count
	indexed map[string]bool // files in modules.dep, below the kernel's directory
	image   *initramfs.Image
	held    map[string]bool // modules in the image
}

func (c *check) prepare(ctx context.Context) (err error) {
	if c.Enforced, err = c.Enforces(c.Target); err != nil {
		return err
	}
	if c.Enforced != trust.NotEnforced {
		if c.key, err = c.KeyStatus(ctx, c.Target, sign.Pair{}); err != nil {
			return err
		}
	}
	c.indexed = map[string]bool{}
	text, err := c.Root.ReadFile(path.Join(c.Tree.KernelDir(c.Target.Kernel), "modules.dep"))
	for line := range strings.Lines(string(text)) {
		file, _, found := strings.Cut(line, ":")
		c.indexed[file] = err == nil && found
	}
	if bootTree(c.Tree.Options().InstallTree) {
		c.image = initramfs.Find(c.Root, c.Target.Kernel)
	}
	if c.image != nil {
		c.held, err = c.image.Modules()
		var unknown *initramfs.FormatError
		if err != nil && !errors.As(err, &unknown) {
			return err
		}
	}
	return nil
}

func (c *check) lack(i dkms.Instance, kind dkms.Kind, subject, remedy string) {
	c.Lacks = append(c.Lacks, &dkms.Error{Kind: kind, Instance: i, Subject: subject, Remedy: remedy})
}

// module looks at one module, if it is one that the kernel has to have.
func (c *check) module(ctx context.Context, i dkms.Instance) error {
	if !c.Settings.Module(i.Name).Kernel.Has(i.Kernel) || c.stranded(i) || c.weaklyInstalled(i) {
		return nil
	}
	m, records, err := c.Evaluate(ctx, i)
	var invalid *InvalidConfError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && !errors.As(err, &invalid):
		c.lack(i, dkms.BadConf, c.Tree.ConfFile(i.Module), "correct that file: "+err.Error())
		return nil
	case !m.Autoinstall || len(records) == 0 && m.HasExclusive():
		return nil
	}
	c.Modules = append(c.Modules, i)
	install := "dkms install " + i.Module.String() + " -k " + i.Kernel
	if !c.Tree.Built(i) {
		c.lack(i, dkms.DriverNotBuilt, c.whyNotBuilt(i), install)
		return nil
	}
	ps := c.Tree.Placements(m, records, "")
	if c.key != nil {
		if err := c.signatures(i, ps); err != nil {
			return err
		}
	}
	return c.inPlace(ctx, i, ps, install)
}

// whyNotBuilt says why a module is not built, as far as that is known.
func (c *check) whyNotBuilt(i dkms.Instance) string {
	if f, failed := c.Tree.Failure(i); failed {
		if f.Log != "" {
			return "it has failed, see " + f.Log
		}
		line, _, _ := strings.Cut(f.Message, "\n")
		return "it has failed: " + line
	}
	var missing *dkms.Error
	if err := c.CheckHeaders(c.Target); errors.As(err, &missing) {
		return strings.TrimPrefix(missing.Remedy, "install ") + " is not installed"
	}
	return ""
}

// signatures looks whether the kernel will take the files of a module.
func (c *check) signatures(i dkms.Instance, ps []dkms.Placement) error {
	files := c.Tree.InstalledFiles(i, ps)
	if !c.Tree.Installed(i) {
		var err error
		if files, err = c.instanceFiles(i); err != nil {
			return err
		}
	}
	sayKey := "see how things stand: dkms key status"
	for _, file := range files {
		v := c.VerifyFile(c.Root, file, c.key)
		switch {
		case v.Err != nil:
			return v.Err
		case v.Finding == sign.Unsigned || v.Finding == sign.Damaged || v.Finding == sign.Tampered:
			c.lack(i, dkms.DriverUnsigned, file+" is "+string(v.Finding), "dkms sign "+i.Module.String()+" -k "+i.Kernel)
		case v.Finding == sign.OtherSigner:
			c.lack(i, dkms.DriverUntrusted, file+" is signed by "+v.Signer+", whose certificate is not here", sayKey)
		case c.key.Standing != trust.Trusted && c.key.Standing != trust.Rebooting:
			c.lack(i, dkms.DriverUntrusted, "the certificate "+c.key.Pair.Certificate+" is "+string(c.key.Standing), sayKey)
		}
	}
	return nil
}

// inPlace looks whether modprobe, and the boot, will find a module.
func (c *check) inPlace(ctx context.Context, i dkms.Instance, ps []dkms.Placement, install string) error {
	if !c.Tree.Installed(i) {
		c.lack(i, dkms.DriverNotInstalled, "", install)
		return nil
	}
	entries, err := c.Tree.Status(ctx, dkms.Filter{Name: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch}, c.Evaluate)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case e.Missing:
			c.lack(i, dkms.DriverNotBuilt, "a file is gone from "+c.Tree.BaseDir(i), install+" --force")
			return nil
		case e.Differs:
			c.lack(i, dkms.DriverNotInstalled, "what is installed is not what was built", install+" --force")
			return nil
		}
	}
	for _, file := range c.Tree.InstalledFiles(i, ps) {
		name := strings.TrimPrefix(file, c.Tree.KernelDir(i.Kernel)+"/")
		if !c.indexed[name] {
			c.lack(i, dkms.DriverNotIndexed, file, "dkms depmod "+i.Kernel)
		}
	}
	c.inImage(i, ps)
	return nil
}

// inImage looks whether the boot image has a module that has to be in it, and not an older one than is installed.
func (c *check) inImage(i dkms.Instance, ps []dkms.Placement) {
	setting := c.Settings.Module(i.Name).Initramfs
	switch {
	case c.image == nil && setting == conf.ImageAlways && bootTree(c.Tree.Options().InstallTree):
		c.lack(i, dkms.DriverNotInImage, "there is none for this kernel", "make one with the system's own tool, or change initramfs in "+conf.SettingsFile)
		return
	case c.image == nil || setting == conf.ImageNever:
		return
	}
	t := c.touch(i, ps)
	remedy := strings.Join(c.image.Command(c.have), " ")
	for _, o := range t.objects {
		in := touch{objects: []object{o}}.in(c.held)
		needed := setting == conf.ImageAlways || c.essential(touch{objects: []object{o}})
		switch {
		case !in && needed && c.held == nil:
			c.lack(i, dkms.DriverNotInImage, c.image.Path+" cannot be read, and should have "+o.name, remedy)
		case !in && needed:
			c.lack(i, dkms.DriverNotInImage, o.name+" is not in "+c.image.Path, remedy)
		case in && c.older(o.file):
			c.lack(i, dkms.DriverNotInImage, c.image.Path+" has an older "+o.name, remedy)
		}
	}
}

// imageDue looks whether a run has left the boot image to somebody who has not made it, if no module has told of that already: one
// that was taken away may still be in there.
func (c *check) imageDue() {
	told := func(e *dkms.Error) bool { return e.Kind == dkms.DriverNotInImage }
	if c.image == nil || c.due(c.Target.Kernel) == nil || slices.ContainsFunc(c.Lacks, told) {
		return
	}
	c.lack(dkms.Instance{Kernel: c.Target.Kernel, Arch: c.Target.Arch}, dkms.DriverNotInImage, c.image.Path, "dkms initramfs")
}

// older reports whether the image was made before a file.
func (c *check) older(abs string) bool {
	fi, err := c.Root.Stat(abs)
	return err == nil && c.image.Time.Before(fi.ModTime())
}
