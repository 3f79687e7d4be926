package kmod_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/ulikunitz/xz"

	"dkms-go/dkms/kmod"
)

// xzOf packs data with xz(1).
func xzOf(t testing.TB, data []byte, options ...string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append([]string{"-zc"}, options...)...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz of the Debian package xz-utils: %v", err)
	}
	return out
}

// xzContents is what an xz encoder treats differently.
func xzContents() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 70_000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	words := []string{"alias=pci:v00008086d0000", "__versions\x00\x00\x00", "\x48\x89\xe5", "\xe8\x00\x00\x00\x00", "printk", "x"}
	var text []byte
	for len(text) < 200_000 {
		text = append(text, words[r.IntN(len(words))]...)
		if r.IntN(4) == 0 {
			text = append(text, byte(r.Uint32()))
		}
	}
	return map[string][]byte{
		"empty":  {},
		"byte":   {7},
		"zeros":  make([]byte, 100_000),
		"random": random,
		"text":   text,
		"mixed":  append(append(bytes.Clone(text[:100_000]), random...), text[100_000:200_000]...),
	}
}

func TestDecompressXzConfirmed(t *testing.T) {
	t.Parallel()
	for name, data := range xzContents() {
		for _, options := range [][]string{
			{"--check=crc32", "--lzma2=dict=1MiB"}, // the kernel's own
			{"-0"},
			{"-9e"},
			{"--check=none", "--lzma2=lc=0,lp=0,pb=0"},
			{"--check=crc64", "--lzma2=lc=0,lp=4,pb=4"},
			{"--check=sha256", "--lzma2=lc=4,lp=0,pb=2,dict=4KiB"},
			{"--block-size=65536"},
			{"-T2", "--block-size=30000"},
			{"--lzma2=lc=1,lp=2,pb=1,nice=5,mf=hc3"},
		} {
			packed := xzOf(t, data, options...)
			for form, file := range map[string][]byte{
				"":         packed,
				" padded":  append(bytes.Clone(packed), 0, 0, 0, 0, 0, 0, 0, 0),
				" doubled": append(append(bytes.Clone(packed), 0, 0, 0, 0), packed...),
			} {
				want := data
				if form == " doubled" {
					want = append(bytes.Clone(data), data...)
				}
				if got, err := kmod.Decompress(file); err != nil || !bytes.Equal(got, want) {
					t.Errorf("Decompress(%s, xz %v%s) = %d bytes, %v, want %d", name, options, form, len(got), err, len(want))
				}
			}
		}
	}
}

// A damaged file is an error wherever the damage is, as it is to xz(1).
func TestDecompressXzDamaged(t *testing.T) {
	t.Parallel()
	data := xzContents()["text"][:3000]
	packed := xzOf(t, data, "--check=crc32", "--lzma2=dict=1MiB")
	for i := range packed {
		damaged := bytes.Clone(packed)
		damaged[i] ^= 0x10
		if got, err := kmod.Decompress(damaged); err == nil && kmod.Detect(damaged) == kmod.Xz {
			t.Errorf("Decompress(byte %d of %d changed) = %d bytes, want an error", i, len(packed), len(got))
		}
		if i < 6 {
			continue // no xz file any more
		}
		if got, err := kmod.Decompress(packed[:i]); err == nil {
			t.Errorf("Decompress(%d of %d bytes) = %d bytes, want an error", i, len(packed), len(got))
		}
	}
	var format *kmod.FormatError
	if _, err := kmod.Decompress(append(bytes.Clone(packed), 1)); !errors.As(err, &format) || format.Part != "xz" {
		t.Errorf("Decompress(with a byte more) = %v, want a FormatError of xz", err)
	}
}

// A dictionary of 4 GiB may be claimed, but is not allocated.
func TestDecompressXzDictionary(t *testing.T) {
	data := []byte("a module, or so")
	packed := xzOf(t, data, "--check=crc32", "--threads=1")
	header := packed[12:24] // size, flags, filter, size of properties, dictionary, padding, checksum
	if header[0] != 2 || header[2] != 0x21 {
		t.Fatalf("xz writes a block header %x, and not the one that this test knows", header)
	}
	header[4] = 40 // 4 GiB - 1
	binary.LittleEndian.PutUint32(header[8:], crc32.ChecksumIEEE(header[:8]))
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if got, err := kmod.Decompress(packed); err != nil || !bytes.Equal(got, data) {
				b.Fatalf("Decompress = %q, %v, want %q", got, err, data)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1<<20 {
		t.Errorf("Decompress of %d bytes with a large dictionary allocated %d bytes", len(packed), allocated)
	}
}

// FuzzXz compares our decoder with another one.
func FuzzXz(f *testing.F) {
	for name, data := range xzContents() {
		data = data[:min(len(data), 2000)]
		f.Add(xzOf(f, data, "--check=crc32", "--lzma2=dict=1MiB"))
		if name == "text" {
			f.Add(xzOf(f, data, "--check=sha256", "--lzma2=lc=0,lp=4,pb=4", "--block-size=700"))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		// Let the fuzzer get past checksums: those of its making are right.
		file = bytes.Clone(file)
		if len(file) > 24 && file[12] == 2 {
			binary.LittleEndian.PutUint32(file[8:], crc32.ChecksumIEEE(file[6:8]))
			binary.LittleEndian.PutUint32(file[20:], crc32.ChecksumIEEE(file[12:20]))
		}
		if kmod.Detect(file) != kmod.Xz {
			return
		}
		got, err := kmod.Decompress(file)
		if err != nil {
			return
		}
		r, err := xz.ReaderConfig{DictCap: 1 << 16}.NewReader(bytes.NewReader(file))
		var want bytes.Buffer
		if err == nil {
			_, err = want.ReadFrom(r)
		}
		if errors.Is(err, errors.ErrUnsupported) {
			return
		}
		if err == nil && !bytes.Equal(got, want.Bytes()) {
			t.Errorf("Decompress = %d bytes, want %d", len(got), want.Len())
		}
	})
}
