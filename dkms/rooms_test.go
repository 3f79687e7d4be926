package dkms_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const modulePath = "dkms-go/"

// mayImport is the import table of ARCHITECTURE.md: which packages of ours a package may import.
func mayImport() map[string][]string {
	return map[string][]string{
		"conf/sysroot":     {},
		"dkms/kmod":        {},
		"dkms/proc":        {},
		"conf":             {"conf/sysroot", "dkms/proc"},
		"dkms/kernel":      {"conf", "conf/sysroot", "dkms/kmod"},
		"dkms":             {"conf", "conf/sysroot", "dkms/kernel", "dkms/kmod", "dkms/proc"},
		"build/jobserver":  {"conf/sysroot", "dkms/proc"},
		"build/kbuild":     {"conf", "conf/sysroot", "dkms/kernel", "dkms/proc", "build/jobserver"},
		"build/sign":       {"conf/sysroot", "dkms/kmod"},
		"build/sign/trust": {"conf/sysroot", "dkms/kmod"},
		"build/depmod":     {"conf/sysroot", "dkms/kmod"},
		"build/initramfs":  {"conf/sysroot", "dkms/kmod"},
		"build": {
			"conf", "conf/sysroot", "dkms", "dkms/kernel", "dkms/kmod", "dkms/proc",
			"build/jobserver", "build/kbuild", "build/sign", "build/sign/trust", "build/depmod", "build/initramfs",
		},
		"hooks": {"conf", "conf/sysroot", "dkms", "dkms/kernel", "build"},
		"cmd/dkms": {
			"conf", "conf/sysroot", "dkms", "dkms/kernel", "dkms/proc", "build", "build/sign", "build/sign/trust", "build/depmod", "hooks",
		},
	}
}

// homes says which packages may import a library: the longest beginning of its path counts.
func homes() map[string][]string {
	return map[string][]string{
		"mvdan.cc/sh":                {"conf"},
		"github.com/urfave/cli":      {"cmd/dkms"},
		"os/exec":                    {"dkms/proc"},
		"crypto/x509":                {"build/sign", "build/sign/trust"},
		"crypto/x509/pkix":           {"build/sign", "dkms/kmod"}, // names of signers, to be read
		"crypto/rsa":                 {"build/sign"},
		"crypto/ecdsa":               {"build/sign"},
		"crypto/pbkdf2":              {"build/sign"},
		"golang.org/x/crypto":        {"build/sign"},
		"github.com/fsnotify":        {"hooks"},
		"compress/":                  {"dkms/kmod"},
		"github.com/klauspost":       {"dkms/kmod"},
		"github.com/ulikunitz":       {"dkms/kmod"},
		"github.com/landlock-lsm":    {"dkms/proc"},
		"github.com/rogpeppe":        {},
		"github.com/google/go-cmp":   {},
		"golang.org/x/term":          {"cmd/dkms"},
		"github.com/BurntSushi/toml": {"conf"},
		"github.com/hashicorp":       {"conf"},
	}
}

// violations reads every Go file of a tree and returns what breaks the borders between packages. Test files may import what
// they like from other people, but not reach across the borders of ours.
func violations(tree fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || name == "scripts"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range file.Imports {
			if v := violation(name, imp); v != "" {
				found = append(found, v)
			}
		}
		return nil
	})
	return found, err
}

func violation(file string, imp *ast.ImportSpec) string {
	pkg := path.Dir(file)
	target, err := strconv.Unquote(imp.Path.Value)
	if err != nil {
		return fmt.Sprintf("%s: bad import %s", file, imp.Path.Value)
	}
	test := strings.HasSuffix(file, "_test.go")
	if ours, ok := strings.CutPrefix(target, modulePath); ok {
		allowed, known := mayImport()[pkg]
		switch {
		case !known:
			return fmt.Sprintf("%s: package %s has no row in the import table", file, pkg)
		case ours == pkg && test, slices.Contains(allowed, ours), test && fixture(ours, pkg):
			return ""
		}
		return fmt.Sprintf("%s: %s must not import %s", file, pkg, ours)
	}
	longest := ""
	for prefix := range homes() {
		if strings.HasPrefix(target, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if at := homes()[longest]; !test && longest != "" && !slices.Contains(at, pkg) {
		return fmt.Sprintf("%s: %s is at home in %v only", file, target, at)
	}
	return ""
}

// fixture reports whether a test may use a leaf package to make its fixtures, although the package itself must not know it.
func fixture(ours, pkg string) bool {
	return ours == "conf/sysroot" || ours == "dkms/proc" || pkg == "cmd/dkms"
}

func TestRooms(t *testing.T) {
	t.Parallel()
	found, err := violations(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// Every package says in doc.go what it is, and every package has a row in the table.
func TestRoomsAreDescribed(t *testing.T) {
	t.Parallel()
	tree := os.DirFS("..")
	for pkg := range mayImport() {
		if _, err := fs.Stat(tree, pkg); err != nil {
			continue // a package appears with its first code
		}
		src, err := fs.ReadFile(tree, pkg+"/doc.go")
		if err != nil {
			t.Errorf("package %s has no doc.go", pkg)
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), pkg+"/doc.go", src, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Error(err)
		} else if len(strings.Fields(file.Doc.Text())) < 10 {
			t.Errorf("doc.go of package %s does not say what it is", pkg)
		}
	}
}

func TestRoomsFindViolations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, src, want string }{
		{"up", "conf/x.go", `package conf; import "dkms-go/dkms"`, "conf/x.go: conf must not import dkms"},
		{"own room", "conf/sysroot/x.go", `package sysroot; import "dkms-go/conf"`, "conf/sysroot/x.go: conf/sysroot must not import conf"},
		{"leaf of another room", "cmd/dkms/x.go", `package main; import k "dkms-go/build/kbuild"`, "cmd/dkms/x.go: cmd/dkms must not import build/kbuild"},
		{"test", "conf/x_test.go", `package conf_test; import "dkms-go/build"`, "conf/x_test.go: conf must not import build"},
		{"library", "build/x.go", `package build; import "os/exec"`, "build/x.go: os/exec is at home in [dkms/proc] only"},
		{"new package", "util/x.go", `package util; import "dkms-go/conf"`, "util/x.go: package util has no row in the import table"},
		{"allowed", "build/x.go", `package build; import "dkms-go/dkms"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found, err := violations(fstest.MapFS{tt.file: {Data: []byte(tt.src)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(found, "\n"); got != tt.want {
				t.Errorf("violations(%s) = %q, want %q", tt.src, got, tt.want)
			}
		})
	}
}
