package dkms

import (
	"context"
	"errors"
	"fmt"
	"path"
)

// BinariesOnly reports whether m is registered without sources, as a loaded archive without sources leaves it: T/M/V/source
// is then a directory with nothing but a dkms.conf. Such a module can be installed where a build came with it and removed
// like any other. To dkms 3.4 it is neither added nor broken, so it cannot be removed.
func (t *Tree) BinariesOnly(m Module) bool {
	return !t.isLink(t.SourceLink(m)) && t.isDir(t.SourceLink(m)) && t.isFile(t.ConfFile(m))
}

// StandsAlone reports whether loading an archive without sources would register m without sources: there are none in the
// source tree.
func (t *Tree) StandsAlone(m Module, a *Archive) bool {
	return a.Form == WithBinaries && !t.isDir(t.SourceDir(m))
}

// Load makes an unpacked archive part of the registry, with m as the module that its dkms.conf names: the sources go to
// S/M-V, merged into what is there, or with force in its place; the build results to T/M/V/K/A, with force in place of
// those that are there; and m is registered unless it is (load_tarball in dkms.in, which loads only the first build result
// and leaves a module without sources unregistered).
//
// All of it is written beside its place first. Then names change, and if one of them cannot, those before change back. The
// caller holds ModuleLock.
// linked tells whether the module was registered with its sources, which is for the caller to tell of: it was not if it was
// registered already, or if there are no sources.
func (t *Tree) Load(ctx context.Context, m Module, a *Archive, dir string, force bool, emit Emit) (linked bool, err error) {
	if err := m.Check(); err != nil {
		return false, err
	}
	if err := t.checkLoadSpace(m, a, dir); err != nil {
		return false, err
	}
	l := &loading{Tree: t, m: m, a: a, dir: dir, force: force, emit: emit}
	finished := false
	err = l.stage(ctx)
	if err == nil {
		finished, err = l.commit()
	}
	switch {
	case finished && err != nil:
		return l.linked, fmt.Errorf("load %s: %w", m, err)
	case IsFull(err):
		return false, t.noSpace(Instance{Module: m}, t.opt.DKMSTree, 0, errors.Join(err, l.discard()))
	case err != nil:
		return false, fmt.Errorf("load %s: %w", m, errors.Join(err, l.discard()))
	}
	return l.linked, nil
}

// checkLoadSpace sees to it that there is room for what the archive brings.
func (t *Tree) checkLoadSpace(m Module, a *Archive, dir string) error {
	builds := uint64(SpaceForRecords)
	for _, target := range a.Builds {
		builds += SizeOf(t.root, path.Join(dir, target.dir()))
	}
	if err := t.CheckSpace(Instance{Module: m}, t.opt.DKMSTree, builds); err != nil || a.Form == WithBinaries {
		return err
	}
	return t.CheckSpace(Instance{Module: m}, t.opt.SourceTree, SizeOf(t.root, path.Join(dir, a.Source))+SpaceForRecords)
}

// loading is the state of one Load.
type loading struct {
	*Tree
	m     Module
	a     *Archive
	dir   string // where the archive is unpacked
	force bool
	emit  Emit

	whole   string   // a new registration, complete; "" when there is one already
	moves   []move   // in order
	linked  bool     // the registration is a new link to the sources
	parents []string // directories that may have been made for what is staged in them
}

// move is one change of names: tmp takes the place of dst.
type move struct{ tmp, dst string }

// stage writes everything beside its place.
func (l *loading) stage(ctx context.Context) error {
	if l.a.Form != WithBinaries {
		if err := l.stageSource(ctx); err != nil {
			return err
		}
	}
	name := path.Dir(l.ModuleDir(l.m))
	if err := l.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	if !l.exists(l.ModuleDir(l.m)) {
		tmp, err := l.root.MkdirTemp(name, ".tmp_"+l.m.Version+"_*")
		if err != nil {
			return err
		}
		l.whole = tmp
		l.moves = append(l.moves, move{tmp: tmp, dst: l.ModuleDir(l.m)})
		if err := l.root.Mkdir(path.Join(tmp, "build"), 0o755); err != nil {
			return err
		}
	}
	alone := l.StandsAlone(l.m, l.a)
	if alone {
		if err := l.stageConf(); err != nil {
			return err
		}
	}
	for _, target := range l.a.Builds {
		if err := l.stageBuild(ctx, target); err != nil {
			return err
		}
	}
	if !alone {
		return l.stageLink()
	}
	return nil
}

func (l *loading) stageSource(ctx context.Context) error {
	src := path.Join(l.dir, l.a.Source)
	tmp, err := l.stageImport(ctx, l.root, src, l.m, l.force, l.emit)
	if err != nil {
		return err
	}
	l.moves = append(l.moves, move{tmp: tmp, dst: l.SourceDir(l.m)})
	return nil
}

// beside returns a new directory that will become dst: inside the new registration if there is one, else beside dst.
func (l *loading) beside(dst, prefix string) (string, error) {
	if l.whole != "" {
		dir := path.Join(l.whole, dst[len(l.ModuleDir(l.m)):])
		return dir, l.root.MkdirAll(dir, 0o755)
	}
	l.parents = append(l.parents, path.Dir(dst))
	if err := l.root.MkdirAll(path.Dir(dst), 0o755); err != nil {
		return "", err
	}
	tmp, err := l.root.MkdirTemp(path.Dir(dst), prefix)
	if err != nil {
		return "", err
	}
	l.moves = append(l.moves, move{tmp: tmp, dst: dst})
	return tmp, l.root.Chmod(tmp, 0o755)
}

// stageConf stages the directory that stands for the sources of a module without any.
func (l *loading) stageConf() error {
	l.emit(ConfKept{Dir: l.SourceLink(l.m)})
	tmp, err := l.beside(l.SourceLink(l.m), ".tmp_source_*")
	if err != nil {
		return err
	}
	src, dst := path.Join(l.dir, l.a.Source, confName), path.Join(tmp, confName)
	fi, err := l.root.Stat(src)
	if err != nil {
		return err
	}
	return errors.Join(l.root.Copy(src, dst, 0o644), l.root.Chtimes(dst, fi.ModTime()))
}

func (l *loading) stageBuild(ctx context.Context, target Target) error {
	i := Instance{l.m, target.Kernel, target.Arch}
	if err := i.Check(); err != nil {
		return err
	}
	base := l.BaseDir(i)
	if l.exists(base) && !l.force {
		l.emit(BuildKept{Dir: base})
		return nil
	}
	l.emit(BuildLoaded{Dir: base})
	tmp, err := l.beside(base, ".tmp_"+i.Arch+"_*")
	if err != nil {
		return err
	}
	return l.root.CopyTree(ctx, path.Join(l.dir, target.dir()), tmp)
}

// stageLink stages the link that makes the module registered.
func (l *loading) stageLink() error {
	src, link := l.SourceDir(l.m), l.SourceLink(l.m)
	if l.isLink(link) && l.Added(l.m) {
		return nil
	}
	l.linked = true
	if l.whole != "" {
		return l.root.Symlink(src, path.Join(l.whole, "source"))
	}
	tmp := path.Join(l.ModuleDir(l.m), ".tmp_source")
	l.moves = append(l.moves, move{tmp: tmp, dst: link})
	return errors.Join(l.root.MkdirAll(l.BuildDir(l.m), 0o755), l.root.PrepareLink(src, tmp))
}

// commit puts everything in its place.
func (l *loading) commit() (finished bool, err error) {
	x := l.newTransaction(ModuleLock(l.m), "loading of "+l.m.String())
	for _, mv := range l.moves {
		if mv.tmp == l.whole {
			if err := l.root.Chmod(mv.tmp, 0o755); err != nil {
				return false, err
			}
		}
		if !l.isLink(mv.tmp) {
			if err := l.root.SyncTree(mv.tmp); err != nil {
				return false, err
			}
		}
		if err := x.put(mv.tmp, mv.dst); err != nil {
			return false, err
		}
	}
	return x.run(nil, l.emit)
}

// discard deletes what stage made.
func (l *loading) discard() error {
	var errs []error
	for _, mv := range l.moves {
		errs = append(errs, l.root.RemoveAll(mv.tmp))
	}
	for _, dir := range l.parents {
		_ = l.root.RemoveEmpty(dir, l.ModuleDir(l.m))
	}
	_ = l.root.RemoveEmpty(path.Dir(l.ModuleDir(l.m)), l.opt.DKMSTree)
	return errors.Join(errs...)
}
