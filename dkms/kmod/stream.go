package kmod

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Archives of modules are compressed like modules are, but are too large to be
// held in memory. These two functions are for them.

// maxWindow is how much of a zstd stream's past its reader keeps, which is what
// zstd(1) takes without being asked: 128 MiB.
const maxWindow = 1 << 27

// NewReader returns what is in a compressed file: gzip, xz, zstd or bzip2 as its
// first bytes say, and the file as it is if they say nothing. The file is read
// from its beginning. A file that unpacks to more than maxRatio times its size
// gives ErrTooLarge, and no input makes the reader panic.
//
// A stream is only known to be whole when it has been read to its end.
func NewReader(file io.ReadSeeker) (io.ReadCloser, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	start, err := peek(file, 0, magicSize)
	if err != nil {
		return nil, err
	}
	end, err := peek(file, max(0, size-xzTail), xzTail)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	s := &stream{left: 1<<20 + maxRatio*size}
	if err := s.open(bufio.NewReaderSize(file, 64<<10), start, end); err != nil {
		return nil, err
	}
	return s, nil
}

// xzTail is how much of the end of an xz file is looked at for its footer: the
// footer and more padding than any writer appends.
const xzTail = 4096

// peek returns up to n bytes of a file, from offset at on.
func peek(file io.ReadSeeker, at int64, n int) ([]byte, error) {
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	n, err := io.ReadFull(file, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}

// stream is the content of a compressed file.
type stream struct {
	r     io.Reader
	name  string // of the compression, for errors
	left  int64  // how much may still come
	close func() error
}

// open chooses the decompressor for a file that begins with start and ends in end.
func (s *stream) open(file io.Reader, start, end []byte) (err error) {
	defer s.guard(&err)
	s.close = func() error { return nil }
	s.name = string(Detect(start))
	switch {
	case s.name == string(Gzip):
		s.r, err = gzip.NewReader(file)
	case s.name == string(Xz) && !xzComplete(end):
		err = io.ErrUnexpectedEOF
	case s.name == string(Xz):
		s.r, err = xz.ReaderConfig{DictCap: lzma.MinDictCap}.NewReader(file)
	case s.name == string(Zstd):
		var d *zstd.Decoder
		d, err = zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			s.r, s.close = d, func() error { d.Close(); return nil }
		}
	case bytes.HasPrefix(start, []byte("BZh")):
		s.name, s.r = "bz2", bzip2.NewReader(file)
	default:
		s.r = file
	}
	return s.wrap(err)
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (n int, err error) {
	defer s.guard(&err)
	n, err = s.r.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, ErrTooLarge
	}
	return n, s.wrap(err)
}

// wrap adds to an error in which format it was found.
func (s *stream) wrap(err error) error {
	if err == nil || errors.Is(err, io.EOF) || s.name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// guard turns a panic of a decompressor into an error.
func (s *stream) guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: %v", s.name, p)
	}
}

// Close ends the decompressor. The file stays open.
func (s *stream) Close() error { return s.close() }

// NewWriter returns a writer that compresses what is written to it into w; the
// same input always gives the same bytes. Closing it does not close w. Xz is not
// written here: the encoder at hand is several times slower than xz(1), and does
// not compress as well.
func NewWriter(w io.Writer, c Compression) (io.WriteCloser, error) {
	switch c {
	case None:
		return plainWriter{w}, nil
	case Gzip:
		return gzip.NewWriter(w), nil
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	return nil, fmt.Errorf("write %s: %w", c, errors.ErrUnsupported)
}

// plainWriter is a writer that need not be closed.
type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }
