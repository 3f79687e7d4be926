package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Reader reads many modules, one after the other, in the same memory. It must not be used by two goroutines at once. The zero value is
// ready; nothing has to be closed.
type Reader struct {
	file, module []byte
	elf          elfObject
	arena        arena
	lzma         *lzmaDecoder
	gzip         *gzip.Reader
	zstd         *zstd.Decoder
}

// wholeSize is up to where it is faster to read a file than to look for what is
// needed of it.
const wholeSize = 128 << 10

// keepSize is how much memory a Reader keeps in any case, for each of its buffers.
const keepSize = 4 << 20

// Index reads from an open module file what indexes are made of. The Object says
// nothing of signature and build id, nor of GPL and Namespace of symbols, and shares no memory with the Reader. Errors
// are those of [Open], but less of the file needs to be in order: what depmod of
// kmod takes from a damaged module is taken. When there is an Object beside an
// error, then only the exported symbols are not known.
func (r *Reader) Index(f *os.File) (_ *Object, err error) {
	defer guard(&err)
	src, err := r.open(f)
	if err != nil {
		return nil, err
	}
	if err := r.elf.read(src); err != nil {
		return nil, err
	}
	r.elf.brief = true
	o := &Object{}
	if o.index(&r.elf) != nil {
		return tolerant(&r.elf)
	}
	return o, nil
}

// open reads as much of a file as it takes to read the module in it.
func (r *Reader) open(f *os.File) (source, error) {
	info, err := f.Stat()
	if err != nil {
		return source{}, err
	}
	if !info.Mode().IsRegular() {
		return source{}, malformed("file", "not a regular file")
	}
	size := info.Size()
	if size > maxSize {
		return source{}, &FormatError{Part: "file", Err: ErrTooLarge}
	}
	start := min(size, wholeSize)
	if int64(cap(r.file)) > max(keepSize, 8*size) {
		r.file = nil
	}
	r.file = sized(r.file, start)
	if err := r.fill(f, 0, start); err != nil {
		return source{}, err
	}
	c := Detect(r.file)
	if c == None && size > wholeSize {
		r.arena.b = r.arena.b[:0]
		return source{r: f, size: size, arena: &r.arena}, nil
	}
	if int64(len(r.file)) == start && size > start {
		r.file = sized(r.file, size)
		if err := r.fill(f, start, size); err != nil {
			return source{}, err
		}
	}
	module, err := r.unpack(c)
	if err != nil {
		return source{}, err
	}
	return source{r: bytes.NewReader(module), data: module, size: int64(len(module))}, nil
}

// sized is b with that length, its content kept.
func sized(b []byte, size int64) []byte {
	if int64(cap(b)) < size {
		b = append(make([]byte, 0, size+size/4), b...)
	}
	return b[:size]
}

// fill reads a part of the file, and makes the memory as long as the file is.
func (r *Reader) fill(f *os.File, from, to int64) error {
	for from < to {
		n, err := f.ReadAt(r.file[from:to], from)
		from += int64(n)
		if errors.Is(err, io.EOF) { // the file became shorter: what is left will tell
			r.file = r.file[:from]
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unpack is the file as its compression says, in memory of the Reader.
func (r *Reader) unpack(c Compression) (module []byte, err error) {
	limit := sizeLimit(len(r.file))
	if cap(r.module) > max(keepSize, 64*len(r.file)) {
		r.module = nil // was for a much larger one
	}
	switch c {
	case None:
		return r.file, nil
	case Gzip:
		module, err = r.gunzip(limit)
	case Xz:
		if r.lzma == nil {
			r.lzma = new(lzmaDecoder)
		}
		module, err = r.lzma.unxz(r.file, limit, r.module[:0])
	case Zstd:
		module, err = r.unzstd(limit)
	}
	if err != nil {
		return nil, &FormatError{Part: string(c), Err: err}
	}
	r.module = module[:0]
	return module, nil
}

func (r *Reader) gunzip(limit int64) (_ []byte, err error) {
	file := bytes.NewReader(r.file)
	if r.gzip == nil {
		r.gzip, err = gzip.NewReader(file)
	} else {
		err = r.gzip.Reset(file)
	}
	if err != nil {
		r.gzip = nil
		return nil, err
	}
	out := r.module[:0]
	for {
		if len(out) == cap(out) {
			more := min(max(2*len(out), 4*len(r.file), 4<<10), int(limit)+1)
			out = append(make([]byte, 0, more), out...)
		}
		n, err := r.gzip.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case int64(len(out)) > limit:
			return nil, ErrTooLarge
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
	}
}

// unzstd unpacks what tells its size, and tells the truth, where there is room for
// that. Other files are given a decoder of their own.
func (r *Reader) unzstd(limit int64) (_ []byte, err error) {
	const likely = 64 // times the size of the file
	var header zstd.Header
	if err := header.Decode(r.file); err != nil {
		return nil, err
	}
	size := header.FrameContentSize
	if !header.HasFCS || size > uint64(likely*len(r.file)) || size > uint64(limit) {
		return unzstd(r.file, limit)
	}
	if r.zstd == nil {
		r.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxSize), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
	}
	out, err := r.zstd.DecodeAll(r.file, sized(r.module[:0], int64(size))[:0:size])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return unzstd(r.file, limit)
	}
	return out, err
}

func unzstd(file []byte, limit int64) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderMaxWindow(uint64(limit)))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	module, err := d.DecodeAll(file, nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return module, err
}
