package kernel_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kernel"
	"dkms-go/dkms/kmod"
)

// upstreamCompression runs the same three searches as set_module_suffix.
const upstreamCompression = `suffix=
for s in gz xz zst; do
	find "$1/" -name "*.ko.$s" 2>/dev/null | grep -q . && suffix=$s
done
echo $suffix`

func TestCompression(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"no kernel":         nil,
		"empty":             {"kernel/"},
		"plain":             {"kernel/fs/a.ko", "modules.dep"},
		"gz":                {"kernel/a.ko.gz", "kernel/b.ko"},
		"xz over gz":        {"kernel/a.ko.gz", "updates/dkms/b.ko.xz", "x.ko"},
		"zst over all":      {"kernel/a.ko.gz", "kernel/b.ko.xz", "extra/c.ko.zst"},
		"directory counts":  {"kernel/a.ko.xz/"},
		"link counts":       {"kernel/a.ko.xz=/nowhere"},
		"hidden counts":     {"kernel/.ko.xz", "kernel/.hidden/.b.ko.zst"},
		"dots":              {"kernel/a.b.ko.gz", "kernel/a.ko.xz.bak", "kernel/a.ko.xz.zst", "kernel/ko.zst", "kernel/xko.zst"},
		"unknown":           {"kernel/a.ko.bz2", "kernel/a.ko."},
		"not through links": {"kernel/b.ko", "build=/elsewhere", "/elsewhere/a.ko.zst"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layoutFiles := map[string]string{}
			for _, file := range files {
				file, target, link := strings.Cut(file, "=")
				content := ""
				if link {
					content = "-> " + target
				}
				if !filepath.IsAbs(file) {
					file = "lib/modules/6.1/" + file
				}
				layoutFiles[file] = content
			}
			root := layout(t, layoutFiles)
			k := find(t, root, kernel.Options{InstallTree: "/lib/modules"}, "6.1")
			want := kmod.Compression(bash(t, upstreamCompression, root.Path(k.ModuleDir)))
			if got, err := k.Compression(); got != want || err != nil {
				t.Errorf("Compression of %q = %q, %v, want %q as find(1) says", files, got, err, want)
			}
		})
	}
}

func TestFindModuleFiles(t *testing.T) {
	t.Parallel()
	root := layout(t, map[string]string{
		"lib":                                 "-> usr/lib",
		"usr/lib/modules/6.1/kernel/a.ko":     "",
		"usr/lib/modules/6.1/updates/a.ko.xz": "",
		"usr/lib/modules/6.1/extra/a.ko.gz":   "",
		"usr/lib/modules/6.1/extra/b.ko":      "-> /usr/lib/modules/6.1/kernel/a.ko",
		"usr/lib/modules/6.1/x/b.ko/":         "",
		"usr/lib/modules/6.1/kernel/bb.ko":    "",
		"usr/lib/modules/6.1/c.ko.xz":         "",
		"usr/lib/modules/6.1/build":           "-> /usr/src/linux",
		"usr/src/linux/a.ko":                  "",
	})
	k := find(t, root, kernel.Options{InstallTree: "/lib/modules"}, "6.1")
	got, err := k.FindModuleFiles([]string{"a", "b", "c", "d"}, "xz")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"a": {"/lib/modules/6.1/kernel/a.ko", "/lib/modules/6.1/updates/a.ko.xz"},
		"c": {"/lib/modules/6.1/c.ko.xz"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FindModuleFiles (-want +got):\n%s", diff)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		oracle := bash(t, `find "$1" -name "$2.ko" -type f -o -name "$2.ko.xz" -type f | LC_ALL=C sort`, root.Path("/usr/lib/modules/6.1"), name)
		var ours strings.Builder
		for _, file := range got[name] {
			ours.WriteString(root.Path("/usr"+file) + "\n")
		}
		if strings.TrimRight(ours.String(), "\n") != oracle {
			t.Errorf("files of %q = %q, want %q as find(1) says", name, ours.String(), oracle)
		}
	}
}

// A tree as large as a distribution's: 6000 modules in 600 directories.
func BenchmarkCompression(b *testing.B) {
	dir := b.TempDir()
	for i := range 600 {
		sub := filepath.Join(dir, "lib/modules/6.1/kernel", fmt.Sprint(i%20), fmt.Sprint(i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 10 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("m%d.ko.xz", j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	k, err := kernel.Find(rootAt(b, dir), kernel.Options{InstallTree: "/lib/modules"}, "6.1", "x86_64")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if c, err := k.Compression(); c != "xz" || err != nil {
			b.Fatalf("Compression = %q, %v, want xz", c, err)
		}
	}
}
