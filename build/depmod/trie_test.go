package depmod_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"dkms-go/build/depmod"
)

const (
	trieMagic    = 0xB007F457
	trieVersion  = 0x00020001
	trieHeader   = 12
	withPrefix   = 0x80000000
	withValues   = 0x40000000
	withChildren = 0x20000000
	trieOffset   = 0x0FFFFFFF
)

// errTrie says that bytes are no binary index, or a damaged one.
var errTrie = errors.New("not a binary index")

// readTrie is all entries of a binary index, in the order of their keys and of the
// values of each. It fails for what could not have been written; it never reads
// beyond the data, nor any part of it twice.
func readTrie(data []byte) ([]depmod.Entry, error) {
	if len(data) < trieHeader || binary.BigEndian.Uint32(data) != trieMagic || binary.BigEndian.Uint32(data[4:]) != trieVersion {
		return nil, fmt.Errorf("%w: no such header", errTrie)
	}
	r := &trieReader{data: data, seen: map[uint32]bool{}}
	if err := r.node(binary.BigEndian.Uint32(data[8:]), nil); err != nil {
		return nil, err
	}
	return r.entries, nil
}

type trieReader struct {
	data    []byte
	seen    map[uint32]bool // places of nodes
	entries []depmod.Entry
}

// node reads a node and all below it. key is what leads to it.
func (r *trieReader) node(place uint32, key []byte) error {
	at := place & trieOffset
	if at < trieHeader || uint64(at) > uint64(len(r.data)) || r.seen[at] {
		return fmt.Errorf("%w: node at %d", errTrie, at)
	}
	// A node with nothing in it takes no room: only the root may be one.
	if place&^trieOffset != 0 {
		r.seen[at] = true
	} else if len(key) > 0 {
		return fmt.Errorf("%w: nothing at %d", errTrie, at)
	}
	rest := r.data[at:]
	if place&withPrefix != 0 {
		prefix, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return fmt.Errorf("%w: prefix at %d", errTrie, at)
		}
		key, rest = append(bytes.Clone(key), prefix...), after
	}
	var children []byte
	var first byte
	if place&withChildren != 0 {
		if len(rest) < 2 || rest[0] > rest[1] || rest[1] >= 128 || len(rest) < 2+4*(int(rest[1]-rest[0])+1) {
			return fmt.Errorf("%w: children at %d", errTrie, at)
		}
		first = rest[0]
		size := 4 * (int(rest[1]-rest[0]) + 1)
		children, rest = rest[2:2+size], rest[2+size:]
	}
	if place&withValues != 0 {
		if err := r.values(rest, string(key)); err != nil {
			return err
		}
	}
	for i := 0; i < len(children); i += 4 {
		child := binary.BigEndian.Uint32(children[i:])
		if child == 0 {
			continue
		}
		if err := r.node(child, append(bytes.Clone(key), first+byte(i/4))); err != nil {
			return err
		}
	}
	return nil
}

func (r *trieReader) values(rest []byte, key string) error {
	if len(rest) < 4 {
		return fmt.Errorf("%w: values of %q", errTrie, key)
	}
	count := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	for range count {
		if len(rest) < 4 {
			return fmt.Errorf("%w: values of %q", errTrie, key)
		}
		value, after, ok := bytes.Cut(rest[4:], []byte{0})
		if !ok {
			return fmt.Errorf("%w: value of %q", errTrie, key)
		}
		r.entries = append(r.entries, depmod.Entry{key, string(value), binary.BigEndian.Uint32(rest)})
		rest = after
	}
	return nil
}

// FuzzIndex writes entries in both forms and reads them again: everything is there,
// in order.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(""), uint8(0))
	f.Add([]byte("a\x01x\x00ab\x01y\x00a\x01z"), uint8(3))
	f.Add([]byte("symbol:foo\x01mod\x00symbol:fob\x01mod\x00\x01root\x00symbol:foo\x01mod"), uint8(1))
	f.Add([]byte("pci:v00001AF4d*\x01virtio\x00pci:v00001AF4\x01x\x00pci:v00001AF4d*\x01virtio_pci"), uint8(2))
	f.Add([]byte("\x7f\x01\x7f\x00\x02\x01\x00\xff\x01\xc3"), uint8(200))
	f.Fuzz(func(t *testing.T, data []byte, priorities uint8) {
		var list []depmod.Entry
		ascii := true
		for i, text := range strings.Split(string(data), "\x00") {
			key, value, _ := strings.Cut(text, "\x01")
			list = append(list, depmod.Entry{Key: key, Value: value, Priority: uint32(i) % (uint32(priorities) + 1)})
			for _, c := range []byte(key + value) {
				ascii = ascii && c < 128
			}
		}
		want := slices.Clone(list)
		slices.Reverse(want)
		slices.SortStableFunc(want, func(a, b depmod.Entry) int {
			return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Priority, b.Priority))
		})
		for _, last := range []bool{false, true} {
			trie, err := depmod.Trie(list, last)
			if !ascii {
				var char *depmod.CharacterError
				if !errors.As(err, &char) {
					t.Fatalf("Trie(%+v) = %v, want a *CharacterError", list, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("Trie(%+v) = %v", list, err)
			}
			got, err := readTrie(trie)
			if err != nil {
				t.Fatalf("readTrie(Trie(%+v)) = %v\n%q", list, err, trie)
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("readTrie(Trie(%+v, %v)) (-want +got):\n%s", list, last, diff)
			}
		}
	})
}

// TestModprobeReads has kmod's modprobe look up aliases, symbols and what is built
// in by the indexes, in either form.
func TestModprobeReads(t *testing.T) {
	t.Parallel()
	for _, version := range []depmod.KmodVersion{30, 0} {
		dir := kernelTree(t, chain(fake{}))
		modules := filepath.Join(dir, "lib/modules", kernel)
		index := scan(t, depmod.Options{Release: kernel, Dir: modules, Kmod: version})
		for _, f := range index.Files() {
			var b bytes.Buffer
			if err := f.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f.Name, ".bin") || f.Name == "modules.softdep" { // modprobe must not find its answers in the text
				if err := os.WriteFile(filepath.Join(modules, f.Name), b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, test := range []struct{ ask, want string }{
			{"pci:v00001AF4d00001000sv00001AF4", "a\n"},
			{"of:NxTyCvendor,b-two", "b_two\n"},
			{"fs-three", "c\n"},
			{"symbol:two_start", "b_two\n"},
			{"fs-ext4", "ext4\n"},
		} {
			out, err := exec.CommandContext(t.Context(), "modprobe", "-d", dir, "-S", kernel, "-R", test.ask).CombinedOutput()
			if err != nil || string(out) != test.want {
				t.Errorf("modprobe -R %s with indexes of kmod %d = %q, %v, want %q (install kmod)", test.ask, version, out, err, test.want)
			}
		}
		out, err := exec.CommandContext(t.Context(), "modprobe", "-d", dir, "-S", kernel, "-D", "--ignore-install", "--set-version="+kernel, "a").CombinedOutput()
		want := "insmod " + modules + "/extra/c.ko \ninsmod " + modules + "/kernel/drivers/b-two.ko \ninsmod " + modules + "/kernel/a.ko \n"
		if diff := gocmp.Diff(want, string(out)); err != nil || diff != "" {
			t.Errorf("modprobe -D a with indexes of kmod %d: %v (-want +got):\n%s", version, err, diff)
		}
	}
}
