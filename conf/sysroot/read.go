package sysroot

import (
	"io/fs"
	"os"
)

// Open opens the file at abs for reading. Links are followed as if chrooted.
func (r *Root) Open(abs string) (*os.File, error) {
	host, err := r.follow("open", abs)
	if err != nil {
		return nil, err
	}
	return os.Open(host)
}

// ReadFile returns the content of the file at abs. Links are followed as if
// chrooted.
func (r *Root) ReadFile(abs string) ([]byte, error) {
	host, err := r.follow("open", abs)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(host)
}

// ReadDir returns the entries of the directory at abs, sorted bytewise. Links
// to the directory are followed as if chrooted; its entries are not.
func (r *Root) ReadDir(abs string) ([]fs.DirEntry, error) {
	host, err := r.follow("open", abs)
	if err != nil {
		return nil, err
	}
	return os.ReadDir(host)
}

// Stat describes what abs leads to when every link is followed as if chrooted.
// Its Name is that of the file reached.
func (r *Root) Stat(abs string) (fs.FileInfo, error) {
	host, err := r.follow("stat", abs)
	if err != nil {
		return nil, err
	}
	return os.Lstat(host)
}

// Lstat describes the file at abs, which may be a link. Links on the way to it
// are followed as if chrooted.
func (r *Root) Lstat(abs string) (fs.FileInfo, error) {
	host, err := r.Resolve(abs)
	if err != nil {
		return nil, err
	}
	return os.Lstat(host)
}

// Readlink returns what the link at abs holds, word for word. Links on the way
// to it are followed as if chrooted.
func (r *Root) Readlink(abs string) (string, error) {
	host, err := r.Resolve(abs)
	if err != nil {
		return "", err
	}
	return os.Readlink(host)
}
