package depmod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"dkms-go/conf/sysroot"
)

// Runner runs a program on the host, not inside the root, and writes what it
// prints to out; nil discards it. argv[0] is looked up in PATH.
type Runner func(ctx context.Context, argv []string, out io.Writer) error

// Indexer writes the indexes of kernels in one install tree.
type Indexer struct {
	Root        *sysroot.Root
	InstallTree string // inside the root, normally /lib/modules
	Runner      Runner
	Output      io.Writer // what depmod prints; nil discards it
}

// Outcome is what Index has done.
type Outcome int

// The outcomes of Index that are no errors.
const (
	Indexed Outcome = iota // the indexes are up to date
	Skipped                // there is no modules.dep: the kernel itself is not installed
	Cleaned                // no module is left, so the indexes are gone
)

// Result tells what Index has done.
type Result struct {
	Outcome    Outcome
	ModulesDep string // INSTALL_TREE/RELEASE/modules.dep
	RemovedDir string // the kernel's module directory, when it was empty after Cleaned; else ""
}

// LayoutError says that depmod does not know an install tree by its name,
// because it only knows directories called lib/modules below some other one.
type LayoutError struct{ InstallTree string }

func (e *LayoutError) Error() string {
	return fmt.Sprintf("depmod cannot index %q: the name of an install tree must end in /lib/modules", e.InstallTree)
}

// Index runs depmod for release (do_depmod). A kernel without modules.dep is
// left alone: it has been removed, or its image is not installed yet. When
// modules.dep is empty afterwards the last module is gone; then the indexes
// are removed, and the directory if nothing else is in it.
func (x *Indexer) Index(ctx context.Context, release string) (Result, error) {
	dir := path.Join(x.InstallTree, release)
	result := Result{ModulesDep: path.Join(dir, "modules.dep")}
	if !x.isRegular(result.ModulesDep) {
		result.Outcome = Skipped
		return result, nil
	}
	argv, undo, err := x.anyCommand(release)
	if err != nil {
		return result, err
	}
	defer undo()
	if err := x.Runner(ctx, argv, x.Output); err != nil {
		return result, fmt.Errorf("index modules of kernel %q: %w", release, err)
	}
	info, err := x.Root.Stat(result.ModulesDep)
	if err != nil || info.Size() > 0 {
		return result, nil
	}
	result.Outcome = Cleaned
	result.RemovedDir, err = x.clean(dir)
	return result, err
}

// anyCommand is command for install trees of any name: one that depmod does not
// know gets a directory beside it in which it is called lib/modules, by a link.
// undo removes that.
func (x *Indexer) anyCommand(release string) (argv []string, undo func(), err error) {
	argv, err = x.command(release)
	var layout *LayoutError
	if !errors.As(err, &layout) {
		return argv, func() {}, err
	}
	tree := path.Clean(x.InstallTree)
	tmp, err := x.Root.MkdirTemp(path.Dir(tree), ".depmod.*")
	if err != nil {
		return nil, nil, fmt.Errorf("index modules below %q: %w", tree, err)
	}
	undo = func() { _ = x.Root.RemoveAll(tmp) }
	linked := &Indexer{Root: x.Root, InstallTree: path.Join(tmp, "lib/modules")}
	err = x.Root.MkdirAll(path.Join(tmp, "lib"), 0o755)
	if err == nil {
		err = x.Root.Symlink(x.Root.Path(tree), linked.InstallTree)
	}
	if err == nil {
		argv, err = linked.command(release)
	}
	if err != nil {
		undo()
		return nil, nil, fmt.Errorf("index modules below %q: %w", tree, err)
	}
	return argv, undo, nil
}

// command is the depmod command line for release. Without -b depmod works on
// /lib/modules of the host, so any other tree is named by the directory that
// its lib/modules is in.
func (x *Indexer) command(release string) ([]string, error) {
	argv := []string{"depmod", "-a", release}
	if symbols := path.Join("/boot", "System.map-"+release); x.isRegular(symbols) {
		host, err := x.host(symbols)
		if err != nil {
			return nil, err
		}
		argv = append(argv, "-F", host)
	}
	base, err := x.base()
	if err != nil {
		return nil, err
	}
	if base != "/" {
		argv = append(argv, "-b", base)
	}
	return argv, nil
}

// base is the directory on the host whose lib/modules is the install tree.
// Links on the way are resolved first where that is possible: depmod would
// follow absolute ones out of the root.
func (x *Indexer) base() (string, error) {
	tree := path.Clean(x.InstallTree)
	if x.Root.Path(tree) == "/lib/modules" {
		return "/", nil
	}
	names := []string{tree}
	if target, err := x.Root.Follow(tree); err == nil {
		names = []string{target, tree}
	}
	for _, name := range names {
		if base, ok := strings.CutSuffix(name, "/lib/modules"); ok {
			return x.Root.Path(path.Join("/", base)), nil
		}
	}
	return "", &LayoutError{InstallTree: x.InstallTree}
}

// host is the path of an existing file outside the root.
func (x *Indexer) host(abs string) (string, error) {
	target, err := x.Root.Follow(abs)
	if err != nil {
		return "", err
	}
	return x.Root.Path(target), nil
}

func (x *Indexer) isRegular(abs string) bool {
	info, err := x.Root.Stat(abs)
	return err == nil && info.Mode().IsRegular()
}

// clean removes the indexes that depmod writes, and dir itself if nothing is
// left in it. It returns dir when that is gone.
func (x *Indexer) clean(dir string) (removed string, err error) {
	entries, err := x.Root.ReadDir(dir)
	if err != nil {
		return "", err
	}
	left := 0
	var errs []error
	for _, e := range entries {
		if !isIndex(e.Name()) {
			left++
			continue
		}
		errs = append(errs, x.Root.Remove(path.Join(dir, e.Name())))
	}
	if err := errors.Join(errs...); err != nil || left > 0 {
		return "", err
	}
	return dir, x.Root.Remove(dir)
}

// isIndex recognises the files upstream removes. modules.order and
// modules.builtin* without .bin come with the kernel and stay.
func isIndex(name string) bool {
	kind, ok := strings.CutPrefix(name, "modules.")
	if !ok {
		return false
	}
	switch kind {
	case "alias", "dep", "devname", "softdep", "symbols", "weakdep":
		return true
	}
	return strings.HasSuffix(kind, ".bin")
}
