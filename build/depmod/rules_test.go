package depmod_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dkms-go/build/depmod"
)

// FuzzDepmodConf reads rules. What comes out are words of what went in, and reading
// takes no longer than the text is.
func FuzzDepmodConf(f *testing.F) {
	for _, text := range []string{
		"", "search updates extra built-in external\n", "override mod ^6\\\\.1 extra\noverride mod * kernel",
		"external 6.* /opt/modules\nexclude .debug\n", "# remark\n  search \\\n a \\\nb\nbad", "override m (a*)*$ x\n\\",
		"override m [[:digit:]]+ x\nmake_map_files no\ninclude x\n\x00search x",
	} {
		f.Add([]byte(text), "6.1.0-13-amd64")
	}
	f.Fuzz(func(t *testing.T, data []byte, release string) {
		began := time.Now()
		overrides, searches, externals, excludes := depmod.ParsedRules(data, release)
		if took := time.Since(began); took > time.Second+time.Duration(len(data)*len(release))*time.Microsecond {
			t.Errorf("%d bytes took %v", len(data), took)
		}
		// A backslash goes, and what follows it stays.
		plain := strings.NewReplacer("\\\n", "", "\\", "").Replace(string(data))
		for _, word := range slices.Concat(searches, externals, excludes) {
			if word == "" || strings.ContainsAny(word, " \t\n\x00") || !strings.Contains(plain, strings.ReplaceAll(word, "\\", "")) {
				if !strings.Contains(word, "\\") {
					t.Errorf("word %q is not in %q", word, data)
				}
			}
		}
		for _, o := range overrides {
			if !strings.Contains(o, "/") {
				t.Errorf("override %q has no directory", o)
			}
		}
	})
}
