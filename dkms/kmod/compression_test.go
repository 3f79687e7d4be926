package kmod_test

import (
	"errors"
	"os"
	"testing"

	"dkms-go/dkms/kmod"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path   string
		module bool
		want   kmod.Compression
		name   string
	}{
		{"/lib/modules/6.1/kernel/fs/ext4/ext4.ko", true, kmod.None, "ext4"},
		{"snd-hda-intel.ko.gz", true, kmod.Gzip, "snd_hda_intel"},
		{"./a-b_c.ko.xz", true, kmod.Xz, "a_b_c"},
		{"x.ko.zst", true, kmod.Zstd, "x"},
		{"dir.ko.xz/plain.ko", true, kmod.None, "plain"},
		{"two.dots.ko.xz", true, kmod.Xz, "two"},
		{"modules.dep.xz", false, kmod.None, "modules"},
		{"x.ko.bz2", false, kmod.None, "x"},
		{"x.ko.debug", false, kmod.None, "x"},
		{"x.xz", false, kmod.None, "x"},
		{"x.KO", false, kmod.None, "x"},
		{".ko", false, kmod.None, ""},
		{".ko.xz", false, kmod.None, ""},
		{"name-only", false, kmod.None, "name_only"},
	} {
		if got := kmod.IsModule(c.path); got != c.module {
			t.Errorf("IsModule(%q) = %v, want %v", c.path, got, c.module)
		}
		if got := kmod.CompressionOf(c.path); got != c.want {
			t.Errorf("CompressionOf(%q) = %q, want %q", c.path, got, c.want)
		}
		if got := kmod.ModuleName(c.path); got != c.name {
			t.Errorf("ModuleName(%q) = %q, want %q", c.path, got, c.name)
		}
	}
}

func TestSuffix(t *testing.T) {
	t.Parallel()
	for c, want := range map[kmod.Compression]string{kmod.None: "", kmod.Gzip: ".gz", kmod.Xz: ".xz", kmod.Zstd: ".zst"} {
		if got := c.Suffix(); got != want {
			t.Errorf("%q.Suffix() = %q, want %q", c, got, want)
		}
	}
}

func TestDetectShort(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"", "\x1f", "\xfd7zXZ", "\x28\xb5\x2f", "\x7fELF\x02\x01"} {
		if got := kmod.Detect([]byte(start)); got != kmod.None {
			t.Errorf("Detect(%q) = %q, want none", start, got)
		}
	}
}

// A few kilobytes must not become gigabytes.
func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := writeFile(t, t.TempDir(), "zeros.ko", nil)
	if err := os.Truncate(zeros, 256<<20); err != nil {
		t.Fatal(err)
	}
	for _, c := range []compressor{
		{"xz", kmod.Xz, []string{"xz", "-0"}},
		{"zstd", kmod.Zstd, []string{"zstd", "-q", "-1"}},
		{"zstd without size", kmod.Zstd, []string{"zstd", "-q", "-1", "--no-content-size"}},
		{"gzip", kmod.Gzip, []string{"gzip", "-9"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := c.pack(t, zeros)
			if o, err := kmod.Open(path); o != nil || !errors.Is(err, kmod.ErrTooLarge) {
				t.Errorf("Open = %v, %v; want ErrTooLarge", o, err)
			}
		})
	}
}

func TestCutCompressed(t *testing.T) {
	t.Parallel()
	module := writeFile(t, t.TempDir(), "test.ko", newELF64().bytes(t))
	for _, c := range compressors() {
		packed := readFile(t, c.pack(t, module))
		for i := 6; i < len(packed); i++ {
			if got, err := kmod.Decompress(packed[:i]); got != nil || err == nil {
				t.Errorf("%s: Decompress of the first %d bytes of %d = %d bytes, want an error", c.name, i, len(packed), len(got))
			}
		}
	}
}
