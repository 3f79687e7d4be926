package dkms

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// originalFor returns the module file that has to be archived before the record p of i is installed: the first that
// exists of the one in /extra, in /updates, at the destination, and of all others in the kernel's directory.
func (t *Tree) originalFor(i Instance, p Placement, others []string) string {
	lib := t.KernelDir(i.Kernel)
	for _, d := range []string{"extra", "updates", p.Dest} {
		if f := t.findFile(path.Join(lib, d), p.Name); f != "" {
			return f
		}
	}
	if len(others) > 0 {
		return others[0]
	}
	return ""
}

// archive moves a module file into the archive of originals, with a note of where it was.
func (t *Tree) archive(i Instance, file string) error {
	dir := t.OriginalDir(i)
	if err := t.root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to := path.Join(dir, path.Base(file))
	if err := t.root.WriteFile(to+".origin", []byte(file+"\n"), 0o644); err != nil {
		return err
	}
	return t.root.Rename(file, to)
}

// unarchive takes back what archive did, as far as it got.
func (t *Tree) unarchive(i Instance, file string) error {
	archived := path.Join(t.OriginalDir(i), path.Base(file))
	var err error
	if t.isFile(archived) {
		err = t.root.Rename(archived, file)
	}
	return errors.Join(err, t.removeFile(archived+".origin"), t.dropOriginals(i, false, func(Event) {}))
}

// restore puts the archived originals of the record p of i back where they were.
func (t *Tree) restore(i Instance, p Placement, emit Emit) error {
	dir, lib := t.OriginalDir(i), t.KernelDir(i.Kernel)
	origins, err := t.originFiles(dir, p.Name)
	if err != nil {
		return err
	}
	lost := map[string]bool{} // archived files whose note cannot be followed
	for _, origin := range origins {
		file := strings.TrimSuffix(origin, ".origin")
		if !t.isFile(file) {
			continue
		}
		note, err := t.root.ReadFile(origin)
		if err != nil {
			return fmt.Errorf("restore %s: %w", file, err)
		}
		to, _, _ := strings.Cut(string(note), "\n")
		if !strings.HasPrefix(to, lib+"/") || path.Clean(to) != to {
			emit(OriginNotUsable{Location: to, File: origin})
			lost[file] = true
			continue
		}
		emit(OriginalRestored{Path: to})
		err = errors.Join(t.root.MkdirAll(path.Dir(to), 0o755), t.root.Rename(file, to), t.root.Remove(origin))
		if err != nil {
			return fmt.Errorf("restore %s: %w", to, err)
		}
	}
	// Archives of older versions do not say where the file was.
	if f := t.findFile(dir, p.Name); f != "" && (t.noOrigin(f) || lost[f]) {
		to := path.Join(lib, p.ConfDest, path.Base(f))
		emit(OriginalRestored{})
		if err := errors.Join(t.root.MkdirAll(path.Dir(to), 0o755), t.root.Rename(f, to)); err != nil {
			return fmt.Errorf("restore %s: %w", to, err)
		}
	}
	return nil
}

func (t *Tree) noOrigin(file string) bool {
	_, err := t.root.Lstat(file + ".origin")
	return err != nil
}

// originFiles returns the notes about originals called name, in the archive and its subdirectories.
func (t *Tree) originFiles(dir, name string) ([]string, error) {
	if !t.isDir(dir) {
		return nil, nil
	}
	ents, err := t.root.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range ents {
		switch abs := path.Join(dir, e.Name()); {
		case e.IsDir():
			below, err := t.originFiles(abs, name)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		case strings.HasPrefix(e.Name(), name+".") && strings.HasSuffix(e.Name(), ".origin"):
			files = append(files, abs)
		}
	}
	return files, nil
}

// dropOriginals deletes what is left of the archive for the kernel of i after the active version is gone.
func (t *Tree) dropOriginals(i Instance, wasActive bool, emit Emit) error {
	dir := t.OriginalDir(i)
	if wasActive && t.isDir(dir) {
		if t.hasFiles(dir) {
			emit(OriginalsDropped{Kernel: i.Kernel, Arch: i.Arch})
		}
		if err := t.root.RemoveAll(dir); err != nil {
			return fmt.Errorf("delete archived originals of %s: %w", i, err)
		}
	}
	for _, parent := range []string{path.Dir(dir), path.Dir(path.Dir(dir))} {
		if t.isDir(parent) && !t.hasDirs(parent) {
			if err := t.root.RemoveAll(parent); err != nil {
				return fmt.Errorf("delete archived originals of %s: %w", i, err)
			}
		}
	}
	return nil
}

// hasFiles reports whether anything but directories is below dir.
func (t *Tree) hasFiles(dir string) bool {
	ents, err := t.root.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range ents {
		if !e.IsDir() || t.hasFiles(path.Join(dir, e.Name())) {
			return true
		}
	}
	return false
}
