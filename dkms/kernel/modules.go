package kernel

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dkms-go/dkms/kmod"
)

// Compression tells how modules of this kernel are compressed, by looking at
// what lies in the module directory: a .ko.zst anywhere means zst, else a
// .ko.xz means xz, else a .ko.gz means gz, else they are not compressed
// (set_module_suffix, which deliberately asks neither modules.dep nor the
// configuration). Links, build and source among them, are not followed;
// unreadable directories count as empty. The answer changes when modules are
// installed and is not cached.
func (k *Kernel) Compression() (kmod.Compression, error) {
	var best kmod.Compression
	rank := func(c kmod.Compression) int { return slices.Index([]kmod.Compression{"", "gz", "xz", "zst"}, c) }
	err := k.walk(func(_ string, entry fs.DirEntry) bool {
		_, suffix, ok := strings.Cut(lastSuffixes(entry.Name()), ".ko.")
		if c := kmod.Compression(suffix); ok && rank(c) > rank(best) {
			best = c
		}
		return best != "zst"
	})
	return best, err
}

// lastSuffixes cuts name down to its last two suffixes: "a.b.ko.xz" gives ".ko.xz".
func lastSuffixes(name string) string {
	end := strings.LastIndexByte(name, '.')
	if end < 0 {
		return ""
	}
	start := strings.LastIndexByte(name[:end], '.')
	if start < 0 {
		return ""
	}
	return name[start:]
}

// FindModuleFiles returns, for each name, the regular files called NAME.ko or
// NAME.ko plus the suffix of compression below the module directory, sorted
// bytewise; names without a file are not in the map. One walk serves all
// names (upstream's find_module runs find for each). Links are neither
// followed nor returned.
func (k *Kernel) FindModuleFiles(names []string, compression kmod.Compression) (map[string][]string, error) {
	wanted := make(map[string]string, 2*len(names))
	for _, name := range names {
		wanted[name+".ko"] = name
		wanted[name+".ko"+compression.Suffix()] = name
	}
	found := map[string][]string{}
	err := k.walk(func(dir string, entry fs.DirEntry) bool {
		if name, ok := wanted[entry.Name()]; ok && entry.Type().IsRegular() {
			found[name] = append(found[name], filepath.Join(dir, entry.Name()))
		}
		return true
	})
	for _, files := range found {
		slices.Sort(files)
	}
	return found, err
}

// walk calls visit for everything below the module directory until visit
// returns false. The directory is resolved once; below it nothing is followed,
// so host paths are safe and the walk needs no look-up per entry. Depth comes
// first, so that one module of a kernel is found quickly. A module directory
// that does not exist is empty.
func (k *Kernel) walk(visit func(dir string, entry fs.DirEntry) bool) error {
	top, err := k.root.Follow(k.ModuleDir)
	if err != nil {
		return nil //nolint:nilerr // as find 2>/dev/null: nothing there, nothing found
	}
	host := k.root.Path(top)
	info, err := os.Lstat(host)
	if err != nil || !info.IsDir() {
		return nil //nolint:nilerr // likewise
	}
	pending := []string{"."}
	for len(pending) > 0 {
		rel := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		entries, err := readDirUnsorted(filepath.Join(host, rel))
		if err != nil && !os.IsPermission(err) && !os.IsNotExist(err) {
			return fmt.Errorf("look for modules of kernel %q: %w", k.Release, err)
		}
		for _, entry := range entries {
			if !visit(filepath.Join(k.ModuleDir, rel), entry) {
				return nil
			}
			if entry.IsDir() {
				pending = append(pending, filepath.Join(rel, entry.Name()))
			}
		}
	}
	return nil
}

// readDirUnsorted saves the sorting and the stat calls of os.ReadDir.
func readDirUnsorted(dir string) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
