package depmod

import (
	"context"
	"io/fs"
	"time"

	"dkms-go/conf/sysroot"
)

// UpToDate says whether no module below dir is newer than its modules.dep, to the
// microsecond (depmod -A). tell may be nil.
func UpToDate(ctx context.Context, root *sysroot.Root, dir string, tell func(Message)) bool {
	s := &scan{root: root, opt: Options{Dir: dir, Tell: tell}}
	if info, err := root.Stat(dir); err != nil || !info.IsDir() {
		s.tell(Error, "could not open directory %s: %s", s.host(dir), strerror(err))
		return false
	}
	info, err := root.Stat(dir + "/modules.dep")
	if err != nil {
		s.tell(Error, "could not fstatat(%s, modules.dep): %s", s.host(dir), strerror(err))
		return false
	}
	x := &search{scan: s}
	newest := x.newest(ctx, dir, nil)
	return ctx.Err() == nil && !newest.Truncate(time.Microsecond).After(info.ModTime().Truncate(time.Microsecond))
}

// newest is when the youngest module below a directory was written.
func (x *search) newest(ctx context.Context, dir string, way []fs.FileInfo) (at time.Time) {
	entries, way, err := x.list(dir, way)
	if err != nil || ctx.Err() != nil {
		return at
	}
	for _, e := range entries {
		if x.excluded(e.Name()) {
			continue
		}
		file := dir + "/" + e.Name()
		info, err := x.root.Stat(file)
		if err != nil {
			x.tell(Error, "fstatat(%d, %s): %s", 2+len(way), e.Name(), strerror(err))
			continue
		}
		var this time.Time
		switch {
		case info.IsDir():
			this = x.newest(ctx, file, way)
		case !info.Mode().IsRegular():
			x.tell(Error, "unsupported file type %s: %o", x.host(file), fileType(info.Mode()))
		case isModule(e.Name()):
			this = info.ModTime()
		}
		if this.After(at) {
			at = this
		}
	}
	return at
}
