package kmod

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxSize is the largest module read, unpacked. The largest in use, graphics
// drivers with their debug sections, have less than half of it.
const maxSize = 1 << 30

// maxRatio is how much larger than its file a module may become, beyond the
// first MiB. Real modules stay below 20; a file of zeros reaches thousands.
const maxRatio = 1000

// ErrTooLarge says that a module is, or unpacks to, more than this package reads.
var ErrTooLarge = errors.New("module too large")

// sizeLimit is what a compressed file of n bytes may unpack to.
func sizeLimit(n int) int64 {
	return min(maxSize, 1<<20+maxRatio*int64(n))
}

// Decompress unpacks a module file's bytes as their magic says. Data that is not
// compressed is returned as it is, not copied. The error is a *[FormatError].
func Decompress(file []byte) (module []byte, err error) {
	c := Detect(file)
	if c == None {
		return file, nil
	}
	defer guard(&err)
	limit := sizeLimit(len(file))
	switch c {
	case Gzip:
		module, err = gunzip(file, limit)
	case Xz:
		module, err = new(lzmaDecoder).unxz(file, limit, nil)
	case Zstd:
		module, err = unzstd(file, limit)
	}
	if err != nil {
		return nil, &FormatError{Part: string(c), Err: err}
	}
	return module, nil
}

func gunzip(file []byte, limit int64) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return readLimited(r, len(file), limit)
}

// xzComplete says whether a file ends in a stream footer: a CRC32, six bytes that
// it covers, and two letters. The reader takes a file that was cut between two
// parts of a stream for a shorter one.
func xzComplete(file []byte) bool {
	const footer = 12
	file = bytes.TrimRight(file, "\x00") // stream padding
	if len(file) < footer {
		return false
	}
	f := file[len(file)-footer:]
	return string(f[10:]) == "YZ" && binary.LittleEndian.Uint32(f) == crc32.ChecksumIEEE(f[4:10])
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

// readLimited reads all of r, growing with what comes and not with what is
// claimed. compressed, the size of the packed file, is the first guess.
func readLimited(r io.Reader, compressed int, limit int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(min(4*compressed, int(limit)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, ErrTooLarge
	}
	return b.Bytes(), nil
}
