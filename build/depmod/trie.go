package depmod

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// The binary indexes; doc.go describes the format.
const (
	trieMagic   = 0xB007F457
	trieVersion = 0x00020001
	trieHeader  = 12 // bytes: magic, version, place of the root

	withPrefix   = 0x80000000
	withValues   = 0x40000000
	withChildren = 0x20000000
	trieOffset   = 0x0FFFFFFF

	trieChars = 128 // keys consist of bytes below
)

// Entry is one value of a key in a binary index.
type Entry struct {
	Key, Value string
	Priority   uint32 // values of one key stand in ascending order of it
}

// entries is what goes into a binary index, in the order of insertion.
type entries struct {
	list []Entry
	seen map[[2]string]bool // key and value, when duplicates are looked for
}

// add reports whether the same key and value had been added before, when that is
// looked for.
func (e *entries) add(key, value string, priority int) (duplicate bool) {
	e.list = append(e.list, Entry{key, value, uint32(priority)})
	if e.seen == nil {
		return false
	}
	duplicate = e.seen[[2]string{key, value}]
	e.seen[[2]string{key, value}] = true
	return duplicate
}

// CharacterError says that a binary index cannot hold a text.
type CharacterError struct {
	Char byte
	Text string
}

func (e *CharacterError) Error() string {
	return fmt.Sprintf("index %q: character %#x is not ASCII", e.Text, e.Char)
}

func checkText(s string) error {
	for i := range len(s) {
		if s[i] >= trieChars {
			return &CharacterError{s[i], s}
		}
	}
	return nil
}

// trie makes a binary index. nodesLast puts the nodes below a node in front of
// it, as kmod did up to version 33.
func (e *entries) trie(nodesLast bool) ([]byte, error) {
	for _, entry := range e.list {
		if err := checkText(entry.Key); err != nil {
			return nil, err
		}
		if err := checkText(entry.Value); err != nil {
			return nil, err
		}
	}
	// Of values with the same priority the one added last comes first.
	e.sort()
	root := node{first: trieChars}
	root.fill(e.list, 0)
	root.measure()
	out := make([]byte, trieHeader, trieHeader+root.total)
	binary.BigEndian.PutUint32(out, trieMagic)
	binary.BigEndian.PutUint32(out[4:], trieVersion)
	var at uint32
	if nodesLast {
		out, at = root.appendLast(out)
	} else {
		at = trieHeader | root.flags()
		out = root.appendFirst(out)
	}
	if len(out)-1 > trieOffset {
		return nil, fmt.Errorf("index of %d bytes: a binary index ends at %d", len(out), trieOffset)
	}
	binary.BigEndian.PutUint32(out[8:], at)
	return out, nil
}

// sort sorts by key and priority, and otherwise last come, first served. That is
// several times as fast as a stable sort.
func (e *entries) sort() {
	type place struct {
		Entry
		number int
	}
	places := make([]place, len(e.list))
	for i, entry := range e.list {
		places[i] = place{entry, i}
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		if c := cmp.Compare(a.Priority, b.Priority); c != 0 {
			return c
		}
		return b.number - a.number
	})
	for i := range places {
		e.list[i] = places[i].Entry
	}
}

// node is one node of a trie.
type node struct {
	prefix   string
	values   []Entry
	first    byte // the character that leads to children[0]
	children []node
	chars    []byte // of each child
	size     int    // bytes of the node itself
	total    int    // and of all nodes below
}

// fill makes the nodes below n of sorted entries that agree in their first depth
// characters.
func (n *node) fill(list []Entry, depth int) {
	for len(list) > 0 && len(list[0].Key) == depth {
		end := 1
		for end < len(list) && len(list[end].Key) == depth {
			end++
		}
		n.values, list = list[:end:end], list[end:]
	}
	for len(list) > 0 {
		c := list[0].Key[depth]
		end := 1
		for end < len(list) && list[end].Key[depth] == c {
			end++
		}
		n.chars = append(n.chars, c)
		n.children = append(n.children, branch(list[:end], depth+1))
		list = list[end:]
	}
	if len(n.chars) > 0 {
		n.first = n.chars[0]
	}
}

// branch is the node for entries that agree in their first depth characters. What
// they agree in beyond is its prefix.
func branch(list []Entry, depth int) node {
	first, last := list[0].Key, list[len(list)-1].Key
	same := depth
	for same < len(first) && same < len(last) && first[same] == last[same] {
		same++
	}
	n := node{prefix: first[depth:same]}
	n.fill(list, same)
	return n
}

func (n *node) measure() {
	n.size = 0
	if n.prefix != "" {
		n.size += len(n.prefix) + 1
	}
	if len(n.children) > 0 {
		n.size += 2 + 4*n.span()
	}
	if len(n.values) > 0 {
		n.size += 4
	}
	for _, v := range n.values {
		n.size += 4 + len(v.Value) + 1
	}
	n.total = n.size
	for i := range n.children {
		n.children[i].measure()
		n.total += n.children[i].total
	}
}

// span is the number of characters from the first child's to the last one's.
func (n *node) span() int { return int(n.chars[len(n.chars)-1]-n.first) + 1 }

func (n *node) flags() uint32 {
	var f uint32
	if n.prefix != "" {
		f |= withPrefix
	}
	if len(n.values) > 0 {
		f |= withValues
	}
	if len(n.children) > 0 {
		f |= withChildren
	}
	return f
}

// appendFirst writes the node, and then those below it.
func (n *node) appendFirst(out []byte) []byte {
	at := len(out) + n.size
	places := make([]uint32, len(n.children))
	for i := range n.children {
		places[i] = uint32(at) | n.children[i].flags()
		at += n.children[i].total
	}
	out = n.append(out, places)
	for i := range n.children {
		out = n.children[i].appendFirst(out)
	}
	return out
}

// appendLast writes the nodes below a node, and then itself. It returns its place.
func (n *node) appendLast(out []byte) ([]byte, uint32) {
	places := make([]uint32, len(n.children))
	for i := range n.children {
		out, places[i] = n.children[i].appendLast(out)
	}
	at := uint32(len(out)) | n.flags()
	return n.append(out, places), at
}

func (n *node) append(out []byte, places []uint32) []byte {
	if n.prefix != "" {
		out = append(append(out, n.prefix...), 0)
	}
	if len(n.children) > 0 {
		last := n.chars[len(n.chars)-1]
		out = append(out, n.first, last)
		for i, c := range n.chars {
			if i > 0 {
				for range c - n.chars[i-1] - 1 {
					out = append(out, 0, 0, 0, 0)
				}
			}
			out = binary.BigEndian.AppendUint32(out, places[i])
		}
	}
	if len(n.values) > 0 {
		out = binary.BigEndian.AppendUint32(out, uint32(len(n.values)))
	}
	for _, v := range n.values {
		out = binary.BigEndian.AppendUint32(out, v.Priority)
		out = append(append(out, v.Value...), 0)
	}
	return out
}
