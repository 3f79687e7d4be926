package depmod

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
