package dkms

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
)

// Manifest is what an installation has put into a kernel, and what it has moved out of the way: exactly, so that it can be
// taken out again whatever dkms.conf says by then. It is the JSON file T/M/.kernel-K-A.manifest, beside the link that says which
// version is active, and comes, changes and goes with that link. dkms 3.4 does not see it, and no archive has it; where
// there is none, dkms 3.4 has installed the module.
type Manifest struct {
	Format    int             `json:"format"`
	Module    string          `json:"module"`
	Version   string          `json:"version"`
	Kernel    string          `json:"kernel"`
	Arch      string          `json:"arch"`
	Build     string          `json:"build"` // identity of T/M/V/K/A/module then, see identity
	Installed []InstalledFile `json:"installed"`
	Archived  []ArchivedFile  `json:"archived,omitempty"`
}

// InstalledFile is a file that was put into a kernel: one with a content, or a link.
type InstalledFile struct {
	Name   string `json:"name"` // of the module, without suffix
	Path   string `json:"path"` // below I/K
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Link   string `json:"link,omitempty"` // target of a link
}

// ArchivedFile is a file that was in the way.
type ArchivedFile struct {
	Name    string `json:"name"`    // of the module, without suffix
	Path    string `json:"path"`    // where it was, below I/K
	Archive string `json:"archive"` // where it is, below T/M/original_module/K/A
}

// manifestFormat is the format that this program writes and understands.
const manifestFormat = 1

// manifestFile returns where the manifest for the active version of a module is.
func (t *Tree) manifestFile(i Instance) string { return beside(t.ActiveLink(i), ".manifest") }

// Manifest returns the manifest of i, or nil if it has none: because it is not the active version, or because dkms 3.4 has
// installed it. One that cannot be understood is an error.
func (t *Tree) Manifest(i Instance) (*Manifest, error) {
	text, err := t.root.ReadFile(t.manifestFile(i))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no manifest is no error
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	if (Instance{Module{m.Module, m.Version}, m.Kernel, m.Arch}) != i {
		return nil, nil //nolint:nilnil // of a version that is not installed any more
	}
	return &m, nil
}

// Superseded reports whether the build result of i is another one than that which is installed, because it was built again
// since. It looks at names, sizes and times only. Without a manifest nobody knows.
func (t *Tree) Superseded(i Instance) bool {
	same, known := t.installedBuild(i)
	return known && !same
}

// Current reports whether i is installed, and that with the build result that there is now. Without a manifest nobody knows.
func (t *Tree) Current(i Instance) bool {
	same, known := t.installedBuild(i)
	return known && same && t.Installed(i)
}

// installedBuild reports whether the build result of i is the one that was installed, if that can be told.
func (t *Tree) installedBuild(i Instance) (same, known bool) {
	m, err := t.Manifest(i)
	if err != nil || m == nil {
		return false, false
	}
	now, err := t.identity(path.Join(t.BaseDir(i), "module"))
	return now == m.Build, err == nil
}

// check sees to it that a manifest speaks of files of its kernel alone.
func (m *Manifest) check() error {
	if m.Format != manifestFormat {
		return fmt.Errorf("format %d is not understood", m.Format)
	}
	for _, f := range m.Installed {
		if !filepath.IsLocal(f.Path) || path.Clean(f.Path) != f.Path || moduleName(path.Base(f.Path)) != f.Name || f.Name == "" {
			return fmt.Errorf("%q is no place for module %q", f.Path, f.Name)
		}
		if (f.SHA256 == "") == (f.Link == "") {
			return fmt.Errorf("%q is neither file nor link", f.Path)
		}
	}
	return nil
}

// manifest is Manifest for those who can do without: one that cannot be understood is told of, and counts as none.
func (t *Tree) manifest(i Instance, emit Emit) *Manifest {
	m, err := t.Manifest(i)
	if err != nil {
		emit(ManifestUnusable{File: t.manifestFile(i), Err: err})
		return nil
	}
	return m
}

// encode returns the file for a manifest.
func (m *Manifest) encode() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "\t")
	return append(text, '\n'), err
}

// file returns what was installed for a module, if it still is what is there.
func (m *Manifest) file(t *Tree, name string) (dir, file string) {
	if m == nil {
		return "", ""
	}
	for _, f := range m.Installed {
		if f.Name == name && t.stands(m.Kernel, f) {
			return path.Join("/", path.Dir(f.Path)), path.Join(t.KernelDir(m.Kernel), f.Path)
		}
	}
	return "", ""
}

// stands reports whether an installed file is still the one that is there.
func (t *Tree) stands(release string, f InstalledFile) bool {
	abs := path.Join(t.KernelDir(release), f.Path)
	fi, err := t.root.Lstat(abs)
	switch {
	case err != nil:
		return false
	case f.Link != "":
		target, err := t.root.Readlink(abs)
		return err == nil && target == f.Link
	case !fi.Mode().IsRegular() || fi.Size() != f.Size:
		return false
	}
	sum, err := t.checksum(abs)
	return err == nil && sum == f.SHA256
}

// describe returns the entry of a manifest for what is at abs and is going to be at place, below I/K.
func (t *Tree) describe(abs, place, name string) (InstalledFile, error) {
	f := InstalledFile{Name: name, Path: place}
	fi, err := t.root.Lstat(abs)
	if err != nil {
		return f, err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		f.Link, err = t.root.Readlink(abs)
		return f, err
	}
	f.Size = fi.Size()
	f.SHA256, err = t.checksum(abs)
	return f, err
}

// checksum returns the SHA-256 sum of a file.
func (t *Tree) checksum(abs string) (string, error) {
	f, err := t.root.Open(abs)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
