// Rpmtrigger gives an .rpm transaction file triggers (rpm-scriptlets(7)), which nfpm cannot: rpm runs the script once at
// the end of every transaction that installs, and of every one that removes, a file below the prefix.
//
//	rpmtrigger PREFIX PRIORITY SCRIPT < PACKAGE > PACKAGE
//
// SCRIPT is a file; what is in it is run by /bin/sh. The package must have no such triggers and no signature. The same input
// gives the same bytes.
//
// # Format
//
// A package is a lead of 96 bytes, a header with digests, filled up to a multiple of eight, the main header and the payload.
// A header is the magic 8eade801, four zeros, the number of its tags, the size of its store; for each tag 16 bytes, which are
// its number, type, place in the store and count; and the store. The first tag, the region, spans all others: its value, at
// the end of the store, is an entry once more, whose place is the size of all entries, negative. Numbers are big endian.
// (docs/manual/format.md of rpm; the tags of triggers as rpmbuild 4.18 writes them.)
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	leadSize  = 96
	introSize = 16
	entrySize = 16

	typeInt32  = 4
	typeString = 6
	typeBinary = 7
	typeArray  = 8

	tagRegion = 63

	// Of the header with digests
	sigSize   = 1000
	sigSHA256 = 273

	// Of the main header
	tagScripts    = 5076
	tagPrograms   = 5077
	tagNames      = 5079
	tagIndex      = 5080
	tagVersions   = 5081
	tagFlags      = 5082
	tagPriorities = 5085

	triggerIn     = 1 << 16 // RPMSENSE_TRIGGERIN
	triggerPostun = 1 << 18 // RPMSENSE_TRIGGERPOSTUN
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rpmtrigger:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("usage: rpmtrigger PREFIX PRIORITY SCRIPT < PACKAGE > PACKAGE")
	}
	priority, err := strconv.ParseUint(args[1], 10, 31)
	if err != nil {
		return err
	}
	script, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	pkg, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if pkg, err = withTriggers(pkg, args[0], uint32(priority), strings.TrimSuffix(string(script), "\n")); err != nil {
		return err
	}
	_, err = out.Write(pkg)
	return err
}

// withTriggers returns the package with the script as a trigger for what comes, and as one for what goes.
func withTriggers(pkg []byte, prefix string, priority uint32, script string) ([]byte, error) {
	if len(pkg) < leadSize {
		return nil, errors.New("this is no package")
	}
	digests, rest, err := readHeader(pkg[leadSize:])
	if err != nil {
		return nil, err
	}
	fill := -(len(pkg) - len(rest)) & 7
	if len(rest) < fill {
		return nil, errors.New("the package ends too early")
	}
	begin := pkg[:len(pkg)-len(rest)+fill]
	main, payload, err := readHeader(rest[fill:])
	if err != nil {
		return nil, err
	}
	if main.has(tagScripts) {
		return nil, errors.New("the package has such triggers")
	}
	main.entries = append(main.entries,
		array(tagScripts, script, script), array(tagPrograms, "/bin/sh", "/bin/sh"), array(tagNames, prefix, prefix),
		numbers(tagIndex, 0, 1), array(tagVersions, "", ""), numbers(tagFlags, triggerIn, triggerPostun), numbers(tagPriorities, priority, priority))
	slices.SortFunc(main.entries, func(a, b entry) int { return a.tag - b.tag })
	header := main.bytes()

	begin = bytes.Clone(begin)
	for _, e := range digests.entries {
		at := begin[leadSize+digests.store+e.offset:]
		switch e.tag {
		case sigSize:
			binary.BigEndian.PutUint32(at, uint32(len(header)+len(payload)))
		case sigSHA256:
			sum := sha256.Sum256(header)
			hex.Encode(at, sum[:])
		case tagRegion - 1, 1007: // of signatures; the size of the unpacked payload
		default:
			return nil, fmt.Errorf("the package has a signature, or a digest that is not known: tag %d", e.tag)
		}
	}
	return bytes.Join([][]byte{begin, header, payload}, nil), nil
}

// header is what was read of one.
type header struct {
	entries []entry // without the region
	store   int     // where the store begins, from the beginning of the header
}

type entry struct {
	tag, kind, offset, count int
	value                    []byte
}

func (h *header) has(tag int) bool {
	for _, e := range h.entries {
		if e.tag == tag {
			return true
		}
	}
	return false
}

// readHeader reads the header that data begins with, and returns what follows it.
func readHeader(data []byte) (*header, []byte, error) {
	if len(data) < introSize || !bytes.Equal(data[:4], []byte{0x8e, 0xad, 0xe8, 1}) {
		return nil, nil, errors.New("there is no header where one should be")
	}
	n, size := number(data[8:]), number(data[12:])
	h := &header{store: introSize + n*entrySize}
	if n < 1 || n > 0xffff || size > len(data)-h.store {
		return nil, nil, errors.New("a header is damaged")
	}
	store := data[h.store : h.store+size]
	for i := range n {
		d := data[introSize+i*entrySize:]
		e := entry{tag: number(d), kind: number(d[4:]), offset: number(d[8:]), count: number(d[12:])}
		if e.offset > len(store) {
			return nil, nil, errors.New("a header is damaged")
		}
		var err error
		if e.value, err = value(e, store[e.offset:]); err != nil {
			return nil, nil, err
		}
		if e.tag != tagRegion {
			h.entries = append(h.entries, e)
		}
	}
	return h, data[h.store+size:], nil
}

// value returns the bytes of a value that the store has at this place.
func value(e entry, store []byte) ([]byte, error) {
	size := 0
	switch e.kind {
	case 1, 2, typeBinary:
		size = e.count
	case 3:
		size = 2 * e.count
	case typeInt32:
		size = 4 * e.count
	case 5:
		size = 8 * e.count
	case typeString, typeArray, 9:
		for range e.count {
			end := bytes.IndexByte(store[size:], 0)
			if end < 0 {
				return nil, errors.New("a header is damaged")
			}
			size += end + 1
		}
	default:
		return nil, fmt.Errorf("tag %d has a type that is not known", e.tag)
	}
	if size > len(store) {
		return nil, errors.New("a header is damaged")
	}
	return store[:size], nil
}

// bytes returns a header with these entries and a region around them.
func (h *header) bytes() []byte {
	var index, store bytes.Buffer
	for _, e := range h.entries {
		if align := map[int]int{3: 2, typeInt32: 4, 5: 8}[e.kind]; align > 0 {
			store.Write(make([]byte, -store.Len()&(align-1)))
		}
		put(&index, e.tag, e.kind, store.Len(), e.count)
		store.Write(e.value)
	}
	var region bytes.Buffer
	put(&region, tagRegion, typeBinary, store.Len(), entrySize)
	all := region.Len() + index.Len()
	put(&store, tagRegion, typeBinary, -all, entrySize)

	out := bytes.NewBuffer([]byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0})
	put(out, all/entrySize, store.Len())
	out.Write(region.Bytes())
	out.Write(index.Bytes())
	out.Write(store.Bytes())
	return out.Bytes()
}

func array(tag int, texts ...string) entry {
	return entry{tag: tag, kind: typeArray, count: len(texts), value: []byte(strings.Join(texts, "\x00") + "\x00")}
}

func numbers(tag int, ns ...uint32) entry {
	e := entry{tag: tag, kind: typeInt32, count: len(ns)}
	for _, n := range ns {
		e.value = binary.BigEndian.AppendUint32(e.value, n)
	}
	return e
}

func number(b []byte) int { return int(binary.BigEndian.Uint32(b)) }

func put(b *bytes.Buffer, ns ...int) {
	for _, n := range ns {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(int32(n))))
	}
}
