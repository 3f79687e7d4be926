package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/kmod"
	"dkms-go/dkms/proc"
)

// Archive is an archive that is to be loaded, unpacked into a private directory: its dkms.conf can only be evaluated with
// the files around it. Unpack makes one, Discard deletes it.
type Archive struct {
	*dkms.Archive
	Dir string // where it is unpacked, inside the root

	parent string
}

// Unpack reads an archive, which may come from anywhere, and unpacks it below the place for temporary files if there is
// nothing wrong with it. See dkms.ReadArchive for what can be wrong.
func (b *Builder) Unpack(ctx context.Context, file io.ReadSeeker, name string) (*Archive, error) {
	content, err := dkms.ReadArchive(ctx, file, name)
	if err != nil {
		return nil, err
	}
	parent, err := b.Root.MkdirTemp(b.Framework.TmpLocation, "dkms.*")
	if err != nil {
		return nil, b.Tree.Full(dkms.Instance{}, content.Size(), fmt.Errorf("unpack %s: %w", name, err))
	}
	a := &Archive{Archive: content, Dir: path.Join(parent, "archive"), parent: parent}
	err = b.Root.Mkdir(a.Dir, 0o755)
	if err == nil {
		err = a.Archive.Unpack(ctx, file, b.Root, a.Dir)
	}
	if err != nil {
		return nil, b.Tree.Full(dkms.Instance{}, content.Size(), errors.Join(err, b.Discard(a)))
	}
	return a, nil
}

// Discard deletes an unpacked archive.
func (b *Builder) Discard(a *Archive) error { return b.Root.RemoveAll(a.parent) }

// source returns the directory with the dkms.conf.
func (a *Archive) source() string { return path.Join(a.Dir, a.Source) }

// brings reports whether the archive has a build result for a kernel.
func (a *Archive) brings(i dkms.Instance) bool {
	return slices.Contains(a.Builds, dkms.Target{Kernel: i.Kernel, Arch: i.Arch})
}

// unpacked plans the loading of the request's archive, and makes its module that of the request.
func (p *planner) unpacked(ctx context.Context, r *Request) error {
	a := r.Archive
	m, err := p.identify(ctx, &Source{Root: p.Root, Dir: a.source()}, r.target(0))
	if err != nil {
		return err
	}
	r.Module = m
	if err := r.check(); err != nil {
		return err
	}
	if p.Tree.Added(m) && !p.Tree.BinariesOnly(m) && !r.Force { // to binaries there may come more
		kind := dkms.ArchiveAdded
		if a.Form == dkms.Foreign {
			kind = dkms.AlreadyAdded
		}
		return &dkms.Error{Kind: kind, Instance: dkms.Instance{Module: m}}
	}
	p.step(Step{Action: Load, Instance: r.instance(0), Archive: a, Part: -1, Implied: r.Goal != Add, Replace: r.Force})
	p.added = true
	return nil
}

// loads reports whether the plan loads a build result of i, so that nothing need be built.
func (p *planner) loads(i dkms.Instance) bool {
	for _, s := range p.plan.Steps {
		if s.Action == Load && s.Instance.Module == i.Module && s.Archive.brings(i) {
			return true
		}
	}
	return false
}

// stranded reports whether an instance would have to be built, but its module has no sources.
func (b *Builder) stranded(i dkms.Instance) bool {
	return b.Tree.BinariesOnly(i.Module) && !b.Tree.Built(i)
}

// unpack loads an unpacked archive. What add would complain of is found before anything changes; the rest of add, its remarks
// about the dkms.conf and the module's POST_ADD, follows when loading has registered the module with its sources.
func (w *work) unpack(ctx context.Context, s Step) error {
	m, a := s.Instance.Module, s.Archive
	if err := w.checkUnpacked(ctx, s); err != nil {
		return err
	}
	if a.Form != dkms.Foreign {
		w.Emit(ArchiveBegun{Module: m})
	}
	var linked bool
	err := w.holding(ctx, func() (err error) {
		linked, err = w.Tree.Load(ctx, m, a.Archive, a.Dir, s.Replace, w.Emit)
		return err
	}, dkms.ModuleLock(m))
	if err != nil || !linked {
		return err
	}
	file := w.Options.ConfFile
	if file == "" {
		file = w.Tree.SourceDir(m) + "/dkms.conf"
	}
	c, _, err := w.conf(ctx, s.Instance, file, true)
	if err != nil {
		return err
	}
	w.Emit(dkms.SourceLinked{Link: w.Tree.SourceLink(m), Target: w.Tree.SourceDir(m)})
	err = w.script(ctx, s.Instance, "post_add", c.PostAdd)
	if s.Implied && ctx.Err() == nil {
		return nil
	}
	return err
}

// checkUnpacked validates the dkms.conf that will count when the archive is loaded.
func (w *work) checkUnpacked(ctx context.Context, s Step) error {
	m, a := s.Instance.Module, s.Archive
	file := w.Options.ConfFile
	switch {
	case file != "":
	case a.Form == dkms.WithBinaries && !w.Tree.StandsAlone(m, a.Archive):
		file = w.Tree.SourceDir(m) + "/dkms.conf"
	default:
		file = a.source() + "/dkms.conf"
	}
	k, err := w.kernel(Target{s.Instance.Kernel, s.Instance.Arch})
	if err != nil {
		return err
	}
	c, err := w.load(ctx, s.Instance, file, k)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.Check(true), func(p conf.Problem) bool { return !p.Warning }) {
		return problems(c, file, true, w.Emit)
	}
	return nil
}

// Packing says which archive is wanted.
type Packing struct {
	Module   dkms.Module
	Targets  []Target
	NoSource bool
	Root     *sysroot.Root // where the archive belongs
	File     string        // inside Root; its ending chooses the compression, as with tar -a
	Shown    string        // the same as the user knows it
}

// Pack makes an archive of a registered module and its build results (make_tarball in dkms.in). It appears under its name
// when it is complete.
func (b *Builder) Pack(ctx context.Context, p Packing) error {
	file, err := b.packedConf(ctx, p)
	if err != nil {
		return err
	}
	c := dkms.Contents{Module: p.Module, Source: !p.NoSource, Conf: file}
	for _, t := range p.Targets {
		i := dkms.Instance{Module: p.Module, Kernel: t.Kernel, Arch: t.Arch}
		if err := i.Check(); err != nil {
			return err
		}
		if fi, err := b.Root.Stat(b.Tree.BaseDir(i)); err != nil || !fi.IsDir() {
			return &dkms.Error{Kind: dkms.NotBuilt, Instance: i}
		}
		b.Emit(Packed{Target: t})
		c.Builds = append(c.Builds, dkms.Target{Kernel: t.Kernel, Arch: t.Arch})
	}
	source := ""
	if c.Source {
		source = b.Tree.SourceLink(p.Module)
	}
	b.Emit(SourcePacked{Dir: source})
	b.Emit(ArchiveNamed{File: p.Shown})
	dir := path.Dir(p.File)
	if err := p.Root.MkdirAll(dir, 0o755); dkms.IsFull(err) {
		return packError(ctx, p, b.Tree.Full(dkms.Instance{}, b.packedSize(c), err))
	} else if err != nil {
		return &dkms.Error{Kind: dkms.ArchiveNotWritable, Subject: strings.TrimSuffix(p.Shown, "/"+path.Base(p.File)), Err: err}
	}
	err = b.keeping(ctx, p, func() error {
		return p.Root.Replace(p.File, 0o644, func(w io.Writer) error { return b.pack(ctx, w, p.File, c) })
	})
	if dkms.IsFull(err) {
		err = b.Tree.Full(dkms.Instance{}, b.packedSize(c), err)
	}
	return packError(ctx, p, err)
}

// keeping calls f, which writes an archive. Where that is in the registry, nobody deletes the module meanwhile, nor takes what is
// half written for left over.
func (b *Builder) keeping(ctx context.Context, p Packing, f func() error) error {
	if p.Root != b.Root || !strings.HasPrefix(p.File, b.Tree.ModuleDir(p.Module)+"/") {
		return f()
	}
	h, err := b.Tree.Lock(ctx, b.Emit, dkms.ModuleLock(p.Module).Shared())
	if err != nil {
		return err
	}
	defer h.Unlock()
	return f()
}

// packedSize is how many bytes an archive takes at most.
func (b *Builder) packedSize(c dkms.Contents) uint64 {
	sum := uint64(dkms.SpaceForRecords)
	for _, t := range c.Builds {
		sum += dkms.SizeOf(b.Root, b.Tree.BaseDir(dkms.Instance{Module: c.Module, Kernel: t.Kernel, Arch: t.Arch}))
	}
	if c.Source {
		sum += dkms.SizeOf(b.Root, b.Tree.SourceLink(c.Module))
	}
	return sum
}

// packedConf checks the dkms.conf that counts for an archive, and returns where it is.
func (b *Builder) packedConf(ctx context.Context, p Packing) (string, error) {
	file := b.Options.ConfFile
	if file == "" {
		file = b.Tree.ConfFile(p.Module)
	}
	if len(p.Targets) == 0 { // of --all, when nothing is built
		return file, nil
	}
	t := p.Targets[0]
	k, err := b.kernel(t)
	if err != nil {
		return "", err
	}
	c, err := b.load(ctx, dkms.Instance{Module: p.Module, Kernel: t.Kernel, Arch: t.Arch}, file, k)
	if err != nil {
		return "", err
	}
	return file, problems(c, b.Options.ConfFile, false, b.Emit)
}

// packError lifts what went wrong in making an archive.
func packError(ctx context.Context, p Packing, err error) error {
	var (
		known  *dkms.Error
		member *dkms.MemberError
	)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &dkms.Error{Kind: dkms.Interrupted, Err: err}
	case errors.As(err, &known):
		return err
	case errors.As(err, &member):
		return &dkms.Error{Kind: dkms.ArchiveFailed, Subject: p.Shown, Detail: []string{fmt.Sprintf("%s cannot be packed: %s.", member.Name, member.Why)}}
	case errors.Is(err, fs.ErrPermission):
		return &dkms.Error{Kind: dkms.ArchiveNotWritable, Subject: strings.TrimSuffix(p.Shown, "/"+path.Base(p.File)), Err: err}
	}
	return &dkms.Error{Kind: dkms.ArchiveFailed, Subject: p.Shown, Err: err}
}

// pack writes an archive, compressed as the ending of file says.
func (b *Builder) pack(ctx context.Context, w io.Writer, file string, c dkms.Contents) error {
	suffix := strings.TrimPrefix(path.Ext(file), ".")
	switch suffix {
	case "gz", "tgz", "taz":
		return b.packInto(ctx, w, kmod.Gzip, c)
	case "zst", "tzst":
		return b.packInto(ctx, w, kmod.Zstd, c)
	case "xz", "txz":
		return b.packThrough(ctx, w, []string{"xz", "-T1", "-c"}, c)
	case "bz2", "tbz", "tbz2", "tz2":
		return b.packThrough(ctx, w, []string{"bzip2", "-c"}, c)
	case "Z", "taZ", "lz", "lzma", "tlz", "lzo":
		return &dkms.Error{Kind: dkms.ArchiveFailed, Subject: file, Detail: []string{"Archives are compressed as .gz, .xz, .zst or .bz2, not as ." + suffix + "."}}
	}
	return b.packInto(ctx, w, kmod.None, c)
}

func (b *Builder) packInto(ctx context.Context, w io.Writer, compression kmod.Compression, c dkms.Contents) error {
	packed, err := kmod.NewWriter(w, compression)
	if err != nil {
		return err
	}
	if err := b.Tree.Pack(ctx, packed, c); err != nil {
		return err
	}
	return packed.Close()
}

// packThrough writes an archive through a program that compresses. It is one of this machine: the archive is for people
// here, whatever root is worked on.
func (b *Builder) packThrough(ctx context.Context, w io.Writer, argv []string, c dkms.Contents) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error {
		err := b.Tree.Pack(ctx, to, c)
		return errors.Join(err, to.Close())
	})
	ran := b.Runner.Run(ctx, proc.Cmd{Args: argv, Dir: "/", Env: b.Env, Stdin: from, Stdout: w})
	closed := from.Close()
	if packed := g.Wait(); ran == nil {
		return errors.Join(packed, closed)
	}
	return ran
}
