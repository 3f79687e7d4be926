package kmod

import (
	"bytes"
	"path/filepath"
	"strings"
)

// Compression says how a module file is packed. Its text is what follows the
// last dot of the file's name; the zero value is a plain .ko.
type Compression string

// The compressions that the kernel's own build knows (CONFIG_MODULE_COMPRESS_*).
const (
	None Compression = ""
	Gzip Compression = "gz"
	Xz   Compression = "xz"
	Zstd Compression = "zst"
)

// Suffix is what the compression adds to a file's name: "", ".gz", ".xz" or ".zst".
func (c Compression) Suffix() string {
	if c == None {
		return ""
	}
	return "." + string(c)
}

// CompressionOf tells from a path's name how the module is packed. A name that
// is not a module's (see [IsModule]) gives None, so "modules.dep.xz" does too.
func CompressionOf(path string) Compression {
	c, _ := extension(path)
	return c
}

// IsModule says whether a path is named like a module: something, then .ko,
// .ko.gz, .ko.xz or .ko.zst (path_ends_with_kmod_ext in kmod's shared/util.c).
func IsModule(path string) bool {
	_, ok := extension(path)
	return ok
}

func extension(path string) (c Compression, ok bool) {
	name := filepath.Base(path)
	for _, c := range []Compression{None, Gzip, Xz, Zstd} {
		if ext := ".ko" + c.Suffix(); len(name) > len(ext) && strings.HasSuffix(name, ext) {
			return c, true
		}
	}
	return None, false
}

// magicSize is the length of the longest magic that Detect looks for.
const magicSize = 6

// Detect tells from the first bytes of a file, six of them are enough, how it is
// packed. Anything unknown is None.
func Detect(start []byte) Compression {
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return Gzip
	case bytes.HasPrefix(start, []byte("\xfd7zXZ\x00")):
		return Xz
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		return Zstd
	}
	return None
}
