package depmod

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kmod"
)

// What has been read of module files is kept from one run to the next, one file
// for each kernel below Options.Cache. It never decides what the indexes are: facts
// are taken from it for a file that is the same as then, and the indexes are left
// alone when they are the same as then and would become the same again. Whatever
// is wrong with a cache, or with writing one, it is as if there were none.

// stamp tells whether a file is the one that was read. The time of its last change
// of any kind is part of it, because nobody can set that: contents may be replaced
// by others of the same size and be given the old time.
type stamp struct {
	size         int64
	mtime, ctime int64 // in nanoseconds
	inode        uint64
}

func stampOf(s *unix.Stat_t) stamp {
	return stamp{size: s.Size, mtime: s.Mtim.Nano(), ctime: s.Ctim.Nano(), inode: s.Ino}
}

// settled says whether a change of the file after a moment would change its stamp.
// Clocks of file systems tick up to 100 times a second, and some that are old or
// far away only once in a second or two, which full seconds make known.
func (s stamp) settled(at time.Time) bool {
	tick := 20 * time.Millisecond
	if s.ctime%int64(time.Second) == 0 {
		tick = 2 * time.Second
	}
	return s.ctime+int64(tick) < at.UnixNano()
}

// record is what is known of a module file.
type record struct {
	path    string
	stamp   stamp
	settled bool // see stamp.settled; if not, it has to be read again
	facts   Facts
}

// published is the indexes that a run has left behind.
type published struct {
	inputs [sha256.Size]byte // what they were computed from, but for the facts
	files  []publishedFile
}

type publishedFile struct {
	name    string
	stamp   stamp
	settled bool
	sum     [sha256.Size]byte
}

// cache is what is known of the modules of one kernel.
type cache struct {
	dir     string // Options.Dir
	records []record
	published
}

// cacheFile is where the cache is, "" for nowhere.
func (o *Options) cacheFile() string {
	if o.Cache == "" || o.Files != nil || o.Release == "" || strings.Contains(o.Release, "/") || o.Release[0] == '.' {
		return ""
	}
	return path.Join(o.Cache, o.Release)
}

// loadCache reads the cache, an empty one if there is none that can be trusted.
func loadCache(root *sysroot.Root, opt *Options) *cache {
	none := &cache{dir: opt.Dir}
	file := opt.cacheFile()
	if file == "" {
		return none
	}
	f, err := root.Open(file)
	if err != nil {
		return none
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !trusted(info) || info.Size() > maxCache {
		return none
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return none
	}
	c, err := decodeCache(data)
	if err != nil || c.dir != opt.Dir {
		return none
	}
	return c
}

// trusted says whether a file is one that only we could have written, or root.
func trusted(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && info.Mode().Perm()&0o022 == 0 && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

// saveCache writes a cache. It need not survive a crash: a damaged one is found out.
func saveCache(root *sysroot.Root, file string, data []byte) error {
	if err := root.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	return root.ReplaceLoosely(file, 0o644, data)
}

// read gets the facts of all modules, from the cache where that knows the file, or
// from the earlier indexes.
func (s *scan) read(ctx context.Context, list []*module) error {
	old := loadCache(s.root, &s.opt)
	s.published = old.published
	known := make(map[string]*record, len(old.records))
	for i := range old.records {
		known[old.records[i].path] = &old.records[i]
	}
	s.records = make([]record, len(list))
	stamps := make([]stamp, len(list))
	if err := s.recall(ctx, list, known, stamps); err != nil {
		return err
	}
	s.borrow(list, known, stamps)
	unread := make([]int, 0, len(list))
	remembered := len(list)
	for i, m := range list {
		if m.lent {
			remembered--
		} else if s.records[i].path == "" {
			unread = append(unread, i)
		}
	}
	if err := s.readFiles(ctx, list, unread, stamps); err != nil {
		return err
	}
	if s.borrowed && s.contradicts(list, unread) {
		return errUnlike
	}
	s.sameFacts = true
	for _, i := range unread {
		was := known[list[i].path]
		if list[i].readErr != nil {
			s.records[i] = record{} // is not to be remembered
			s.sameFacts = false
		} else if was == nil || !was.facts.equal(&s.records[i].facts) {
			s.sameFacts = false
		}
	}
	s.reread = len(unread) > 0 || remembered != len(old.records)
	return nil
}

// recall looks at all files, takes from the cache what it knows of unchanged ones,
// and gets the stamps of all.
func (s *scan) recall(ctx context.Context, list []*module, known map[string]*record, stamps []stamp) error {
	byDir := map[string][]int{}
	var dirs []string
	for i, m := range list {
		dir := path.Dir(m.path)
		if byDir[dir] == nil {
			dirs = append(dirs, dir)
		}
		byDir[dir] = append(byDir[dir], i)
	}
	return inParallel(ctx, len(dirs), func() func(int) {
		return func(n int) {
			d, err := s.root.OpenDir(dirs[n])
			if err != nil {
				return
			}
			defer d.Close()
			for _, i := range byDir[dirs[n]] {
				now, err := d.Stat(path.Base(list[i].path))
				if err != nil {
					continue
				}
				stamps[i] = stampOf(&now)
				if r := known[list[i].path]; r != nil && r.settled && r.stamp == stamps[i] {
					list[i].Facts, s.records[i] = r.facts, *r
				}
			}
		}
	})
}

// readFiles reads the modules with those numbers. The largest come first, so that
// none of them is left for one processor in the end; the others in their order,
// which keeps to directories.
func (s *scan) readFiles(ctx context.Context, list []*module, numbers []int, stamps []stamp) error {
	const large = 256 << 10
	slices.SortStableFunc(numbers, func(a, b int) int {
		if max(stamps[a].size, stamps[b].size) < large {
			return 0
		}
		return cmp.Compare(stamps[b].size, stamps[a].size)
	})
	return inParallel(ctx, len(numbers), func() func(int) {
		r := &recordReader{root: s.root}
		return func(n int) {
			m := list[numbers[n]]
			s.records[numbers[n]], m.readErr = r.read(m.path)
			m.Facts = s.records[numbers[n]].facts
		}
	})
}

// recordReader reads module files, one after the other.
type recordReader struct {
	root *sysroot.Root
	kmod kmod.Reader
}

// read reads a module file. An error is one of reading, which says nothing about
// what is in the file; what is wrong in the file is Facts.Errno.
func (r *recordReader) read(file string) (record, error) {
	none := record{path: file}
	f, err := r.root.OpenNonblock(file)
	if err != nil {
		return none, err
	}
	defer f.Close()
	at := time.Now()
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil { // before reading: a file that changes meanwhile gets another stamp
		return none, err
	}
	now := stampOf(&s)
	facts, err := readFacts(&r.kmod, f)
	return record{path: file, stamp: now, settled: now.settled(at), facts: facts}, err
}

// inParallel calls what worker returns for each number below n, one worker on each
// processor.
func inParallel(ctx context.Context, n int, worker func() func(int)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(n, runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			do := worker()
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return ctx.Err()
				}
				do(i)
			}
		})
	}
	return g.Wait()
}

// inputs is a sum of all that the indexes are computed from but for the facts,
// which sameFacts is about: options, modules in their order, what is built in.
func (s *scan) inputs(list []*module) [sha256.Size]byte {
	h := sha256.New()
	write := func(texts ...string) {
		for _, t := range texts {
			h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(t))))
			h.Write([]byte(t))
		}
	}
	h.Write(binary.LittleEndian.AppendUint64([]byte{s.opt.Prefix}, uint64(s.opt.Kmod)))
	write(s.opt.Dir, s.opt.OutDir)
	for _, m := range list {
		write(m.path)
	}
	for _, name := range []string{"modules.builtin", "modules.builtin.modinfo"} {
		data, err := s.root.ReadFile(path.Join(s.opt.Dir, name))
		if err != nil {
			write("missing")
		}
		write(string(data))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// current says whether the indexes that are there are those that would be computed.
// Then it has nothing to tell either: runs that told something are not remembered.
func (s *scan) current(list []*module) (*Index, bool) {
	s.newInputs = s.inputs(list)
	if !s.sameFacts || s.told > 0 || !s.plain() || s.published.inputs != s.newInputs || len(s.published.files) == 0 {
		return nil, false
	}
	d, err := s.root.OpenDir(s.opt.OutDir)
	if err != nil {
		return nil, false
	}
	defer d.Close()
	x := &Index{root: s.root, dir: s.opt.OutDir, unchanged: true}
	for i := range s.published.files {
		p := &s.published.files[i]
		if !s.confirm(d, p) {
			return nil, false
		}
		x.files = append(x.files, s.fromDisk(p.name))
	}
	return x, true
}

// plain says whether the indexes are all that is asked for.
func (s *scan) plain() bool {
	o := s.opt
	return s.opt.cacheFile() != "" && !o.TextOnly && !o.Unresolved && !o.Duplicates && !o.Needs && o.Symvers == "" && o.SystemMap == ""
}

// confirm says whether an index is the one that was published.
func (s *scan) confirm(d *sysroot.Dir, p *publishedFile) bool {
	at := time.Now()
	now, err := d.Stat(p.name)
	if err != nil || now.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return false
	}
	if p.settled && p.stamp == stampOf(&now) {
		return true
	}
	sum, err := sumOf(s.fromDisk(p.name))
	if err != nil || sum != p.sum {
		return false
	}
	p.stamp, s.reread = stampOf(&now), true
	p.settled = p.stamp.settled(at)
	return true
}

func (s *scan) fromDisk(name string) File {
	file := path.Join(s.opt.OutDir, name)
	return File{Name: name, WriteTo: func(w io.Writer) error {
		f, err := s.root.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	}}
}

func sumOf(f File) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if err := f.WriteTo(h); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// prepare does as much of remembering as can be done while indexes are written.
func (s *scan) prepare() *cacheWriter {
	w := newCacheWriter()
	for i := range s.records {
		if s.records[i].path != "" {
			w.module(&s.records[i])
		}
	}
	return w
}

// forgetful says whether there is nothing to remember of a run.
func (s *scan) forgetful(x *Index) bool {
	return s.opt.cacheFile() == "" || x.unchanged && !s.reread
}

// remember is to be called when the indexes have been published. It keeps what
// this run has read, and what it has left behind.
func (s *scan) remember(x *Index, w *cacheWriter) {
	p := s.published
	if !x.unchanged {
		p = s.leftBehind(x)
	}
	_ = saveCache(s.root, s.opt.cacheFile(), w.finish(s.opt.Dir, p)) // without, the next run takes longer
}

// leftBehind describes the indexes that have just been published.
func (s *scan) leftBehind(x *Index) published {
	if s.told > 0 || !s.plain() {
		return published{}
	}
	d, err := s.root.OpenDir(x.dir)
	if err != nil {
		return published{}
	}
	defer d.Close()
	p := published{inputs: s.newInputs}
	for _, f := range x.files {
		now, err := d.Stat(f.Name)
		if err != nil {
			return published{}
		}
		sum, err := sumOf(f)
		if err != nil {
			return published{}
		}
		// Just written, so never settled: the next run looks at the content once.
		p.files = append(p.files, publishedFile{name: f.Name, stamp: stampOf(&now), sum: sum})
	}
	return p
}
