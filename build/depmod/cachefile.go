package depmod

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"syscall"
)

// The file of a cache: a line that names the format, a SHA-256 of all that follows,
// and then, in little endian:
//
//	numbers of modules, strings, texts, symbols, indexes    5 × 4 bytes
//	directory of the kernel's modules                        string
//	sum of the inputs of the indexes                         32
//	each index: name, settled, stamp, SHA-256                string 4 4×8 32
//	each module: path, settled, errno, stamp,                string 4 4 4×8
//	    numbers of aliases, softdeps, weakdeps,
//	    exports, needs                                       5 × 4
//	texts: aliases, softdeps, weakdeps of each module        strings
//	symbols: exports and needs of each module:
//	    name, with the highest bit for weak ones; checksum   string 4
//	lengths of all strings                                   4 each
//	their bytes
//
// where a string is its number, 4 bytes. Any change of the format, or of what is
// read from a module or computed from it, needs another name in cacheFormat.
const cacheFormat = "dkms depmod cache 1\n"

// maxCache is how large a cache may be. That of 4000 modules has 5 MB.
const maxCache = 256 << 20

const weakBit = 1 << 31

// cacheWriter gathers the parts of a cache.
type cacheWriter struct {
	modules, texts, symbols []byte
	strings                 []string
	numbers                 map[string]uint32
}

func newCacheWriter() *cacheWriter {
	return &cacheWriter{numbers: make(map[string]uint32, 1<<16)}
}

// finish is the cache of the modules that the writer has been given.
func (w *cacheWriter) finish(dir string, p published) []byte {
	le := binary.LittleEndian
	head := w.string(nil, dir)
	head = append(head, p.inputs[:]...)
	for _, f := range p.files {
		head = le.AppendUint32(w.string(head, f.name), flag(f.settled))
		head = append(f.stamp.append(head), f.sum[:]...)
	}
	out := append(make([]byte, 0, len(head)+len(w.modules)+len(w.texts)+len(w.symbols)+1<<20), cacheFormat...)
	out = append(out, make([]byte, sha256.Size)...)
	for _, n := range []int{len(w.modules) / moduleSize, len(w.strings), len(w.texts) / textSize, len(w.symbols) / symbolSize, len(p.files)} {
		out = le.AppendUint32(out, uint32(n))
	}
	for _, part := range [][]byte{head, w.modules, w.texts, w.symbols} {
		out = append(out, part...)
	}
	for _, s := range w.strings {
		out = le.AppendUint32(out, uint32(len(s)))
	}
	for _, s := range w.strings {
		out = append(out, s...)
	}
	sum := sha256.Sum256(out[len(cacheFormat)+sha256.Size:])
	copy(out[len(cacheFormat):], sum[:])
	return out
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func (s stamp) append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(s.size))
	b = le.AppendUint64(b, uint64(s.mtime))
	b = le.AppendUint64(b, uint64(s.ctime))
	return le.AppendUint64(b, s.inode)
}

func (w *cacheWriter) string(b []byte, s string) []byte {
	return binary.LittleEndian.AppendUint32(b, w.number(s))
}

func (w *cacheWriter) number(s string) uint32 {
	n, ok := w.numbers[s]
	if !ok {
		n = uint32(len(w.strings))
		w.numbers[s] = n
		w.strings = append(w.strings, s)
	}
	return n
}

func (w *cacheWriter) module(r *record) {
	le := binary.LittleEndian
	b := w.string(w.modules, r.path)
	b = le.AppendUint32(b, flag(r.settled))
	b = le.AppendUint32(b, uint32(r.facts.Errno))
	b = r.stamp.append(b)
	for _, texts := range [][]string{r.facts.Aliases, r.facts.Softdeps, r.facts.Weakdeps} {
		b = le.AppendUint32(b, uint32(len(texts)))
		for _, t := range texts {
			w.texts = w.string(w.texts, t)
		}
	}
	for _, symbols := range [][]Symbol{r.facts.Exports, r.facts.Needs} {
		b = le.AppendUint32(b, uint32(len(symbols)))
		for _, s := range symbols {
			w.symbols = le.AppendUint32(w.symbols, w.number(s.Name)|flag(s.Weak)<<31)
			w.symbols = le.AppendUint32(w.symbols, s.CRC)
		}
	}
	w.modules = b
}

var errCache = errors.New("damaged cache")

// cacheReader takes a cache apart. After the first thing that is wrong there is
// nothing more to take.
type cacheReader struct {
	rest    []byte
	strings []string
	bad     bool
}

func decodeCache(data []byte) (*cache, error) {
	body, ok := bytes.CutPrefix(data, []byte(cacheFormat))
	if !ok || len(body) < sha256.Size {
		return nil, errCache
	}
	sum, body := [sha256.Size]byte(body), body[sha256.Size:]
	if sum != sha256.Sum256(body) {
		return nil, errCache
	}
	r := &cacheReader{rest: body}
	c := r.cache()
	if r.bad || len(r.rest) != 0 {
		return nil, errCache
	}
	return c, nil
}

func (r *cacheReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *cacheReader) uint32() uint32 {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func (r *cacheReader) uint64() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (r *cacheReader) flag() bool {
	n := r.uint32()
	r.bad = r.bad || n > 1
	return n == 1
}

func (r *cacheReader) string() string { return r.numbered(r.uint32()) }

func (r *cacheReader) numbered(n uint32) string {
	if r.bad || uint64(n) >= uint64(len(r.strings)) {
		r.bad = true
		return ""
	}
	return r.strings[n]
}

func (r *cacheReader) stamp() stamp {
	return stamp{size: int64(r.uint64()), mtime: int64(r.uint64()), ctime: int64(r.uint64()), inode: r.uint64()}
}

// Sizes of the parts.
const (
	headSize   = 4 + sha256.Size
	indexSize  = 4 + 4 + 32 + sha256.Size
	moduleSize = 4 + 4 + 4 + 32 + 5*4
	textSize   = 4
	symbolSize = 8
)

func (r *cacheReader) cache() *cache {
	modules, strings, texts, symbols, indexes := uint64(r.uint32()), uint64(r.uint32()), uint64(r.uint32()), uint64(r.uint32()), uint64(r.uint32())
	head := r.take(headSize + indexSize*indexes)
	moduleBytes := r.take(moduleSize * modules)
	textBytes := r.take(textSize * texts)
	symbolBytes := r.take(symbolSize * symbols)
	r.readStrings(strings)
	if r.bad {
		return nil
	}
	end := r.rest
	c := &cache{}
	r.rest = head
	c.dir = r.string()
	copy(c.inputs[:], r.take(sha256.Size))
	c.files = make([]publishedFile, indexes)
	for i := range c.files {
		f := &c.files[i]
		f.name, f.settled, f.stamp = r.string(), r.flag(), r.stamp()
		copy(f.sum[:], r.take(sha256.Size))
	}
	r.rest = moduleBytes
	c.records = make([]record, modules)
	t, s := r.texts(textBytes), r.symbols(symbolBytes)
	for i := range c.records {
		r.record(&c.records[i], &t, &s)
	}
	r.bad = r.bad || len(r.rest) != 0 || len(t) != 0 || len(s) != 0
	r.rest = end
	return c
}

func (r *cacheReader) readStrings(n uint64) {
	lengths := r.take(4 * n)
	if r.bad {
		return
	}
	text := string(r.rest)
	r.strings = make([]string, n)
	for i := range r.strings {
		size := uint64(binary.LittleEndian.Uint32(lengths[4*i:]))
		if size > uint64(len(text)) {
			r.bad = true
			return
		}
		r.strings[i], text = text[:size], text[size:]
	}
	r.bad = text != ""
	r.rest = nil
}

func (r *cacheReader) texts(b []byte) []string {
	out := make([]string, len(b)/textSize)
	for i := range out {
		out[i] = r.numbered(binary.LittleEndian.Uint32(b[textSize*i:]))
	}
	return out
}

func (r *cacheReader) symbols(b []byte) []Symbol {
	out := make([]Symbol, len(b)/symbolSize)
	for i := range out {
		name := binary.LittleEndian.Uint32(b[symbolSize*i:])
		out[i] = Symbol{r.numbered(name &^ weakBit), binary.LittleEndian.Uint32(b[symbolSize*i+4:]), name&weakBit != 0}
	}
	return out
}

func (r *cacheReader) record(to *record, texts *[]string, symbols *[]Symbol) {
	to.path, to.settled = r.string(), r.flag()
	to.facts.Errno = syscall.Errno(r.uint32())
	to.stamp = r.stamp()
	to.facts.Aliases = part(r, texts)
	to.facts.Softdeps = part(r, texts)
	to.facts.Weakdeps = part(r, texts)
	to.facts.Exports = part(r, symbols)
	to.facts.Needs = part(r, symbols)
}

// part cuts as many items off as the reader says; none are nil.
func part[T any](r *cacheReader, all *[]T) []T {
	n := r.uint32()
	if uint64(n) > uint64(len(*all)) {
		r.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	out := (*all)[:n:n]
	*all = (*all)[n:]
	return out
}
