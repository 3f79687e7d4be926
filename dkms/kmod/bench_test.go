package kmod_test

import (
	"testing"

	"dkms-go/dkms/kmod"
)

func BenchmarkOpen(b *testing.B) {
	plain := builds(b)[0].path("kmodtest_user")
	benchmarkOpen(b, "plain", plain)
	for _, c := range compressors() {
		benchmarkOpen(b, c.name, c.pack(b, plain))
	}
}

func benchmarkOpen(b *testing.B, name, path string) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := kmod.Open(path); err != nil {
				b.Fatal(err)
			}
		}
	})
}
