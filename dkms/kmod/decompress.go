package kmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
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
	return (&Reader{file: file}).unpack(c)
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
