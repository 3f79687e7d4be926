package dkms

import (
	"context"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"dkms-go/conf"
)

// Filter selects registrations. Each field is a shell pattern; an empty one matches everything.
type Filter struct {
	Name, Version string
	Kernel, Arch  string
}

// Has reports whether an instance matches.
func (f Filter) Has(i Instance) bool {
	return fits(f.Name, i.Name) && fits(f.Version, i.Version) && fits(f.Kernel, i.Kernel) && fits(f.Arch, i.Arch)
}

// Entry is one line of status: a module, or an instance of it.
type Entry struct {
	Instance  Instance // Kernel and Arch are empty for Broken and Added
	State     State
	Originals bool // archived originals exist for this kernel
	Missing   bool // a built kernel object is gone from the registry
	Differs   bool // an installed kernel object is not the one that was built
	Err       error
}

// Evaluate returns what the dkms.conf of a registered module asks for on a kernel, with the indexes of the records that
// are built there. With an error it may return a module nonetheless, as far as the file can be understood.
type Evaluate func(ctx context.Context, i Instance) (*conf.Module, []int, error)

// Modules returns the registrations that match, ordered by name and version.
func (t *Tree) Modules(f Filter) ([]Module, error) {
	var ms []Module
	for _, name := range t.names(t.opt.DKMSTree, f.Name) {
		for _, version := range t.names(path.Join(t.opt.DKMSTree, name), f.Version) {
			if strings.HasPrefix(version, "kernel-") && strings.Count(version, "-") > 1 {
				continue // an active link, or what is left of one
			}
			if t.isDir(path.Join(t.opt.DKMSTree, name, version)) {
				ms = append(ms, Module{name, version})
			}
		}
	}
	return ms, nil
}

// Instances returns the build results of m that match the kernel and architecture of f. Without a kernel pattern only
// directories that look like a release (digits, a dot) count, as in module_status_built of dkms.in.
func (t *Tree) Instances(m Module, f Filter) []Instance {
	var is []Instance
	for _, k := range t.names(t.ModuleDir(m), f.Kernel) {
		if f.Kernel == "" && !looksLikeRelease(k) {
			continue
		}
		for _, a := range t.names(path.Join(t.ModuleDir(m), k), f.Arch) {
			if i := (Instance{m, k, a}); t.Built(i) {
				is = append(is, i)
			}
		}
	}
	return is
}

// Status returns what there is to say about every registration that matches. Only instances that are built have a kernel;
// a module without any that match is Added. eval is asked for built instances only; its errors become Entry.Err.
func (t *Tree) Status(ctx context.Context, f Filter, eval Evaluate) ([]Entry, error) {
	ms, err := t.Modules(f)
	if err != nil {
		return nil, err
	}
	lists := make([][]Entry, len(ms))
	err = inParallel(ctx, len(ms), func(n int) { lists[n] = t.registered(ms[n], f) })
	if err != nil {
		return nil, err
	}
	es := slices.Concat(lists...)
	return es, inParallel(ctx, len(es), func(n int) {
		if es[n].State == Built {
			es[n] = t.entry(ctx, es[n], eval)
		}
	})
}

// inParallel calls do for the numbers below n, on all processors at once, until ctx ends.
func inParallel(ctx context.Context, n int, do func(n int)) error {
	var g errgroup.Group
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				do(i)
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// registered returns the entries of a module as far as the registry says, not compared with what is installed yet.
func (t *Tree) registered(m Module, f Filter) []Entry {
	state := t.registration(m)
	if state == None {
		return nil
	}
	var is []Instance
	if state == Added {
		is = t.Instances(m, f)
	}
	if len(is) == 0 {
		return []Entry{{Instance: Instance{Module: m}, State: state}}
	}
	// Most modules have no originals at all.
	originals := t.isDir(path.Join(t.opt.DKMSTree, m.Name, "original_module"))
	es := make([]Entry, len(is))
	for n, i := range is {
		es[n] = Entry{Instance: i, State: Built, Originals: originals}
	}
	return es
}

// entry completes the entry of a build result: it compares that with what is installed (module_status_built_extra in
// dkms.in). e.Originals says whether the module has any originals at all.
func (t *Tree) entry(ctx context.Context, e Entry, eval Evaluate) Entry {
	i := e.Instance
	e.Originals = e.Originals && t.isDir(t.OriginalDir(i))
	if t.chosen(i) {
		e.State = Installed
	}
	m, records, err := eval(ctx, i)
	e.Err = err
	if m == nil {
		return e
	}
	for _, p := range t.Placements(m, records, "") {
		built := t.findFile(path.Join(t.BaseDir(i), "module"), p.Name)
		if built == "" {
			e.Missing = true
			return e
		}
		if e.State == Installed && !t.placed(i, p, built) {
			e.Differs = true
			return e
		}
	}
	return e
}

// names returns the visible entries of a directory that match a pattern, in byte order. A missing directory has none.
func (t *Tree) names(dir, pattern string) []string {
	if pattern != "" && !hasMeta(pattern) {
		if _, err := t.root.Lstat(path.Join(dir, pattern)); err != nil || pattern[0] == '.' || strings.Contains(pattern, "/") {
			return nil
		}
		return []string{pattern}
	}
	ents, err := t.root.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range ents {
		n := e.Name()
		if n[0] == '.' {
			continue
		}
		if fits(pattern, n) {
			names = append(names, n)
		}
	}
	return names
}

// fits reports whether a name matches a shell pattern, where an empty pattern matches everything.
func fits(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
	return err == nil && ok
}

func hasMeta(s string) bool { return strings.ContainsAny(s, `*?[\`) }

// looksLikeRelease reports whether s has the form of a kernel release as the shell pattern +([0-9]).* has it.
func looksLikeRelease(s string) bool {
	n := strings.IndexByte(s, '.')
	return n > 0 && strings.Trim(s[:n], "0123456789") == ""
}
