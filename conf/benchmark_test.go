package conf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
)

const ordinary = `# An ordinary file, such as most packages have.
PACKAGE_NAME="example%d"
PACKAGE_VERSION="1.2.3"
MAKE[0]="make -C ${kernel_source_dir} M=${dkms_tree}/${PACKAGE_NAME}/${PACKAGE_VERSION}/build"
CLEAN="make -C ${kernel_source_dir} M=${dkms_tree}/${PACKAGE_NAME}/${PACKAGE_VERSION}/build clean"
BUILT_MODULE_NAME[0]="example"
BUILT_MODULE_NAME[1]="example-extra"
DEST_MODULE_LOCATION[0]="/extra"
DEST_MODULE_LOCATION[1]="/extra"
BUILD_EXCLUSIVE_KERNEL="^(5\.[6-9]\.|[6-9]\.)"
AUTOINSTALL="yes"
`

// BenchmarkStatus evaluates 100 modules for one kernel, as the first dkms status after a boot does.
func BenchmarkStatus(b *testing.B) {
	dir := b.TempDir()
	var sources []conf.Source
	for i := range 100 {
		path := fmt.Sprintf("/var/lib/dkms/example%d/1.2.3/source/dkms.conf", i)
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), fmt.Appendf(nil, ordinary, i), 0o644); err != nil {
			b.Fatal(err)
		}
		sources = append(sources, conf.Source{Path: path, Name: fmt.Sprint("example", i), Version: "1.2.3"})
	}
	if err := os.MkdirAll(filepath.Join(dir, "etc/dkms"), 0o755); err != nil {
		b.Fatal(err)
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l := &conf.Loader{Root: root, Runner: noProcess{b}, Env: os.Environ(), Vars: treeVars()}
		for _, src := range sources {
			if _, err := l.Module(b.Context(), src, target("6.1.0-56-amd64")); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/module")
}

// BenchmarkBash evaluates a file that needs bash, in the confined child.
func BenchmarkBash(b *testing.B) {
	src := conf.Source{Path: fixture(b, "command-substitution.conf")}
	for b.Loop() {
		l := hostLoader(b)
		if _, err := l.Module(b.Context(), src, target("6.1.0-56-amd64")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRemembered asks again for what has been evaluated, by bash at that.
func BenchmarkRemembered(b *testing.B) {
	src := conf.Source{Path: fixture(b, "command-substitution.conf")}
	l := hostLoader(b)
	for b.Loop() {
		if _, err := l.Module(b.Context(), src, target("6.1.0-56-amd64")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompareVersions(b *testing.B) {
	for b.Loop() {
		conf.CompareVersions("5.14.0-427.13.1.el9_4.x86_64", "5.14.0-427.13.2.el9_4.x86_64")
	}
}
