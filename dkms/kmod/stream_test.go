package kmod_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"dkms-go/dkms/kmod"
)

// packers are commands that compress stdin's file to stdout.
func packers() map[string][]string {
	return map[string][]string{
		"gzip": {"gzip", "-c"}, "xz": {"xz", "-c"}, "zstd": {"zstd", "-q", "-c"}, "bzip2": {"bzip2", "-c"},
		"xz in blocks": {"xz", "-c", "--block-size=50000"}, "zstd without size": {"zstd", "-q", "-c", "--no-content-size"},
		"plain": {"cat"},
	}
}

// sample is half noise and half silence, larger than any buffer on its way.
func sample() []byte {
	data := make([]byte, 400_000)
	noise := rand.New(rand.NewPCG(1, 2))
	for n := range len(data) / 2 {
		data[n] = byte(noise.Uint32())
	}
	return data
}

func TestNewReader(t *testing.T) {
	t.Parallel()
	want := sample()
	file := writeFile(t, t.TempDir(), "sample", want)
	for name, argv := range packers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packed := tool(t, argv[0], append(argv, file)...)
			got, err := unpack(packed)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("NewReader gives %d bytes, %v; want the %d bytes that %s packed", len(got), err, len(want), argv[0])
			}
			if name == "plain" {
				return
			}
			for n := 6; n < len(packed); n += 997 {
				if got, err := unpack(packed[:n]); err == nil {
					t.Errorf("of the first %d bytes of %d, NewReader gives %d bytes, want an error", n, len(packed), len(got))
				}
			}
			packed[len(packed)/2] ^= 1
			if _, err := unpack(packed); err == nil {
				t.Error("NewReader does not see a bit that is the other way round")
			}
		})
	}
}

func unpack(packed []byte) ([]byte, error) {
	r, err := kmod.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func TestNewReaderBombs(t *testing.T) {
	t.Parallel()
	zeros := writeFile(t, t.TempDir(), "zeros", nil)
	if err := os.Truncate(zeros, 128<<20); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{"xz", "-0", "-c"}, {"zstd", "-q", "-c"}, {"bzip2", "-c"}} {
		t.Run(argv[0], func(t *testing.T) {
			t.Parallel()
			r, err := kmod.NewReader(bytes.NewReader(tool(t, argv[0], append(argv, zeros)...)))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); !errors.Is(err, kmod.ErrTooLarge) {
				t.Errorf("reading gives %d bytes, %v; want ErrTooLarge", n, err)
			}
		})
	}
}

func TestNewWriter(t *testing.T) {
	t.Parallel()
	want := sample()
	for c, argv := range map[kmod.Compression][]string{kmod.None: {"cat"}, kmod.Gzip: {"gzip", "-dc"}, kmod.Zstd: {"zstd", "-qdc"}} {
		first, second := pack(t, c, want), pack(t, c, want)
		if !bytes.Equal(first, second) {
			t.Errorf("NewWriter(%q) gives different bytes the second time", c)
		}
		file := filepath.Join(t.TempDir(), "sample"+c.Suffix())
		if err := os.WriteFile(file, first, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := tool(t, argv[0], append(argv, file)...); !bytes.Equal(got, want) {
			t.Errorf("NewWriter(%q): %s gives %d bytes, want the %d written", c, argv[0], len(got), len(want))
		}
	}
	if w, err := kmod.NewWriter(io.Discard, kmod.Xz); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("NewWriter(xz) = %v, %v, want ErrUnsupported", w, err)
	}
}

func pack(t *testing.T, c kmod.Compression, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := kmod.NewWriter(&b, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
