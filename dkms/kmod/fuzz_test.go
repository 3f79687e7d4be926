package kmod_test

import (
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"dkms-go/dkms/kmod"
)

// FuzzRead checks that any bytes give an object or an error, and that what an
// object shows can be looked at.
func FuzzRead(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, sig, err := kmod.SplitSignature(data)
		if !bytes.HasPrefix(data, payload) || sig != nil && err != nil || sig != nil && sig.PayloadSize != int64(len(payload)) {
			t.Errorf("SplitSignature = %d bytes, %+v, %v", len(payload), sig, err)
		}
		o, err := kmod.Parse(data)
		if (o == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v; want one of them", o, err)
		}
		if o == nil {
			return
		}
		for _, s := range append(o.Exports(), o.Needs()...) {
			if bytes.IndexByte([]byte(s.Name+s.Namespace), 0) >= 0 {
				t.Errorf("symbol %+v contains NUL", s)
			}
		}
		o.Info()
		o.Version()
		o.Depends()
	})
}

func fuzzSeeds(f *testing.F) [][]byte {
	seeds := [][]byte{{}, []byte("\x7fELF"), []byte(kmod.SignatureMagic), newELF64().bytes(f)}
	for _, e := range flavours() {
		module := e.bytes(f)
		seeds = append(seeds, module,
			append(bytes.Clone(module), "Somebody\x01\xfesig"+trailer(1, 4, 1, 8, 2, 3)...),
			append(bytes.Clone(module), "0\x030\x01\x00"+trailer(0, 0, 2, 0, 0, 5)...))
	}
	e := flavours()["32 big"]
	e.sections = append(e.sections, elfSection{"__version_ext_crcs", e.word(5)}, elfSection{"__version_ext_names", []byte("a_long_name\x00\x00")},
		elfSection{".note.gnu.build-id", append(append(append(e.word(4), e.word(2)...), e.word(3)...), "GNU\x00\xab\xcd"...)})
	seeds = append(seeds, e.bytes(f))
	return append(seeds, packedSeeds(f, newELF64().bytes(f))...)
}

func packedSeeds(f *testing.F, module []byte) [][]byte {
	var gz, x bytes.Buffer
	g := gzip.NewWriter(&gz)
	if _, err := g.Write(module); err != nil {
		f.Fatal(err)
	}
	if err := g.Close(); err != nil {
		f.Fatal(err)
	}
	w, err := xz.WriterConfig{DictCap: 1 << 16, CheckSum: xz.CRC32}.NewWriter(&x)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write(module); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	return [][]byte{gz.Bytes(), x.Bytes(), z.EncodeAll(module, nil)}
}
