package kmod_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kmod"
)

func indexOf(t testing.TB, r *kmod.Reader, path string) (*kmod.Object, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return r.Index(f)
}

// One Reader for large and small modules, of all compressions, good and bad, says
// of each what Open says.
func TestReaderReused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	for name, e := range flavours() {
		small := writeFile(t, dir, name+".ko", e.bytes(t))
		e.sections = append(e.sections, elfSection{".large", bytes.Repeat([]byte("0123456789abcdef"), 40_000)})
		large := writeFile(t, dir, name+" large.ko", e.bytes(t))
		paths = append(paths, large, small)
		for _, path := range []string{large, small} {
			if path == large && (!e.is64() || e.order != binary.LittleEndian) {
				continue // one is enough to be packed
			}
			for _, c := range compressors() {
				packed := c.pack(t, path)
				cut := writeFile(t, dir, filepath.Base(packed)+".cut", readFile(t, packed)[:100])
				paths = append(paths, packed, cut)
			}
		}
	}
	var r kmod.Reader
	for range 2 {
		for _, path := range paths {
			want, wantErr := kmod.Open(path)
			got, err := indexOf(t, &r, path)
			if (err == nil) != (wantErr == nil) {
				t.Errorf("Index(%q) = %v, want %v", path, err, wantErr)
			}
			if err != nil || wantErr != nil {
				continue
			}
			for what, d := range map[string]string{
				"Name": cmp.Diff(want.Name(), got.Name()), "Modinfo": cmp.Diff(want.Modinfo(), got.Modinfo()),
				"Exports": cmp.Diff(brief(want.Exports()), got.Exports()), "Needs": cmp.Diff(want.Needs(), got.Needs()),
			} {
				if d != "" {
					t.Errorf("Index(%q): %s is not what Open says (-want +got):\n%s", path, what, d)
				}
			}
		}
	}
}

func TestReaderBombs(t *testing.T) {
	t.Parallel()
	zeros := writeFile(t, t.TempDir(), "zeros.ko", nil)
	if err := os.Truncate(zeros, 64<<20); err != nil {
		t.Fatal(err)
	}
	var r kmod.Reader
	for _, c := range []compressor{
		{"xz", kmod.Xz, []string{"xz", "-0"}},
		{"zstd", kmod.Zstd, []string{"zstd", "-q", "-1"}},
		{"zstd without size", kmod.Zstd, []string{"zstd", "-q", "-1", "--no-content-size"}},
		{"gzip", kmod.Gzip, []string{"gzip", "-9"}},
	} {
		if o, err := indexOf(t, &r, c.pack(t, zeros)); o != nil || !errors.Is(err, kmod.ErrTooLarge) {
			t.Errorf("%s: Index = %v, %v; want ErrTooLarge", c.name, o, err)
		}
	}
}

// A section that claims to have 4 GiB is found out, and not allocated.
func TestReaderHugeSection(t *testing.T) {
	for name, e := range flavours() {
		module := e.bytes(t)
		table := int(e.order.Uint32(module[32:])) // e_shoff
		entry, size, wide := 40, 20, false
		if e.is64() {
			table, entry, size, wide = int(e.order.Uint64(module[40:])), 64, 32, true
		}
		for at := table + entry; at+entry <= len(module); at += entry {
			damaged := bytes.Clone(module)
			if wide {
				e.order.PutUint64(damaged[at+size:], 1<<32)
			} else {
				e.order.PutUint32(damaged[at+size:], 1<<32-1)
			}
			path := writeFile(t, t.TempDir(), "huge.ko", damaged)
			var r kmod.Reader
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			o, err := indexOf(t, &r, path)
			runtime.ReadMemStats(&after)
			var format *kmod.FormatError
			if err != nil && !errors.As(err, &format) || after.TotalAlloc-before.TotalAlloc > 16<<20 {
				t.Errorf("%s, section %d: Index = %v, %v with %d bytes; want an object or a FormatError, with less",
					name, (at-table)/entry, o, err, after.TotalAlloc-before.TotalAlloc)
			}
		}
	}
}

// brief leaves out what indexes do not hold.
func brief(symbols []kmod.Symbol) []kmod.Symbol {
	symbols = slices.Clone(symbols)
	for i := range symbols {
		symbols[i].GPL, symbols[i].Namespace = false, ""
	}
	return symbols
}
