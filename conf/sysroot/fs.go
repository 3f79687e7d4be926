package sysroot

import "io/fs"

// FS returns the tree as a read-only fs.FS. It differs from os.DirFS in that
// links are followed as if chrooted. It implements fs.ReadFileFS,
// fs.ReadDirFS, fs.StatFS and fs.ReadLinkFS.
func (r *Root) FS() fs.FS { return tree{r} }

// tree gives a Root the names that package fs uses: no leading slash, and "."
// for the root.
type tree struct{ root *Root }

// Open implements fs.FS.
func (t tree) Open(name string) (fs.File, error) {
	return named("open", name, func(abs string) (fs.File, error) { return t.root.Open(abs) })
}

// ReadFile implements fs.ReadFileFS.
func (t tree) ReadFile(name string) ([]byte, error) {
	return named("open", name, t.root.ReadFile)
}

// ReadDir implements fs.ReadDirFS.
func (t tree) ReadDir(name string) ([]fs.DirEntry, error) {
	return named("open", name, t.root.ReadDir)
}

// Stat implements fs.StatFS.
func (t tree) Stat(name string) (fs.FileInfo, error) {
	return named("stat", name, t.root.Stat)
}

// Lstat implements fs.ReadLinkFS.
func (t tree) Lstat(name string) (fs.FileInfo, error) {
	return named("lstat", name, t.root.Lstat)
}

// ReadLink implements fs.ReadLinkFS.
func (t tree) ReadLink(name string) (string, error) {
	return named("readlink", name, t.root.Readlink)
}

// named calls get with the path that name stands for and reports failures under
// name, as fs.FS demands.
func named[T any](op, name string, get func(abs string) (T, error)) (T, error) {
	var none T
	if !fs.ValidPath(name) {
		return none, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	got, err := get("/" + name)
	if err != nil {
		if failed, ok := err.(*fs.PathError); ok { //nolint:errorlint // only the outermost error is renamed
			err = failed.Err
		}
		return none, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return got, nil
}
