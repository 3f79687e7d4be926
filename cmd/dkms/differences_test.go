package main

import (
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every difference from dkms 3.4 that the manual lists has a test, which names it in a comment "difference: NAME", and every
// one that a test names is in the manual.
func TestDifferencesAreListed(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../packaging/man/dkms.8")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)\.Sh DIFFERENCES FROM DKMS 3\.4\n(.*?)\n\.El\n`).FindSubmatch(page)
	if section == nil {
		t.Fatal("dkms.8 has no list of differences")
	}
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\.It Sy (.*)$`).FindAllSubmatch(section[1], -1) {
		listed = append(listed, strings.ReplaceAll(string(m[1]), `\-`, "-"))
	}
	tested := map[string]bool{}
	root := os.DirFS("../..")
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".txtar") {
			return err
		}
		text, err := fs.ReadFile(root, name)
		for _, m := range regexp.MustCompile(`(?m)^\s*(?://|#) difference: (.*)$`).FindAllSubmatch(text, -1) {
			tested[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(listed, slices.Sorted(maps.Keys(tested))); diff != "" {
		t.Errorf("differences (-manual +tests):\n%s", diff)
	}
}
