package kmod_test

import (
	"testing"

	"dkms-go/dkms/kmod"
)

func BenchmarkOpen(b *testing.B) {
	plain := builds(b)[0].path("kmodtest_user")
	paths := map[string]string{"plain": plain}
	for _, c := range compressors() {
		paths[c.name] = c.pack(b, plain)
	}
	for name, path := range paths {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kmod.Open(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
