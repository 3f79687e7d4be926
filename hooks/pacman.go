package hooks

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"dkms-go/dkms"
)

// Pacman's hooks (alpm-hooks(5)) get the names of the files that a transaction brings or takes away, without the first
// slash, all at once. Three kinds of them matter: dkms.conf of a module's sources, the image of a kernel, and what its
// headers bring.
//
// A boot image that is due because of any of this is only noted. mkinitcpio's hook, which follows, makes all images where
// sources or a kernel have come; ours comes last and makes those that are due still, so that none is made twice.

// touched is what a transaction of pacman is about.
type touched struct {
	modules []string // directories of sources
	kernels []string // releases, each once, in the order of the targets
	images  []string // those of them that bring or lose their image
}

// sortTargets tells the targets apart. Others are left out.
func (s *System) sortTargets(targets []string) touched {
	var t touched
	for _, target := range targets {
		abs := path.Clean("/" + target)
		src, isSource := strings.CutPrefix(abs, s.Tree.Options().SourceTree+"/")
		if isSource && path.Base(src) == "dkms.conf" && strings.Count(src, "/") == 1 {
			t.modules = append(t.modules, path.Dir(abs))
			continue
		}
		rest, isKernel := strings.CutPrefix(abs, "/usr/lib/modules/")
		kernel, file, _ := strings.Cut(rest, "/")
		if !isKernel || dkms.CheckName("kernel release", kernel) != nil {
			continue
		}
		if !slices.Contains(t.kernels, kernel) {
			t.kernels = append(t.kernels, kernel)
		}
		if file == "vmlinuz" {
			t.images = append(t.images, kernel)
		}
	}
	return t
}

// PacmanInstalled follows a transaction that has brought these targets: modules that are new are registered and go into all
// kernels; otherwise the kernels that are new get all modules.
func (s *System) PacmanInstalled(ctx context.Context, targets []string) error {
	t := s.sortTargets(targets)
	var errs []error
	for _, dir := range t.modules {
		if _, known := s.registered(dir); !known {
			errs = append(errs, s.addFrom(ctx, dir))
		}
	}
	switch {
	case len(t.modules) > 0:
		errs = append(errs, s.Verbs.Sync(ctx, nil, true))
	case len(t.kernels) > 0:
		errs = append(errs, s.Verbs.Sync(ctx, t.kernels, true))
	}
	return errors.Join(errs...)
}

func (s *System) addFrom(ctx context.Context, dir string) error {
	host, err := s.Root.Resolve(dir)
	if err != nil {
		return err
	}
	return s.Verbs.AddFrom(ctx, host)
}

// PacmanRemoves comes before a transaction that takes these targets away: modules whose sources go are removed from all
// kernels, kernels whose image goes lose all modules. Headers alone may go; what is built stays.
func (s *System) PacmanRemoves(ctx context.Context, targets []string) error {
	t := s.sortTargets(targets)
	var errs []error
	for _, dir := range t.modules {
		if m, known := s.registered(dir); known {
			errs = append(errs, s.Verbs.Remove(ctx, m, true))
		}
	}
	for _, k := range t.images {
		errs = append(errs, s.Verbs.KernelPrerm(ctx, k))
	}
	return errors.Join(errs...)
}

// registered returns the module that has its sources in a directory.
func (s *System) registered(dir string) (dkms.Module, bool) {
	ms, err := s.Tree.Modules(dkms.Filter{})
	if err != nil {
		return dkms.Module{}, false
	}
	n := slices.IndexFunc(ms, func(m dkms.Module) bool { return s.Tree.SourceDir(m) == dir })
	if n < 0 {
		return dkms.Module{}, false
	}
	return ms[n], true
}
