package dkms

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"dkms-go/conf/sysroot"
)

// Unpack unpacks an archive that ReadArchive has read into dir, an empty directory of root. The file is the same one; if
// it has changed since, the error is of kind ArchiveRefused.
//
// Files belong to whoever unpacks them. Their times and modes are those of the archive, without what lets others than the
// owner write, and without setuid bits: what ends in the source tree will be run by root.
func (a *Archive) Unpack(ctx context.Context, file io.ReadSeeker, root *sysroot.Root, dir string) error {
	u := &unpacking{root: root, dir: dir, made: map[string]bool{".": true}}
	next := 0
	err := eachMember(ctx, file, func(h *tar.Header, content io.Reader) error {
		m, err := parseMember(h)
		if err != nil {
			return err
		}
		if next >= len(a.members) || a.members[next] != m {
			return &MemberError{Name: h.Name, Why: "it has changed while the archive was read"}
		}
		next++
		return u.member(m, content)
	})
	if err == nil && next < len(a.members) {
		err = errCut
	}
	if err == nil {
		err = u.finish()
	}
	var write *writeError
	switch {
	case errors.As(err, &write):
		return fmt.Errorf("unpack %s: %w", a.Name, write.err)
	case err != nil:
		return refused(a.Name, err)
	}
	return nil
}

// writeError tells failures to write from failures to read.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// unpacking is the state of Unpack.
type unpacking struct {
	root *sysroot.Root
	dir  string
	made map[string]bool // directories
	dirs []member        // those that await their attributes
}

func (u *unpacking) member(m member, content io.Reader) error {
	abs := path.Join(u.dir, m.name)
	if err := u.mkdir(path.Dir(m.name)); err != nil {
		return err
	}
	switch m.kind {
	case tar.TypeDir:
		u.dirs = append(u.dirs, m)
		return u.mkdir(m.name)
	case tar.TypeSymlink:
		return written(errors.Join(u.root.Symlink(m.link, abs), u.root.Chtimes(abs, time.Unix(m.mtime, 0))))
	case tar.TypeLink:
		original, err := u.root.Open(path.Join(u.dir, m.link))
		if err != nil {
			return written(err)
		}
		defer original.Close()
		content = original
	}
	f, err := u.root.Create(abs, m.mode&0o755|0o400)
	if err != nil {
		return written(err)
	}
	_, err = io.Copy(onlyWriter{f}, content)
	if err := errors.Join(err, written(f.Close())); err != nil {
		return err
	}
	return written(u.root.Chtimes(abs, time.Unix(m.mtime, 0)))
}

// onlyWriter is a file whose errors are told from those of what is written to it.
type onlyWriter struct{ w io.Writer }

func (o onlyWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	return n, written(err)
}

func written(err error) error {
	if err == nil {
		return nil
	}
	return &writeError{err}
}

// mkdir makes a directory of the archive and those above it.
func (u *unpacking) mkdir(name string) error {
	if u.made[name] {
		return nil
	}
	if err := u.mkdir(path.Dir(name)); err != nil {
		return err
	}
	u.made[name] = true
	return written(u.root.Mkdir(path.Join(u.dir, name), 0o755))
}

// finish gives directories their attributes, because filling one changes its time.
func (u *unpacking) finish() error {
	for _, m := range u.dirs {
		if m.name == "." {
			continue // the archive itself has mode 0700, and is nothing that is loaded
		}
		abs := path.Join(u.dir, m.name)
		if err := u.root.Chmod(abs, m.mode&0o755|0o700); err != nil {
			return written(err)
		}
		if err := u.root.Chtimes(abs, time.Unix(m.mtime, 0)); err != nil {
			return written(err)
		}
	}
	return nil
}
