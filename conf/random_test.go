package conf_test

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
)

// randomFiles is how many files TestRandomFiles makes up.
var randomFiles = flag.Int("random-files", 100, "how many files to make up")

// TestRandomFiles makes up files of assignments with all kinds of quoting, and compares what is evaluated in process with
// bash. The files are the same on every run; more of them are further ones.
func TestRandomFiles(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	for _, name := range []string{"a.c", "b.c"} {
		writeFile(t, filepath.Join(l.Dir, name), "")
	}
	path := filepath.Join(t.TempDir(), "dkms.conf")
	r := rand.New(rand.NewPCG(1, 2))
	plain := 0
	for range *randomFiles {
		text := randomFile(r)
		writeFile(t, path, text)
		got, ok, err := l.Evaluate(t.Context(), conf.InProcess, conf.Source{Path: path}, target("6.1"))
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		plain++
		want, _, err := l.Evaluate(t.Context(), conf.InBash, conf.Source{Path: path}, target("6.1"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Evaluate(InProcess, %q) differs from bash (-bash +got):\n%s", text, diff)
		}
	}
	t.Logf("%d of %d files are plain", plain, *randomFiles)
	if plain < *randomFiles/4 {
		t.Errorf("%d of %d files are plain, want a quarter at least", plain, *randomFiles)
	}
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func repeat(r *rand.Rand, most int, one func() string) string {
	var b strings.Builder
	for range 1 + r.IntN(most) {
		b.WriteString(one())
	}
	return b.String()
}

func randomFile(r *rand.Rand) string {
	return repeat(r, 6, func() string {
		assignments := repeat(r, 2, func() string { return randomAssignment(r) + pick(r, " ", " ", "; ", "\n", "\t") })
		return assignments + pick(r, "\n", "\n", " # comment \"\n", "\n\n", "\n# 'x\n")
	})
}

func randomAssignment(r *rand.Rand) string {
	name := pick(r, "PACKAGE_NAME", "MAKE", "MAKE", "PATCH", "BUILT_MODULE_NAME", "x", "kernelver", "CLEAN")
	if r.IntN(6) == 0 {
		return name + pick(r, "=(", "+=(") + repeat(r, 3, func() string { return randomValue(r, false) + pick(r, " ", "\n", "  ") }) + ")"
	}
	return name + pick(r, "", "", "", "[0]", "[1]", "[3]", "[12]") + pick(r, "=", "=", "=", "+=") + randomValue(r, true)
}

func randomValue(r *rand.Rand, scalar bool) string {
	return repeat(r, 3, func() string {
		switch r.IntN(5) {
		case 0:
			return "'" + repeat(r, 4, func() string { return randomText(r) }) + "'"
		case 1:
			if scalar {
				return pick(r, "a", "b-1.2", "/c", "$kernelver", "${x}", "${MAKE[1]}", "*.c", "=d", ":e", "$MAKE[1]")
			}
			return pick(r, "a", "b-1.2", "/c", "=d")
		default:
			return "\"" + repeat(r, 4, func() string { return randomDouble(r) }) + "\""
		}
	})
}

// randomText has what means itself between single quotes, and something in the second evaluation.
func randomText(r *rand.Rand) string {
	return pick(r, "a", "b c", " ", "  ", "\t", "\n", "$kernelver", "${MAKE}", "$x", "\\", "\\\\", "\\$x", "\"", "\"\"", "\\\"", "*.c", " *.c ",
		" ?.x ", "[a", "a]", "$", "$ ", "$/", "#", ";", "&&", "(", ")", "{a,b}", "~", "!", "%", "=", "<", "|", "é", "${x[1]}", "$PACKAGE_NAME")
}

func randomDouble(r *rand.Rand) string {
	return pick(r, "a", "b c", " ", "  ", "\t", "\n", "\\\n", "$kernelver", "${MAKE}", "$x", "${BUILT_MODULE_NAME[1]}", "\\\\", "\\$x", "\\\"",
		"\\\\\\\"", "\\\\\\$x", "\\;", "'", "*.c", " *.c ", " ?.x ", "[a", "$ ", "$/", "$|", "$)", "#", ";", "&&", "(", ")", "{a,b}", "~", "!",
		"%", "=", "<", "|", "${x[1]}", "$PACKAGE_NAME", "^", "$.", "$^", "$%", "$,", "$:", "$]", "$}", "$~", "$+", "$=", "$<", "$>", "$&", "$;")
}
