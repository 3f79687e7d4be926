package kmod

import "encoding/binary"

// chunkInput is the packed bytes of one chunk, which has at most half of it. The
// coder runs beyond the end of damaged data, and is found out afterwards; until
// then positions are cut to the size of the array.
type chunkInput [1 << 17]byte

// prob is how likely the next bit is 0, in 2048ths.
type prob = uint16

const evenOdds = 1 << 10

// lzmaDecoder is the state of one, as the specification by Igor Pavlov
// (lzma-specification.txt of the LZMA SDK) names it. It unpacks into one piece of
// memory that is its own dictionary, so a dictionary is never allocated whatever
// the size that a file claims to need. Arrays are of the size that a masked index
// can have, which spares the checks of bounds in the innermost loops.
type lzmaDecoder struct {
	in         chunkInput
	isMatch    [16][16]prob // by state and position
	isRep      [16]prob
	isRep0     [16]prob
	isRep1     [16]prob
	isRep2     [16]prob
	isRep0Long [16][16]prob
	slot       [4][64]prob
	special    [128]prob
	align      [16]prob
	length     lengthProbs
	repLength  lengthProbs
	literal    [16][0x300]prob

	lc, lp, pb uint8     // bits of the last byte, and of the position, that tell literals and the rest apart
	state      uint32    // of 12: what the last symbols were
	rep        [4]uint32 // the distances used last, less 1
}

type lengthProbs struct {
	choice, choice2 prob
	low, mid        [16][8]prob
	high            [256]prob
}

// setProperties takes the byte in which lc, lp and pb are.
func (z *lzmaDecoder) setProperties(b byte) error {
	if b > (4*5+4)*9+8 {
		return errDamaged
	}
	z.lc, z.lp, z.pb = b%9, b/9%5, b/45
	if z.lc+z.lp > 4 {
		return errDamaged
	}
	return nil
}

// reset forgets everything but the properties.
func (z *lzmaDecoder) reset() {
	z.state = 0
	z.rep = [4]uint32{}
	for i := range z.isMatch {
		even(z.isMatch[i][:])
		even(z.isRep0Long[i][:])
	}
	even(z.isRep[:])
	even(z.isRep0[:])
	even(z.isRep1[:])
	even(z.isRep2[:])
	for i := range z.slot {
		even(z.slot[i][:])
	}
	even(z.special[:])
	even(z.align[:])
	z.length.reset()
	z.repLength.reset()
	for i := range z.literal[:1<<(z.lc+z.lp)] {
		even(z.literal[i][:])
	}
}

func (l *lengthProbs) reset() {
	l.choice, l.choice2 = evenOdds, evenOdds
	for i := range l.low {
		even(l.low[i][:])
		even(l.mid[i][:])
	}
	even(l.high[:])
}

func even(p []prob) {
	for i := range p {
		p[i] = evenOdds
	}
}

// coder is a range decoder. It is handed around by value, which keeps it in
// registers.
type coder struct {
	pos       int
	rng, code uint32
}

// more sees to it that the next bit can be decoded.
func (c coder) more(in *chunkInput) coder {
	if c.rng < 1<<24 {
		return coder{c.pos + 1, c.rng << 8, c.code<<8 | uint32(in[c.pos&(len(in)-1)])}
	}
	return c
}

// bit decodes a bit without a branch, which the processor could not foresee. The
// bit is 1+m: m is all ones for 0, and nothing for 1.
func (c coder) bit(p *prob) (_ coder, m uint32) {
	v := uint32(*p)
	bound := c.rng >> 11 * v
	d := int64(c.code) - int64(bound)
	m = uint32(d >> 63)
	*p = prob(v - uint32(int32(v+m&(1<<32+31-2048))>>5)) // p += (2048-p)>>5 or p -= p>>5
	c.rng -= bound
	return coder{c.pos, c.rng + m&(bound-c.rng), uint32(d) + m&bound}, m
}

// half decodes a bit that has even odds.
func (c coder) half() (_ coder, m uint32) {
	c.rng >>= 1
	d := int64(c.code) - int64(c.rng)
	m = uint32(d >> 63)
	return coder{c.pos, c.rng, uint32(d) + m&c.rng}, m
}

// literal decodes a byte. The result has a bit set above it.
func (c coder) literal(in *chunkInput, probs *[0x300]prob) (_ coder, sym uint32) {
	var m uint32
	sym = 1
	for range 2 { // half unrolled
		c, m = c.more(in).bit(&probs[sym&0xff])
		sym = sym<<1 + 1 + m
		c, m = c.more(in).bit(&probs[sym&0xff])
		sym = sym<<1 + 1 + m
		c, m = c.more(in).bit(&probs[sym&0xff])
		sym = sym<<1 + 1 + m
		c, m = c.more(in).bit(&probs[sym&0xff])
		sym = sym<<1 + 1 + m
	}
	return c, sym
}

// unlike decodes a byte that follows a match, and thus is not the one that a
// longer match would have brought.
func (c coder) unlike(in *chunkInput, probs *[0x300]prob, match byte) (_ coder, sym uint32) {
	var m uint32
	sym = 1
	other, same := uint32(match), uint32(0x100)
	for range 8 {
		other <<= 1
		bit := other & same
		c, m = c.more(in).bit(&probs[same&0x100+bit&0x100+sym&0xff])
		sym = sym<<1 + 1 + m
		same &= bit ^ m
	}
	return c, sym
}

// three, six and eight decode numbers of so many bits, the highest first.
func (c coder) three(in *chunkInput, probs *[8]prob) (_ coder, n uint32) {
	c, m := c.more(in).bit(&probs[1])
	n = 3 + m
	c, m = c.more(in).bit(&probs[n&7])
	n = n<<1 + 1 + m
	c, m = c.more(in).bit(&probs[n&7])
	return c, n<<1 + 1 + m - 8
}

func (c coder) six(in *chunkInput, probs *[64]prob) (_ coder, n uint32) {
	var m uint32
	n = 1
	for range 2 {
		c, m = c.more(in).bit(&probs[n&63])
		n = n<<1 + 1 + m
		c, m = c.more(in).bit(&probs[n&63])
		n = n<<1 + 1 + m
		c, m = c.more(in).bit(&probs[n&63])
		n = n<<1 + 1 + m
	}
	return c, n - 64
}

func (c coder) eight(in *chunkInput, probs *[256]prob) (_ coder, n uint32) {
	var m uint32
	n = 1
	for n < 256 {
		c, m = c.more(in).bit(&probs[n&255])
		n = n<<1 + 1 + m
	}
	return c, n - 256
}

// length decodes the length of a match.
func (c coder) length(in *chunkInput, l *lengthProbs, posState int) (_ coder, n uint32) {
	c, m := c.more(in).bit(&l.choice)
	if m != 0 {
		c, n = c.three(in, &l.low[posState&15])
		return c, n + 2
	}
	c, m = c.more(in).bit(&l.choice2)
	if m != 0 {
		c, n = c.three(in, &l.mid[posState&15])
		return c, n + 10
	}
	c, n = c.eight(in, &l.high)
	return c, n + 18
}

// distance decodes how far back a match of length n lies, less 1.
func (c coder) distance(z *lzmaDecoder, n uint32) (_ coder, d uint32) {
	in := &z.in
	c, slot := c.six(in, &z.slot[min(n-2, 3)])
	if slot < 4 {
		return c, slot
	}
	var m uint32
	low := slot>>1 - 1
	d = 2 | slot&1
	if slot < 14 {
		d <<= low & 31
		base, i := d-slot, uint32(1)
		for b := range low {
			c, m = c.more(in).bit(&z.special[(base+i)&127])
			i = i<<1 + 1 + m
			d += (1 + m) << (b & 31)
		}
		return c, d
	}
	for range low - 4 {
		c, m = c.more(in).half()
		d = d<<1 + 1 + m
	}
	d <<= 4
	i := uint32(1)
	for b := range uint32(4) {
		c, m = c.more(in).bit(&z.align[i&15])
		i = i<<1 + 1 + m
		d += (1 + m) << (b & 31)
	}
	return c, d
}

// decode appends size bytes to out, which has room for spare more than that. They
// are packed in the first packed bytes of z.in. The dictionary begins at start.
func (z *lzmaDecoder) decode(out []byte, start, size, packed int) ([]byte, error) {
	in := &z.in
	if packed < 5 || in[0] != 0 {
		return nil, errDamaged
	}
	c := coder{5, 1<<32 - 1, binary.BigEndian.Uint32(in[1:])}
	at, end := len(out), len(out)+size
	buf := out[: end+spare : end+spare]
	state := z.state
	rep0, rep1, rep2, rep3 := z.rep[0], z.rep[1], z.rep[2], z.rep[3]
	posMask, litMask, lc := 1<<(z.pb&7)-1, 1<<(z.lp&7)-1, z.lc&7
	var m uint32
	for at < end {
		posState := (at - start) & posMask & 15
		// This bit is foreseen more often than not: a branch is faster.
		c = c.more(in)
		p := &z.isMatch[state&15][posState]
		v := uint32(*p)
		bound := c.rng >> 11 * v
		if c.code < bound {
			c.rng = bound
			*p = prob(v + (2048-v)>>5)
			var last byte
			if at > start {
				last = buf[at-1]
			}
			probs := &z.literal[((at-start)&litMask<<lc+int(last>>(8-lc)))&15]
			var sym uint32
			if state < 7 {
				c, sym = c.literal(in, probs)
				state -= min(state, 3)
			} else {
				if uint64(rep0) >= uint64(at-start) {
					return nil, errDamaged
				}
				c, sym = c.unlike(in, probs, buf[at-int(rep0)-1])
				state = afterUnlike(state)
			}
			buf[at] = byte(sym)
			at++
			continue
		}
		c.rng -= bound
		c.code -= bound
		*p = prob(v - v>>5)

		var n uint32
		c, m = c.more(in).bit(&z.isRep[state&15])
		if m != 0 {
			rep3, rep2, rep1 = rep2, rep1, rep0
			c, n = c.length(in, &z.length, posState)
			c, rep0 = c.distance(z, n)
			state = after(state, 7)
		} else {
			c, m = c.more(in).bit(&z.isRep0[state&15])
			if m != 0 {
				c, m = c.more(in).bit(&z.isRep0Long[state&15][posState])
				if m != 0 { // one byte
					if uint64(rep0) >= uint64(at-start) {
						return nil, errDamaged
					}
					buf[at] = buf[at-int(rep0)-1]
					at++
					state = after(state, 9)
					continue
				}
			} else {
				c, m = c.more(in).bit(&z.isRep1[state&15])
				if m != 0 {
					rep0, rep1 = rep1, rep0
				} else {
					c, m = c.more(in).bit(&z.isRep2[state&15])
					if m != 0 {
						rep0, rep1, rep2 = rep2, rep0, rep1
					} else {
						rep0, rep1, rep2, rep3 = rep3, rep0, rep1, rep2
					}
				}
			}
			c, n = c.length(in, &z.repLength, posState)
			state = after(state, 8)
		}
		if uint64(rep0) >= uint64(at-start) || int(n) > end-at {
			return nil, errDamaged
		}
		repeat(buf, at, int(rep0)+1, int(n))
		at += int(n)
	}
	c = c.more(in)
	if c.pos != packed || c.code != 0 {
		return nil, errDamaged
	}
	z.state = state
	z.rep = [4]uint32{rep0, rep1, rep2, rep3}
	return out[:end], nil
}

// after is the state that follows one that ended in a match (7), a repeated one
// (8) or one of a single byte (9).
func after(state, kind uint32) uint32 {
	switch {
	case state < 7:
		return kind
	case kind == 7:
		return 10
	default:
		return 11
	}
}

// afterUnlike is the state after a byte that followed a match.
func afterUnlike(state uint32) uint32 {
	if state < 10 {
		return state - 3
	}
	return state - 6
}

// spare is how many bytes behind its end decode may write to.
const spare = 8

// repeat copies n bytes from distance bytes before at to at. Up to spare bytes
// behind them may change.
func repeat(buf []byte, at, distance, n int) {
	from, end := at-distance, at+n
	if distance < 8 {
		for ; at < end; at++ {
			buf[at] = buf[from]
			from++
		}
		return
	}
	for ; at < end; at += 8 {
		binary.LittleEndian.PutUint64(buf[at:], binary.LittleEndian.Uint64(buf[from:]))
		from += 8
	}
}
