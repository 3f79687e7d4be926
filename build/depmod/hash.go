package depmod

import (
	"encoding/binary"
	"slices"
	"strings"
)

// kmod keeps modules and symbols in hash tables, and what it writes without an
// order of its own comes in the order of those tables: by bucket, and in each
// bucket by name. So the order of modules.symbols, and that of modules which
// modules.order does not list, is that of Paul Hsieh's SuperFastHash with the
// number of buckets that depmod chose (hash_superfast in kmod's shared/hash.c;
// http://www.azillionmonkeys.com/qed/hash.html).
const (
	moduleBuckets = 512
	symbolBuckets = 2048
)

// superFastHash is the hash of a name. Pairs of bytes are taken in the byte
// order of the machine, as kmod takes them.
func superFastHash(name string) uint32 {
	b := []byte(name)
	h := uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		h += pair(b)
		h = h<<16 ^ pair(b[2:])<<11 ^ h
		h += h >> 11
	}
	switch len(b) {
	case 3:
		h += pair(b)
		h ^= h << 16
		h ^= uint32(b[2]) << 18
		h += h >> 11
	case 2:
		h += pair(b)
		h ^= h << 11
		h += h >> 17
	case 1:
		h += uint32(int8(b[0])) // a char, where chars have signs
		h ^= h << 10
		h += h >> 1
	}
	h ^= h << 3
	h += h >> 5
	h ^= h << 4
	h += h >> 17
	h ^= h << 25
	h += h >> 6
	return h
}

func pair(b []byte) uint32 { return uint32(binary.NativeEndian.Uint16(b)) }

// hashOrder sorts items as kmod would find them in a table of that many buckets,
// a power of two. Names are unique.
func hashOrder[T any](items []T, buckets uint32, name func(T) string) {
	type place struct {
		bucket uint32
		name   string
		item   T
	}
	places := make([]place, len(items))
	for i, item := range items {
		n := name(item)
		places[i] = place{superFastHash(n) & (buckets - 1), n, item}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.bucket != b.bucket {
			return int(a.bucket) - int(b.bucket)
		}
		return strings.Compare(a.name, b.name)
	})
	for i, p := range places {
		items[i] = p.item
	}
}
