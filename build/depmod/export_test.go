package depmod

import "crypto/sha256"

// Trie is the binary index of entries. Those with the same key and priority stand
// in it in the opposite order.
func Trie(list []Entry, nodesLast bool) ([]byte, error) {
	e := &entries{list: append([]Entry(nil), list...)}
	return e.trie(nodesLast)
}

// ParsedRules is what rules say for a kernel.
func ParsedRules(data []byte, release string) (overrides, searches, externals, excludes []string) {
	var r rules
	r.parse(data, "file", release, func(Level, string, ...any) {})
	return r.overrides, r.searches, r.externals, r.excludes
}

// WithCacheSum gives a cache the name of the format and the sum that it needs.
func WithCacheSum(data []byte) []byte {
	if len(data) < len(cacheFormat)+sha256.Size {
		return data
	}
	copy(data, cacheFormat)
	sum := sha256.Sum256(data[len(cacheFormat)+sha256.Size:])
	copy(data[len(cacheFormat):], sum[:])
	return data
}

// RecodeCache reads a cache and writes it again.
func RecodeCache(data []byte) ([]byte, error) {
	c, err := decodeCache(data)
	if err != nil {
		return nil, err
	}
	w := newCacheWriter()
	for i := range c.records {
		w.module(&c.records[i])
	}
	return w.finish(c.dir, c.published), nil
}

// Lent is of how many modules an index has the facts from the indexes before it.
func Lent(x *Index) int {
	n := 0
	for _, r := range x.scan.records {
		if x.scan.borrowed && r.path == "" {
			n++
		}
	}
	return n
}
