package kmod

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/crc64"
)

// Reading modules is, for most distributions, unpacking xz. So there is a decoder
// made for that: it has the whole file, and unpacks it into one piece of memory.
// It takes as long as xz(1) itself, and half as long as github.com/ulikunitz/xz,
// which reads streams (see NewReader) and is what it is tested against.
//
// The format: https://tukaani.org/xz/xz-file-format.txt, and lzma2_decoder.c of
// xz for the chunks. Filters other than LZMA2, which nobody uses for modules, are
// refused.

var (
	errDamaged     = errors.New("damaged data")
	errCut         = errors.New("data cut short")
	errCheck       = errors.New("wrong checksum")
	errUnsupported = errors.New("unsupported kind of xz file")
)

// unxz unpacks an xz file into out, which is empty, or new memory if that is too
// small. The result may be limit bytes long.
func (z *lzmaDecoder) unxz(file []byte, limit int64, out []byte) ([]byte, error) {
	x := xzReader{lzma: z, rest: file, limit: limit, out: out, guess: xzGuess(file)}
	if err := x.stream(); err != nil {
		return nil, err
	}
	for len(x.rest) > 0 {
		if len(x.rest)%4 == 0 && binary.LittleEndian.Uint32(x.rest) == 0 { // padding
			x.rest = x.rest[4:]
			continue
		}
		if err := x.stream(); err != nil {
			return nil, err
		}
	}
	return x.out, nil
}

// xzGuess is what the index at the end of a file of one stream and one block says
// of its size. Nobody has looked whether that is true: when it is beyond what
// modules pack into the file, it is not even a guess.
func xzGuess(file []byte) int {
	const likely = 64 // times the size of the file
	guess := 4 * len(file)
	if len(file) < 12 {
		return guess
	}
	index := (int64(binary.LittleEndian.Uint32(file[len(file)-8:])) + 1) * 4
	if index > int64(len(file)-12) {
		return guess
	}
	x := xzReader{rest: file[int64(len(file))-12-index:]}
	if head, _ := x.take(2); head[0] != 0 || head[1] != 1 {
		return guess
	}
	if _, err := x.number(); err != nil {
		return guess
	}
	if size, err := x.number(); err == nil && size < uint64(likely*len(file)) {
		return int(size)
	}
	return guess
}

// xzReader is an xz file on its way.
type xzReader struct {
	lzma  *lzmaDecoder
	rest  []byte
	limit int64
	guess int // how much it will be
	out   []byte
}

// take is the next n bytes.
func (x *xzReader) take(n int) ([]byte, error) {
	if n > len(x.rest) {
		return nil, errCut
	}
	b := x.rest[:n]
	x.rest = x.rest[n:]
	return b, nil
}

// sum takes a CRC32 and compares it with that of b.
func (x *xzReader) sum(b []byte) error {
	sum, err := x.take(4)
	if err == nil && binary.LittleEndian.Uint32(sum) != crc32.ChecksumIEEE(b) {
		err = errCheck
	}
	return err
}

// block is what the index says of a block, and has to agree with what was found.
type xzBlock struct{ packed, unpacked uint64 }

// stream reads one stream: a header, blocks, an index of them, a footer.
func (x *xzReader) stream() error {
	header, err := x.take(8)
	if err != nil {
		return err
	}
	if string(header[:6]) != "\xfd7zXZ\x00" {
		return errDamaged
	}
	flags := header[6:]
	if err := x.sum(flags); err != nil {
		return err
	}
	if flags[0] != 0 || flags[1] > 15 {
		return errUnsupported
	}
	var blocks []xzBlock
	for len(x.rest) > 0 && x.rest[0] != 0 {
		b, err := x.block(flags[1])
		if err != nil {
			return err
		}
		blocks = append(blocks, b)
	}
	size, err := x.index(blocks)
	if err != nil {
		return err
	}
	return x.footer(flags, size)
}

// footer is a checksum of the size of the index and the flags of the header.
func (x *xzReader) footer(flags []byte, index int) error {
	footer, err := x.take(12)
	if err != nil {
		return err
	}
	switch {
	case string(footer[10:]) != "YZ" || string(footer[8:10]) != string(flags):
		return errDamaged
	case crc32.ChecksumIEEE(footer[4:10]) != binary.LittleEndian.Uint32(footer):
		return errCheck
	case (int64(binary.LittleEndian.Uint32(footer[4:]))+1)*4 != int64(index):
		return errDamaged
	}
	return nil
}

// index reads the index, and is its size.
func (x *xzReader) index(blocks []xzBlock) (size int, err error) {
	all := x.rest
	if _, err := x.take(1); err != nil {
		return 0, err
	}
	count, err := x.number()
	if err != nil {
		return 0, err
	}
	if count != uint64(len(blocks)) {
		return 0, errDamaged
	}
	for _, b := range blocks {
		packed, err := x.number()
		if err != nil {
			return 0, err
		}
		unpacked, err := x.number()
		if err != nil {
			return 0, err
		}
		if b != (xzBlock{packed, unpacked}) {
			return 0, errDamaged
		}
	}
	if err := x.padding(len(all) - len(x.rest)); err != nil {
		return 0, err
	}
	size = len(all) - len(x.rest)
	return size + 4, x.sum(all[:size])
}

// padding takes the NULs that make size a multiple of four.
func (x *xzReader) padding(size int) error {
	pad, err := x.take(-size & 3)
	for _, b := range pad {
		if b != 0 {
			return errDamaged
		}
	}
	return err
}

// number reads an integer of a variable number of bytes.
func (x *xzReader) number() (uint64, error) {
	n, size := binary.Uvarint(x.rest)
	switch {
	case size == 0:
		return 0, errCut
	case size < 0 || size > 9 || size > 1 && x.rest[size-1] == 0:
		return 0, errDamaged
	}
	x.rest = x.rest[size:]
	return n, nil
}

// block reads one block: header, data, checksum.
func (x *xzReader) block(check byte) (xzBlock, error) {
	start, first := x.rest, len(x.out)
	want, err := x.blockHeader()
	if err != nil {
		return xzBlock{}, err
	}
	data := len(x.rest)
	if err := x.chunks(); err != nil {
		return xzBlock{}, err
	}
	got := xzBlock{uint64(data - len(x.rest)), uint64(len(x.out) - first)}
	if want.packed != 0 && want.packed-1 != got.packed || want.unpacked != 0 && want.unpacked-1 != got.unpacked {
		return got, errDamaged
	}
	got.packed = uint64(len(start) - len(x.rest))
	if err := x.padding(int(got.packed)); err != nil {
		return got, err
	}
	sum, err := x.check(check, x.out[first:])
	got.packed += uint64(sum)
	return got, err
}

// blockHeader gives the sizes that the header claims, plus one; 0 where it is
// silent.
func (x *xzReader) blockHeader() (claim xzBlock, err error) {
	header, err := x.take((int(x.rest[0]) + 1) * 4)
	if err != nil || len(header) < 8 {
		return claim, errCut
	}
	body, sum := header[:len(header)-4], header[len(header)-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum) {
		return claim, errCheck
	}
	flags := body[1]
	h := xzReader{rest: body[2:]}
	if flags&0x40 != 0 {
		if claim.packed, err = h.number(); err != nil {
			return claim, err
		}
		claim.packed++
	}
	if flags&0x80 != 0 {
		if claim.unpacked, err = h.number(); err != nil {
			return claim, err
		}
		claim.unpacked++
	}
	// One filter, LZMA2, with one byte of properties: the size of the dictionary.
	if flags&0x3f != 0 || len(h.rest) < 3 || h.rest[0] != 0x21 || h.rest[1] != 1 || h.rest[2] > 40 {
		return claim, errUnsupported
	}
	for _, b := range h.rest[3:] {
		if b != 0 {
			return claim, errUnsupported
		}
	}
	return claim, nil
}

// check takes the checksum of a block, and is its size. Kinds that nobody has
// defined yet are taken without looking.
func (x *xzReader) check(kind byte, data []byte) (size int, err error) {
	size = []int{0, 4, 8, 16, 32, 64}[(kind+2)/3]
	sum, err := x.take(size)
	if err != nil {
		return size, err
	}
	ok := true
	switch kind {
	case 1:
		ok = binary.LittleEndian.Uint32(sum) == crc32.ChecksumIEEE(data)
	case 4:
		ok = binary.LittleEndian.Uint64(sum) == crc64.Checksum(data, crc64.MakeTable(crc64.ECMA))
	case 10:
		ok = [sha256.Size]byte(sum) == sha256.Sum256(data)
	}
	if !ok {
		return size, errCheck
	}
	return size, nil
}

// The kinds of LZMA2 chunks. Those above have the highest bits of their size in
// the low bits of the same byte.
const (
	chunkEnd        = 0
	chunkStoredAnew = 1 // as it is, with a new dictionary
	chunkStored     = 2
	chunkPacked     = 0x80
	chunkReset      = 0xa0 // with a new state
	chunkProperties = 0xc0 // and new properties
	chunkAnew       = 0xe0 // and a new dictionary
)

// chunks unpacks the data of one block.
func (x *xzReader) chunks() error {
	start := -1 // of the dictionary
	known := false
	for {
		kind, err := x.take(1)
		if err != nil {
			return err
		}
		k := kind[0]
		switch {
		case k == chunkEnd:
			return nil
		case k == chunkStoredAnew || k >= chunkAnew:
			start, known = len(x.out), false
		case start < 0 || k > chunkStored && k < chunkPacked:
			return errDamaged
		}
		if k < chunkPacked {
			err = x.stored()
		} else {
			known = known || k >= chunkProperties
			if !known {
				return errDamaged
			}
			err = x.packed(k, start)
		}
		if err != nil {
			return err
		}
	}
}

// stored takes a chunk that is as it is.
func (x *xzReader) stored() error {
	size, err := x.take(2)
	if err != nil {
		return err
	}
	data, err := x.take(int(binary.BigEndian.Uint16(size)) + 1)
	if err != nil {
		return err
	}
	if err := x.room(len(data)); err != nil {
		return err
	}
	x.out = append(x.out, data...)
	return nil
}

// packed unpacks a chunk of a kind, with the dictionary that begins at start.
func (x *xzReader) packed(kind byte, start int) error {
	sizes, err := x.take(4)
	if err != nil {
		return err
	}
	size := int(kind&0x1f)<<16 + int(binary.BigEndian.Uint16(sizes)) + 1
	packed := int(binary.BigEndian.Uint16(sizes[2:])) + 1
	if kind >= chunkProperties {
		properties, err := x.take(1)
		if err != nil {
			return err
		}
		if err := x.lzma.setProperties(properties[0]); err != nil {
			return err
		}
	}
	data, err := x.take(packed)
	if err != nil {
		return err
	}
	if err := x.room(size); err != nil {
		return err
	}
	if kind >= chunkReset {
		x.lzma.reset()
	}
	copy(x.lzma.in[:], data)
	out, err := x.lzma.decode(x.out, start, size, packed)
	if err == nil {
		x.out = out
	}
	return err
}

// room sees to it that n more bytes fit into out. Memory grows with what comes.
func (x *xzReader) room(n int) error {
	size := len(x.out) + n
	if int64(size) > x.limit {
		return ErrTooLarge
	}
	if cap(x.out) >= size+spare {
		return nil
	}
	more := max(2*cap(x.out), size, x.guess) + spare
	out := make([]byte, len(x.out), min(more, int(x.limit)+spare))
	copy(out, x.out)
	x.out = out
	return nil
}
