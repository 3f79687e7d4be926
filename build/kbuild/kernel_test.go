package kbuild_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/kbuild"
	"dkms-go/dkms/kernel"
)

// realSite is a site with the module of testdata/module, the real make and the
// headers of an installed kernel.
func realSite(t *testing.T, headers string) *site {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir("testdata/module", func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[strings.TrimPrefix(p, "testdata/module/")] = readFile(t, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, "hello", files)
	s.job.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	s.job.Jobs = "2"
	s.job.Now = time.Now
	s.job.Kernel = findKernel(t, s.job.Root, kernel.Options{InstallTree: "/lib/modules"}, filepath.Base(filepath.Dir(headers)))
	s.readConf(t)
	return s
}

// installedHeaders fails the test when there are none.
func installedHeaders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("/lib/modules/*/build/Makefile")
	if err != nil || len(found) == 0 {
		t.Fatal("no kernel headers at /lib/modules/*/build: install linux-headers-amd64 (Debian) or your kernel's headers")
	}
	var headers []string
	for _, makefile := range found {
		headers = append(headers, filepath.Dir(makefile))
	}
	return headers
}

func modinfo(t *testing.T, field, file string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "modinfo", "-F", field, file).Output()
	if err != nil {
		t.Fatalf("modinfo -F %s %s: %v (install kmod)", field, file, err)
	}
	return strings.TrimSpace(string(out))
}

// A real module is built, stripped and compressed for every kernel whose
// headers are here; modinfo must accept the result.
func TestRealKernels(t *testing.T) {
	t.Parallel()
	for _, headers := range installedHeaders(t) {
		t.Run(filepath.Base(filepath.Dir(headers)), func(t *testing.T) {
			t.Parallel()
			s := realSite(t, headers)
			tree, err := kbuild.Build(t.Context(), s.job)
			if err != nil {
				t.Fatalf("Build = %v\n%s", err, s.log(t))
			}
			file := tree.Products()[0].Path
			if got, want := strings.Fields(modinfo(t, "vermagic", file))[0], s.job.Kernel.Release; got != want {
				t.Errorf("vermagic = %q, want %q", got, want)
			}
			want := "# command: make -j2 KERNELRELEASE=" + s.job.Kernel.Release + " -C " + headers + " M=" + s.job.BuildDir + "\n"
			if !strings.Contains(s.log(t), want) {
				t.Errorf("log without %q:\n%s", want, s.log(t))
			}
			if tree.Symvers() == "" {
				t.Error("no Module.symvers")
			}
			before := size(t, file)
			if err := tree.Strip(t.Context(), file); err != nil {
				t.Fatal(err)
			}
			if after := size(t, file); after >= before || after == 0 {
				t.Errorf("Strip made %d bytes of %d", after, before)
			}
			description := modinfo(t, "description", file)
			packed, err := tree.Compress(t.Context(), file, "xz", "--check=crc32  --lzma2=dict=1MiB")
			if err != nil || packed != file+".xz" {
				t.Fatalf("Compress = %q, %v", packed, err)
			}
			if got := modinfo(t, "description", packed); got != description || got != "does nothing" {
				t.Errorf("description = %q, before compression %q", got, description)
			}
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("%s is still there: %v", file, err)
			}
		})
	}
}

// A module that does not compile gives the compiler's words, and leaves its log.
func TestRealFailure(t *testing.T) {
	t.Parallel()
	s := realSite(t, installedHeaders(t)[0])
	s.write(t, "src/hello-1.0/dkms.conf", "PACKAGE_NAME=hello\nPACKAGE_VERSION=1.0\nDEST_MODULE_LOCATION=/updates\n")
	s.readConf(t)
	_, err := kbuild.Build(t.Context(), s.job)
	var failed *kbuild.MakeError
	if !errors.As(err, &failed) {
		t.Fatalf("Build = %v, want a *MakeError", err)
	}
	first, _, _ := strings.Cut(failed.Tail, "\n")
	if !strings.Contains(first, "hello.c:6:") || !strings.Contains(first, "GREETING") {
		t.Errorf("Tail begins with %q, want the compiler's error about GREETING in hello.c line 6", first)
	}
	if !strings.Contains(s.log(t), "\n# exit code: 2\n") {
		t.Errorf("log without exit code 2:\n%s", s.log(t))
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Every format must be one that modinfo, and so the kernel's tools, can read.
func TestCompress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ compression, options, check string }{
		{"gz", "", "gzip -dc"},
		{"gz", " -9  -n ", "gzip -dc"},
		{"xz", "--check=crc32 --lzma2=dict=1MiB", "xz -dc"},
		{"zst", "-q --rm -T0", "zstd -dc"},
	} {
		s := newSite(t, "packed", simple("packed"))
		tree, err := kbuild.Build(t.Context(), s.job)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, "tree/packed/1.0/build/hello.ko", strings.Repeat("module", 1000))
		file := s.job.BuildDir + "/hello.ko"
		packed, err := tree.Compress(t.Context(), file, test.compression, test.options)
		if want := file + "." + test.compression; err != nil || packed != want {
			t.Errorf("Compress(%s) = %q, %v, want %q", test.compression, packed, err, want)
			continue
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", test.check+` "$1"`, "sh", packed).Output()
		if diff := cmp.Diff(strings.Repeat("module", 1000), string(out)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.check, err, diff)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
}

// After a failure the module is still there, uncompressed.
func TestCompressFails(t *testing.T) {
	t.Parallel()
	s := newSite(t, "unpacked", simple("unpacked"))
	tree, err := kbuild.Build(t.Context(), s.job)
	if err != nil {
		t.Fatal(err)
	}
	file := s.job.BuildDir + "/hello.ko"
	for _, test := range []struct{ compression, options string }{{"xz", "--no-such-option"}, {"bz2", ""}} {
		if got, err := tree.Compress(t.Context(), file, test.compression, test.options); got != file || err == nil {
			t.Errorf("Compress(%s %s) = %q, %v, want %q and an error", test.compression, test.options, got, err, file)
		}
	}
	if got, err := tree.Compress(t.Context(), file, "", "x"); got != file || err != nil {
		t.Errorf("Compress without compression = %q, %v, want %q", got, err, file)
	}
	size(t, file)
}

// llvm-strip is for CC=clang, exactly.
func TestStripProgram(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`CONFIG_CC_VERSION_TEXT="cat (Fake) 1.0"`: "strip -g",
		"CONFIG_CC_IS_CLANG=y":                    "llvm-strip -g",
	} {
		files := simple("stripped")
		files["headers/include/config/auto.conf"] = config + "\n"
		s := newSite(t, "stripped", files)
		for _, program := range []string{"strip", "llvm-strip"} {
			s.write(t, "bin/"+program, "#!/bin/sh\necho \"${0##*/} $*\" >> \"$2\"\n")
		}
		tree, err := kbuild.Build(t.Context(), s.job)
		if err != nil {
			t.Fatal(err)
		}
		file := tree.Products()[0].Path
		if err := tree.Strip(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(readFile(t, file)); got != want+" "+file {
			t.Errorf("with %s: ran %q, want %q", config, got, want+" "+file)
		}
	}
}
