package conf

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

// Loader evaluates configuration files. Its fields must not change once it is used; it may be used concurrently.
type Loader struct {
	Root   *sysroot.Root
	Runner proc.Runner
	// Env is the environment of the program, "NAME=value". Files see it, and framework settings default to it. Whoever
	// makes a Loader removes CC, CXX, CFLAGS, CXXFLAGS and LDFLAGS first, as upstream does when it starts.
	Env []string
	// Dir is the working directory of the program, a host path. Files are evaluated there.
	Dir string
	// Stderr receives what the files print on stderr, and what bash says about them. Nil discards it.
	Stderr io.Writer
	// Vars are further shell variables that the files may see: dkms_tree, source_tree, install_tree, tmp_location,
	// parallel_jobs, current_kernel, current_os, running_distribution, addon_modules_dir, verbose, force and the like.
	Vars map[string]string
	// Directives are the --directive options in order, each NAME=value.
	Directives []string

	mu         sync.Mutex
	env        *environment
	parsed     map[string]plainFile
	modules    map[digest]*memo[Module]
	frameworks map[digest]*memo[Framework]
	asked      map[[2]string]*memo[match]

	snapshot *snapshot
}

// MissingError says that the dkms.conf of a module is not there or cannot be read.
type MissingError struct{ Path string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("dkms.conf %q does not exist or cannot be read", e.Path)
}

// Source says which dkms.conf to read.
type Source struct {
	Path          string // of the dkms.conf, inside the root
	Name, Version string // select the override files; empty when not known yet
}

// Target is what a dkms.conf is evaluated for.
type Target struct {
	Kernel, Arch    string
	KernelSourceDir string // kernel headers, inside the root
	KernelConfig    string // the kernel's configuration file, inside the root
}

// Module evaluates a dkms.conf and its override files for a target, as read_conf of dkms.in does. Mistakes in the file are
// no errors here: the Module is returned and Check tells them. The error is a *MissingError when there is no dkms.conf, or
// says that bash could not be run or did not finish. The Module is shared and must not be changed.
func (l *Loader) Module(ctx context.Context, src Source, t Target) (*Module, error) {
	r, err := l.moduleRequest(src, t)
	if err != nil {
		return nil, err
	}
	return remember(l, &l.modules, l.digest(r), func() (*Module, error) {
		states, err := l.evaluate(ctx, r)
		if err != nil {
			return nil, err
		}
		return l.newModule(src, r.files, states), nil
	})
}

func (l *Loader) moduleRequest(src Source, t Target) (request, error) {
	base := l.read(src.Path)
	if base.err != nil {
		return request{}, &MissingError{Path: src.Path}
	}
	return request{
		files:  append([]source{base}, l.readOverrides(src, t)...),
		wanted: directiveNames(),
		preset: l.presets(map[string]string{
			"kernelver": t.Kernel, "arch": t.Arch, "kernel_source_dir": t.KernelSourceDir, "kernel_config": t.KernelConfig,
			"module": src.Name, "module_version": src.Version,
		}),
	}, nil
}

// overridePaths are the files read after the dkms.conf, in order. The last two are not documented. While a module is being
// added its name and version are not known yet, so that odd names such as /etc/dkms/-.conf come out: upstream reads those.
func overridePaths(src Source, t Target) []string {
	m, mv := "/etc/dkms/"+src.Name, "/etc/dkms/"+src.Name+"-"+src.Version
	return []string{
		m + ".conf",
		mv + ".conf",
		mv + "-" + t.Kernel + ".conf",
		mv + "-" + t.Kernel + "-" + t.Arch + ".conf",
		m + "--" + t.Kernel + ".conf",
		m + "--" + t.Kernel + "-" + t.Arch + ".conf",
	}
}

// presets returns the loader's variables with those of one evaluation.
func (l *Loader) presets(more map[string]string) map[string]string {
	all := make(map[string]string, len(l.Vars)+len(more))
	maps.Copy(all, l.Vars)
	maps.Copy(all, more)
	return all
}

func (l *Loader) read(abs string) source {
	if l.snapshot != nil {
		return l.snapshot.read(abs)
	}
	data, err := l.Root.ReadFile(abs)
	return source{path: abs, data: data, err: err}
}

// overrideDir lists the directory of override files.
func (l *Loader) overrideDir() ([]fs.DirEntry, error) {
	if l.snapshot != nil {
		return l.snapshot.overrides()
	}
	return l.Root.ReadDir("/etc/dkms")
}

// readOverrides reads those override files that exist. They are looked for in the list of their directory, because most
// modules have none.
func (l *Loader) readOverrides(src Source, t Target) []source {
	paths := overridePaths(src, t)
	entries, err := l.overrideDir()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		paths = slices.DeleteFunc(paths, func(abs string) bool {
			name := strings.TrimPrefix(abs, "/etc/dkms/")
			return !strings.Contains(name, "/") && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
		})
	}
	return l.readExisting(paths)
}

// readExisting reads those files that exist. One that exists and cannot be read is kept: bash will complain about it.
func (l *Loader) readExisting(paths []string) []source {
	var files []source
	for _, abs := range paths {
		if f := l.read(abs); !errors.Is(f.err, fs.ErrNotExist) {
			files = append(files, f)
		}
	}
	return files
}

// digest identifies an evaluation by everything it depends on, as far as that is known before it runs.
type digest [sha256.Size]byte

func (l *Loader) digest(r request) digest {
	env := l.environment().digest
	b := append([]byte(nil), env[:]...)
	for _, f := range r.files {
		b = appendList(b, f.path, string(f.data))
		if f.err != nil {
			b = appendList(b, f.err.Error())
		}
	}
	b = appendList(b, r.wanted...)
	for _, name := range slices.Sorted(maps.Keys(r.preset)) {
		b = appendList(b, name, r.preset[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.start)) {
		b = appendList(b, name, r.start.first(name))
	}
	b = appendList(b, l.Directives...)
	return sha256.Sum256(b)
}

// appendList appends texts with their lengths, so that different lists never look the same.
func appendList(b []byte, list ...string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// memo is a result that is computed at most once at a time, and kept unless it is an error.
type memo[T any] struct {
	mu    sync.Mutex
	value *T
}

// remember returns the value kept under key in a map of l, or computes it.
func remember[K comparable, T any](l *Loader, all *map[K]*memo[T], key K, compute func() (*T, error)) (*T, error) {
	l.mu.Lock()
	m := (*all)[key]
	if m == nil {
		m = &memo[T]{}
		if *all == nil {
			*all = map[K]*memo[T]{}
		}
		(*all)[key] = m
	}
	l.mu.Unlock()

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.value != nil {
		return m.value, nil
	}
	value, err := compute()
	if err == nil {
		m.value = value
	}
	return value, err
}

// DirectiveEnv returns the --directive options as environment entries: upstream exports them, so that make and the
// scripts of a module see them. Later ones override earlier ones.
func (l *Loader) DirectiveEnv() []string {
	var env []string
	for _, d := range l.Directives {
		if name, value, ok := directive(d); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// directive splits a --directive. Without an equals sign the whole text is both name and value, as in upstream; what is
// not a variable name is refused by bash's export, and ignored.
func directive(d string) (name, value string, ok bool) {
	name, value, found := strings.Cut(d, "=")
	if !found {
		value = d
	}
	return name, value, name != "" && identifier(name) == name
}

// applyDirectives sets what --directive says after all files have been read. It always sets element 0.
func (l *Loader) applyDirectives(v variables) {
	wanted := directiveNames()
	for _, d := range l.Directives {
		if name, value, ok := directive(d); ok && slices.Contains(wanted, name) {
			v.set(name, 0, value)
		}
	}
}
