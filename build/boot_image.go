package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"dkms-go/build/initramfs"
	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kmod"
	"dkms-go/dkms/proc"
)

// A run that has changed modules that belong into the boot image of a kernel has it made anew: after the indexes are written, once
// for each kernel, by the system's own tool. That an image is due is noted in the registry before, and the note goes when the
// image is made; so neither a crash nor a failure makes it forgotten.

// imageTime is how long a tool may take.
const imageTime = 15 * time.Minute

// touch is a module that a run has changed in a kernel.
type touch struct {
	instance dkms.Instance
	objects  []object
}

// object is one kernel object of it.
type object struct {
	name, location string // the latter as dkms.conf has it
	file           string // where it is installed; "" when it has been taken away
}

// touched notes that modules of a kernel have changed.
func (w *work) touched(i dkms.Instance, ps []dkms.Placement) {
	t := w.touch(i, ps)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touches[i.Kernel] = append(w.touches[i.Kernel], t)
}

func (b *Builder) touch(i dkms.Instance, ps []dkms.Placement) touch {
	t := touch{instance: i}
	for _, p := range ps {
		o := object{name: p.Name, location: p.ConfDest}
		if files := b.Tree.InstalledFiles(i, []dkms.Placement{p}); b.Tree.Installed(i) && len(files) > 0 {
			o.file = files[0]
		}
		t.objects = append(t.objects, o)
	}
	return t
}

// refreshImages has the images made that are due, and adds to the results what became of it.
func (r *run) refreshImages(ctx context.Context) {
	if r.Options.NoImage || r.plan.Request.Goal == Vacate || !bootTree(r.Tree.Options().InstallTree) {
		return
	}
	emit := func(e dkms.Event) {
		r.watch(-1, e)
		r.Emit(e)
	}
	for _, release := range r.imageKernels() {
		image := initramfs.Find(r.Root, release)
		if image == nil || !r.noted(release) && !r.wanted(image, r.touches[release]) {
			continue
		}
		i := dkms.Instance{Kernel: release}
		res := Result{Step: Step{Action: Image, Instance: i, Part: -1, Implied: true}, Outcome: Done}
		r.watch(-1, StepBegun{res.Step})
		err := interrupted(ctx, res.Step, r.refresh(ctx, image, emit))
		if err != nil {
			res.Outcome, res.Err = Failed, r.Tree.Full(i, dkms.SpaceForRecords, err)
		}
		emit(StepEnded(res))
		r.results = append(r.results, res)
	}
}

// imageKernels returns the kernels whose images may be due: those with changed modules, and those that a synchronisation is
// about for which that was noted before.
func (r *run) imageKernels() []string {
	var releases []string
	for _, s := range r.plan.Steps {
		k := s.Instance.Kernel
		if len(r.touches[k]) > 0 && !slices.Contains(releases, k) {
			releases = append(releases, k)
		}
	}
	if r.plan.Request.Goal == Sync {
		for _, t := range r.plan.Request.Targets {
			if r.noted(t.Kernel) && !slices.Contains(releases, t.Kernel) {
				releases = append(releases, t.Kernel)
			}
		}
	}
	return releases
}

// bootTree reports whether an install tree is the one that images are made from.
func bootTree(tree string) bool {
	tree = path.Clean(tree)
	return tree == "/lib/modules" || tree == "/usr/lib/modules"
}

// wanted decides whether an image has to follow what was changed. An image that cannot be read may hold anything.
func (b *Builder) wanted(image *initramfs.Image, touches []touch) bool {
	var auto []touch
	for _, t := range touches {
		switch b.Settings.Module(t.instance.Name).Initramfs {
		case conf.ImageAlways:
			return true
		case conf.ImageNever:
		default:
			auto = append(auto, t)
		}
	}
	if len(auto) == 0 {
		return false
	}
	if slices.ContainsFunc(auto, b.essential) {
		return true
	}
	held, err := image.Modules()
	return err != nil || slices.ContainsFunc(auto, func(t touch) bool { return t.in(held) })
}

// in reports whether one of the kernel objects is among the modules of an image.
func (t touch) in(held map[string]bool) bool {
	return slices.ContainsFunc(t.objects, func(o object) bool { return held[kmod.ModuleName(o.name+".ko")] })
}

// essential reports whether the boot may depend on a module that is installed.
func (b *Builder) essential(t touch) bool {
	for _, o := range t.objects {
		if o.file == "" {
			continue
		}
		var module *kmod.Object
		if abs, err := b.Root.Follow(o.file); err == nil {
			module, _ = kmod.Open(b.Root.Path(abs)) // what cannot be read drives nothing
		}
		if initramfs.Essential(o.location, module) {
			return true
		}
	}
	return false
}

// refresh has one image made, or leaves that to who calls Images later, such as the end of a transaction of dpkg or rpm.
func (b *Builder) refresh(ctx context.Context, image *initramfs.Image, emit dkms.Emit) error {
	if err := b.note(image.Release); err != nil {
		return err
	}
	if b.Options.LaterImage || b.deferred(ctx) {
		return nil
	}
	return b.makeImage(ctx, image, emit)
}

// have reports whether the system has a program.
func (b *Builder) have(program string) bool {
	_, err := proc.LookPath(b.Root.Dir(), b.Env, program)
	return err == nil
}

func (b *Builder) makeImage(ctx context.Context, image *initramfs.Image, emit dkms.Emit) error {
	argv := image.Command(b.have)
	failure := &dkms.Error{Kind: dkms.ImageFailed, Instance: dkms.Instance{Kernel: image.Release}, Subject: image.Path}
	if argv == nil {
		failure.Detail = []string{"no program to make it with is installed"}
		return failure
	}
	if failure.Err = b.roomForImage(image, argv[0]); failure.Err != nil {
		return failure
	}
	command := strings.Join(argv, " ")
	emit(TaskBegun{Description: "Updating " + image.Path, Command: command})
	var out bytes.Buffer
	err := b.Runner.Run(ctx, proc.Cmd{Args: argv, Dir: "/", Env: b.Env, Root: b.Root.Dir(), Stdout: &out, Stderr: &out, Timeout: imageTime})
	emit(TaskEnded{Command: command, Status: status(err)})
	if err != nil {
		failure.Detail, failure.Err = lastLines(out.String()), err
		return failure
	}
	return b.unnote(image.Release)
}

// roomForImage returns an error of kind NoSpace unless there is room to make an image anew. update-initramfs writes the new one beside
// the old one; dracut and mkinitcpio make theirs among temporary files and copy it over the old one.
func (b *Builder) roomForImage(image *initramfs.Image, program string) error {
	need := uint64(dkms.SpaceForRecords)
	if path.Base(program) == "update-initramfs" {
		need += dkms.SizeOf(b.Root, image.Path)
	}
	return b.Tree.CheckSpace(dkms.Instance{}, path.Dir(image.Path), need)
}

// lastLines returns the end of what a program has printed.
func lastLines(text string) []string {
	const most = 5
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[max(0, len(lines)-most):]
}

// noteOf is the file that says that the image of a kernel is due.
func (b *Builder) noteOf(release string) string {
	return path.Join(b.notes(), release)
}

func (b *Builder) notes() string { return path.Join(b.Tree.Options().DKMSTree, ".initramfs") }

func (b *Builder) noted(release string) bool {
	_, err := b.Root.Stat(b.noteOf(release))
	return err == nil
}

func (b *Builder) note(release string) error {
	if err := dkms.CheckName("kernel release", release); err != nil {
		return err
	}
	err := b.Root.MkdirFor(b.notes(), 0o755, func() error { return b.Root.WriteFile(b.noteOf(release), nil, 0o644) })
	if err != nil {
		return fmt.Errorf("note that a boot image is due: %w", err)
	}
	return nil
}

// unnote removes a note, if there is one.
func (b *Builder) unnote(release string) error {
	if err := b.Root.Remove(b.noteOf(release)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return b.Root.RemoveEmpty(b.notes(), b.Tree.Options().DKMSTree)
}

// Images makes the boot images that are noted as due. One that has been made since by somebody else, such as the package of
// the kernel, is not made again.
func (b *Builder) Images(ctx context.Context) error {
	var errs []error
	for _, release := range b.notedReleases() {
		errs = append(errs, b.makeUp(ctx, release))
	}
	return errors.Join(errs...)
}

// makeUp makes the image of a kernel that is noted as due, unless that is settled.
func (b *Builder) makeUp(ctx context.Context, release string) error {
	image := b.due(release)
	if image == nil {
		return b.unnote(release)
	}
	return b.makeImage(ctx, image, b.Emit)
}

// DueImages returns the kernels whose boot images Images would make.
func (b *Builder) DueImages() []string {
	return slices.DeleteFunc(b.notedReleases(), func(release string) bool { return b.due(release) == nil })
}

// notedReleases returns the kernels whose boot images are noted as due.
func (b *Builder) notedReleases() []string {
	ents, err := b.Root.ReadDir(b.notes())
	if err != nil {
		return nil // none was ever due
	}
	releases := make([]string, len(ents))
	for n, e := range ents {
		releases[n] = e.Name()
	}
	return releases
}

// due returns the image of a kernel that is noted, unless it is gone or was made since.
func (b *Builder) due(release string) *initramfs.Image {
	image := initramfs.Find(b.Root, release)
	since, err := b.Root.Stat(b.noteOf(release))
	if image == nil || err != nil || image.Time.After(since.ModTime()) {
		return nil
	}
	return image
}
