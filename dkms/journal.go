package dkms

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"dkms-go/conf/sysroot"
)

// The journal is how a change of several files happens wholly or not at all, wherever it is cut off.
//
// T/.journal/LOCK.STATE is the record of a change that is being made by whoever holds LOCK; there is at most one for a lock.
// It is JSON, see record, and complete and on disk before anything is changed. It lists changes of two sorts:
//
//   - put: what waits at New takes the place of Path. If there is something at Path, the two names are exchanged, so that
//     nobody sees the one gone and the other not there; what was at Path is then at New. Was tells the two apart.
//   - take: Path is given the name Old, which nobody looks at.
//
// A path occurs once. The state is the ending of the record's name, because a rename needs no space on a full disk:
//
//	.begin    what goes to the New names is being prepared     recovery deletes it
//	.do       all of it is there, and on disk                  recovery goes on
//	.undo     a change could not be made                       recovery takes back what was
//
// Every change can be made, or taken back, any number of times. When all are, what is at the New and Old names is deleted,
// and then the record. T/.journal/index!K is a mark, not a record: the indexes of the kernel K do not say what there is.
//
// Without exchange (NFS, say, or a directory in a lower layer of a container's image), what is at Path gets the name New.old
// first: a file as a second name, so that there is no moment without it; a directory by a rename, or by a copy where the file
// system does not rename it.
type record struct {
	Format  int      `json:"format"`
	What    string   `json:"what"` // for people
	Under   string   `json:"lock"` // the name of the lock
	Changes []change `json:"changes"`
	Empty   []empty  `json:"empty,omitempty"`  // directories to be removed at the end where nothing is in them
	Kernel  string   `json:"kernel,omitempty"` // whose modules change
}

// recordFormat is the format that this program writes and understands.
const recordFormat = 1

// change is one put or take.
type change struct {
	Path string `json:"path"`
	New  string `json:"new,omitempty"` // of a put
	Was  string `json:"was,omitempty"` // of a put: identity of what it replaces
	Old  string `json:"old,omitempty"` // of a take
}

// empty is a directory that may go when it is empty, with those above it that are then empty too, up to Stop, which stays.
type empty struct {
	Dir  string `json:"dir"`
	Stop string `json:"stop"`
}

// phase is the state of a change.
type phase string

// The phases, as endings of file names. A record that is being written ends in fresh and means nothing yet; one that cannot
// be understood ends in bad.
const (
	begun    phase = ".begin"
	doing    phase = ".do"
	undoing  phase = ".undo"
	fresh    phase = ".new"
	unusable phase = ".bad"
)

func (t *Tree) journalDir() string { return path.Join(t.opt.DKMSTree, ".journal") }

// recordFile returns the file for a record.
func (t *Tree) recordFile(lock string, p phase) string {
	return path.Join(t.journalDir(), fileName(lock)+string(p))
}

// fileName makes the name of a lock a file name. Names too long for one become their hash.
func fileName(lock string) string {
	const longest = 255 - len(".begin")
	if len(lock) <= longest {
		return lock
	}
	sum := sha256.Sum256([]byte(lock))
	return hex.EncodeToString(sum[:])
}

// write puts a record into the journal.
func (t *Tree) write(r *record, p phase) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	tmp := t.recordFile(r.Under, fresh)
	if err := t.journalFile(tmp, append(text, '\n')); err != nil {
		return err
	}
	if err := t.root.Rename(tmp, t.recordFile(r.Under, p)); err != nil {
		return errors.Join(err, t.removeFile(tmp), t.removeFile(t.recordFile(r.Under, p)))
	}
	return nil
}

// journalFile makes a file in the journal, which others remove whenever it is empty.
func (t *Tree) journalFile(abs string, data []byte) error {
	return t.root.MkdirFor(t.journalDir(), 0o755, func() error { return t.root.PrepareFile(abs, data, 0o600) })
}

// strike removes a record, and the journal if nothing else is in it.
func (t *Tree) strike(r *record, p phase) error {
	if err := t.removeFile(t.recordFile(r.Under, p)); err != nil {
		return err
	}
	_ = t.root.RemoveEmpty(t.journalDir(), t.opt.DKMSTree) // it is for looks
	return nil
}

// read returns the record of a lock in a phase, or nil if there is none.
func (t *Tree) read(lock string, p phase) (*record, error) {
	text, err := t.root.ReadFile(t.recordFile(lock, p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no record is no error
	}
	if err != nil {
		return nil, err
	}
	return t.parseRecord(text, lock)
}

// parseRecord reads a record, and refuses one that does not speak of the trees alone.
func (t *Tree) parseRecord(text []byte, lock string) (*record, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	if r.Format != recordFormat || fileName(r.Under) != fileName(lock) {
		return nil, fmt.Errorf("format %d for %q is not understood", r.Format, r.Under)
	}
	var all []string
	for _, c := range r.Changes {
		if (c.New == "") == (c.Old == "") {
			return nil, fmt.Errorf("change of %q is neither put nor take", c.Path)
		}
		all = append(all, c.Path, c.New+c.Old)
	}
	for _, w := range r.Empty {
		all = append(all, w.Dir)
	}
	for _, p := range all {
		if path.Clean(p) != p || !slices.ContainsFunc(t.trees(), func(tree string) bool { return strings.HasPrefix(p, tree+"/") }) {
			return nil, fmt.Errorf("path %q is outside of the trees", p)
		}
	}
	return &r, nil
}

// trees returns the three trees.
func (t *Tree) trees() []string {
	return []string{t.opt.DKMSTree, t.opt.SourceTree, t.opt.InstallTree}
}

// identity describes what is at a path well enough to tell it from what is to take its place: the content of a file, the
// target of a link, names, sizes and times of what is in a directory. Nothing has none.
func (t *Tree) identity(abs string) (string, error) {
	fi, err := t.root.Lstat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case fi.Mode()&fs.ModeSymlink != 0:
		target, err := t.root.Readlink(abs)
		return "link " + target, err
	case fi.IsDir():
		h := sha256.New()
		err := eachBelow(t.root, abs, "", func(rel string, fi fs.FileInfo) error {
			size := fi.Size()
			if fi.IsDir() {
				size = 0 // the file system's business
			}
			stamp := fi.ModTime().UnixNano()
			if !fi.Mode().IsRegular() {
				stamp = 0
			}
			_, err := fmt.Fprintf(h, "%s\x00%v %d %d\x00", rel, fi.Mode(), size, stamp)
			return err
		})
		return "directory " + hex.EncodeToString(h.Sum(nil)), err
	}
	sum, err := t.checksum(abs)
	return "file " + sum, err
}

// eachBelow calls f for everything below a directory, with paths relative to it, in order.
func eachBelow(root *sysroot.Root, dir, rel string, f func(rel string, fi fs.FileInfo) error) error {
	ents, err := root.ReadDir(path.Join(dir, rel))
	if err != nil {
		return err
	}
	for _, e := range ents {
		name := path.Join(rel, e.Name())
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if err := f(name, fi); err != nil {
			return err
		}
		if fi.IsDir() {
			if err := eachBelow(root, dir, name, f); err != nil {
				return err
			}
		}
	}
	return nil
}
