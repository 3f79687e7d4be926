package depmod_test

import (
	"os"
	"path/filepath"
	"testing"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// The benchmarks index a kernel of the machine, the one with the most files, or
// the one whose directory is in BENCH_KERNEL. They write to a scratch directory.
// scripts/bench has the figures beside those of kmod.
func benchKernel(b *testing.B) (*sysroot.Root, depmod.Options) {
	b.Helper()
	dir := os.Getenv("BENCH_KERNEL")
	if dir == "" {
		most := 0
		for _, d := range must(filepath.Glob("/lib/modules/*")) {
			if n := len(must(filepath.Glob(d + "/kernel/*/*/*/*.ko*"))); n > most {
				dir, most = d, n
			}
		}
	}
	if dir == "" {
		b.Skip("no kernel in /lib/modules has modules, and none is named by BENCH_KERNEL")
	}
	scratch := b.TempDir()
	root := must(sysroot.Open("/"))
	return root, depmod.Options{Release: filepath.Base(dir), Dir: dir, OutDir: scratch, Cache: filepath.Join(scratch, "cache")}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func index(b *testing.B, root *sysroot.Root, opt depmod.Options) {
	b.Helper()
	x, err := depmod.Scan(b.Context(), root, opt)
	if err == nil {
		err = x.Publish(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkFull(b *testing.B) {
	root, opt := benchKernel(b)
	b.ReportAllocs()
	for b.Loop() {
		must(0, os.RemoveAll(opt.Cache))
		index(b, root, opt)
	}
}

// BenchmarkChanged computes everything from what is in the cache.
func BenchmarkChanged(b *testing.B) {
	root, opt := benchKernel(b)
	index(b, root, opt)
	b.ReportAllocs()
	for b.Loop() {
		must(0, os.Remove(filepath.Join(opt.OutDir, "modules.dep")))
		index(b, root, opt)
	}
}

func BenchmarkUnchanged(b *testing.B) {
	root, opt := benchKernel(b)
	index(b, root, opt)
	b.ReportAllocs()
	for b.Loop() {
		index(b, root, opt)
	}
}
