package depmod

import "dkms-go/conf/sysroot"

// Index is the indexes of one kernel, computed but not written.
type Index struct {
	root  *sysroot.Root
	dir   string // where they go
	files []File

	unchanged bool  // it is what lies in dir already
	scan      *scan // what remembers
}

// Files is what the index consists of, in the order in which kmod writes it.
func (x *Index) Files() []File { return x.files }

// Dir is the directory inside the root that Publish writes to.
func (x *Index) Dir() string { return x.dir }
