package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkStatus measures "dkms status" of modules × kernels, all installed, from argument list to last line. It should grow
// with their number, no faster.
func BenchmarkStatus(b *testing.B) {
	for _, size := range []struct{ modules, kernels int }{{1, 10}, {10, 10}, {100, 10}} {
		b.Run(fmt.Sprintf("%dx%d", size.modules, size.kernels), func(b *testing.B) {
			dir := b.TempDir()
			for m := range size.modules {
				installedModule(b, dir, fmt.Sprintf("mod%d", m), size.kernels)
			}
			args := []string{"status", "--dkmstree", dir + "/var", "--sourcetree", dir + "/src", "--installtree", dir + "/lib"}
			var out bytes.Buffer
			if run(b.Context(), args, &out, io.Discard); strings.Count(out.String(), ": installed\n") != size.modules*size.kernels {
				b.Fatalf("status printed\n%s", out.String())
			}
			for b.Loop() {
				run(context.Background(), args, io.Discard, io.Discard)
			}
		})
	}
}

// installedModule fabricates a module that is installed on kernels of its own making.
func installedModule(b *testing.B, dir, name string, kernels int) {
	b.Helper()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.Symlink(target, name); err != nil {
			b.Fatal(err)
		}
	}
	src, reg := dir+"/src/"+name+"-1.0", dir+"/var/"+name
	write(src+"/dkms.conf", fmt.Sprintf("PACKAGE_NAME=%q\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[0]=%q\n"+
		"DEST_MODULE_LOCATION[0]=/kernel/misc\nAUTOINSTALL=yes\n", name, name))
	text := strings.Repeat(name, 3000)
	for k := range kernels {
		kernel := fmt.Sprintf("6.1.0-%d-amd64", k)
		write(reg+"/1.0/"+kernel+"/x86_64/module/"+name+".ko", text)
		write(dir+"/lib/"+kernel+"/updates/dkms/"+name+".ko", text)
		link("1.0/"+kernel+"/x86_64", reg+"/kernel-"+kernel+"-x86_64")
	}
	link(src, reg+"/1.0/source")
}

// BenchmarkManyRecords measures the installation and removal of one package with many kernel objects. Both should grow with
// their number, no faster.
func BenchmarkManyRecords(b *testing.B) {
	for _, records := range []int{75, 150, 300, 600} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			dir := b.TempDir()
			manyRecords(b, dir, records)
			args := []string{"--dkmstree", dir + "/var", "--sourcetree", dir + "/src", "--installtree", dir + "/lib", "--no-depmod", "-k", "6.1.0"}
			for b.Loop() {
				for _, verb := range []string{"install", "uninstall"} {
					var out bytes.Buffer
					if status := run(context.Background(), append([]string{verb, "big/1"}, args...), &out, &out); status != 0 {
						b.Fatalf("dkms %s: exit status %d\n%s", verb, status, out.String())
					}
				}
			}
		})
	}
}

// manyRecords fabricates a package that is built for a kernel.
func manyRecords(b *testing.B, dir string, records int) {
	b.Helper()
	var text strings.Builder
	text.WriteString("PACKAGE_NAME=big\nPACKAGE_VERSION=1\n")
	module := dir + "/var/big/1/6.1.0/x86_64/module"
	for _, d := range []string{module, dir + "/src/big-1", dir + "/lib/6.1.0"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	for n := range records {
		fmt.Fprintf(&text, "BUILT_MODULE_NAME[%d]=m%d\nDEST_MODULE_LOCATION[%d]=/kernel/misc\n", n, n, n)
		if err := os.WriteFile(fmt.Sprintf("%s/m%d.ko", module, n), []byte("module"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/src/big-1/dkms.conf", []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Symlink(dir+"/src/big-1", dir+"/var/big/1/source"); err != nil {
		b.Fatal(err)
	}
}
