package depmod

import (
	"context"
	"errors"
	"io"
	"syscall"

	"dkms-go/conf/sysroot"
)

// Index is the indexes of one kernel, computed but not written.
type Index struct {
	root  *sysroot.Root
	dir   string // where they go
	files []File
}

// File is one file of an Index.
type File struct {
	Name string // modules.dep
	// Text says that the file is for people as well, and that depmod -n shows it.
	Text bool
	// WriteTo writes the content. It may be called several times.
	WriteTo func(io.Writer) error
}

// Files is what the index consists of, in the order in which kmod writes it.
func (x *Index) Files() []File { return x.files }

// Dir is the directory inside the root that Publish writes to.
func (x *Index) Dir() string { return x.dir }

// Scan finds and reads the modules of a kernel and computes their indexes. It
// changes nothing.
func Scan(ctx context.Context, root *sysroot.Root, opt Options) (*Index, error) {
	s := &scan{root: root, opt: opt}
	_, err := s.read(ctx, nil)
	return &Index{root: root, dir: opt.OutDir}, err
}

func asErrno(err error) (syscall.Errno, bool) {
	var n syscall.Errno
	ok := errors.As(err, &n)
	return n, ok
}
