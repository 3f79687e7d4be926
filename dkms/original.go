package dkms

import (
	"fmt"
	"path"
	"strings"
)

// originalFor returns the module file that has to be archived before the record p of i is installed: the first that
// exists of the one in /extra, in /updates, at the destination, and of all others in the kernel's directory.
func (x *installation) originalFor(p Placement, others []string) string {
	lib := x.KernelDir(x.i.Kernel)
	for _, d := range []string{"extra", "updates", p.Dest} {
		if f := x.leaving.findFile(x.Tree, path.Join(lib, d), p.Name); f != "" {
			return f
		}
	}
	if len(others) > 0 {
		return others[0]
	}
	return ""
}

// restoration is an archived original on its way back.
type restoration struct {
	archived string
	note     string // that goes with it; "" for none
	to       string
	told     Event
}

// restorations returns the archived originals of the record p of i. An archive whose note leads out of the kernel's
// directory is told of through event first, and goes where dkms.conf wants the module.
func (t *Tree) restorations(i Instance, p Placement) (rs []restoration, events []Event, err error) {
	dir, lib := t.OriginalDir(i), t.KernelDir(i.Kernel)
	notes, err := t.originFiles(dir, p.Name)
	if err != nil {
		return nil, nil, err
	}
	lost := map[string]bool{} // archived files whose note cannot be followed
	for _, note := range notes {
		file := strings.TrimSuffix(note, ".origin")
		if !t.isFile(file) {
			continue
		}
		text, err := t.root.ReadFile(note)
		if err != nil {
			return nil, nil, fmt.Errorf("restore %s: %w", file, err)
		}
		to, _, _ := strings.Cut(string(text), "\n")
		if !strings.HasPrefix(to, lib+"/") || path.Clean(to) != to {
			events = append(events, OriginNotUsable{Location: to, File: note})
			lost[file] = true
			continue
		}
		rs = append(rs, restoration{archived: file, note: note, to: to, told: OriginalRestored{Path: to}})
	}
	// Archives of older versions do not say where the file was.
	if f := t.findFile(dir, p.Name); f != "" && (t.noOrigin(f) || lost[f]) {
		rs = append(rs, restoration{archived: f, to: path.Join(lib, p.ConfDest, path.Base(f)), told: OriginalRestored{}})
	}
	return rs, events, nil
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
	dir, top := t.OriginalDir(i), path.Join(t.opt.DKMSTree, i.Name)
	if !wasActive || !t.isDir(dir) {
		if parent := path.Dir(dir); t.isDir(parent) {
			return t.root.RemoveEmpty(parent, top)
		}
		return nil
	}
	x := t.newTransaction(KernelLock(i.Kernel), "removal of archived originals of "+i.String())
	if t.hasFiles(dir) {
		x.tell(OriginalsDropped{Kernel: i.Kernel, Arch: i.Arch})
	}
	x.drop(dir, beside(dir, ".dkms-old"))
	x.prune(path.Dir(dir), top)
	if _, err := x.run(nil, emit); err != nil {
		return fmt.Errorf("delete archived originals of %s: %w", i, err)
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
