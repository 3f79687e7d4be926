package kmod_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kmod"
)

func hexString(b []byte) string { return hex.EncodeToString(b) }

// crcLines is symbols as modprobe prints them.
func crcLines(symbols []kmod.Symbol) []string {
	var lines []string
	for _, s := range symbols {
		lines = append(lines, fmt.Sprintf("0x%08x\t%s", s.CRC, s.Name))
	}
	return lines
}

func outputLines(out []byte) []string {
	var lines []string
	for l := range bytes.Lines(out) {
		lines = append(lines, string(bytes.TrimRight(l, "\n")))
	}
	return lines
}

// modprobeLines asks the real modprobe for symbols. It fails for a module that has
// none, which is no failure here.
func modprobeLines(t testing.TB, option, path string) []string {
	t.Helper()
	out, err := runTool("kmod", "modprobe", option, path)
	if err != nil && !strings.Contains(err.Error(), "could not get symbols of") && !strings.Contains(err.Error(), "could not get modversions of") {
		t.Fatal(err)
	}
	return outputLines(out)
}

// checkSymbols compares what a module exports, and what it needs with a
// checksum in the old table, with what modprobe lists.
func checkSymbols(t *testing.T, path string) {
	t.Helper()
	o, err := kmod.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want := modprobeLines(t, "--show-exports", path)
	if d := cmp.Diff(want, crcLines(o.Exports())); d != "" {
		t.Errorf("Exports of %s (-want +got):\n%s", path, d)
	}
	listed := modprobeLines(t, "--dump-modversions", path)
	got := crcLines(o.Needs())
	for _, l := range listed {
		if !slices.Contains(got, l) {
			t.Errorf("Needs of %s lacks %q, has %q", path, l, got)
		}
	}
	versions := 0
	for _, s := range o.Needs() {
		if s.CRC != 0 {
			versions++
		}
	}
	if versions != len(listed) && filepath.Base(path) != "kmodtest_extended.ko" {
		t.Errorf("Needs of %s has %d checksums, want %d", path, versions, len(listed))
	}
}

func TestSymbolsAgreeWithModprobe(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		for _, m := range b.modules {
			checkSymbols(t, m)
		}
	}
}

func TestExportsAgreeWithModpost(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		o, err := kmod.Open(b.path("kmodtest_exports"))
		if err != nil {
			t.Fatal(err)
		}
		lines := outputLines(readFile(t, filepath.Join(b.dir, "Module.symvers")))
		if len(lines) != 5 {
			t.Fatalf("Module.symvers = %q, want the five exported symbols", lines)
		}
		for _, line := range lines {
			f := strings.Split(line, "\t")
			i := slices.IndexFunc(o.Exports(), func(s kmod.Symbol) bool { return s.Name == f[1] })
			if i < 0 {
				t.Errorf("Exports = %v, want %s", o.Exports(), f[1])
				continue
			}
			s := o.Exports()[i]
			kind := "EXPORT_SYMBOL"
			if s.GPL {
				kind += "_GPL"
			}
			got := []string{fmt.Sprintf("0x%08x", s.CRC), s.Name, f[2], kind, s.Namespace}
			if d := cmp.Diff(f, got); d != "" {
				t.Errorf("Exports: %s (-want +got):\n%s", s.Name, d)
			}
		}
	}
}

func TestNeedsAgreeWithNm(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		for _, m := range b.modules {
			o, err := kmod.Open(m)
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			for _, l := range outputLines(tool(t, "binutils", "nm", "-u", m)) {
				want = append(want, strings.TrimSpace(l))
			}
			for _, s := range o.Needs() {
				kind := "U "
				if s.Weak {
					kind = "w "
				}
				if s.Name != "module_layout" && s.Name != "kmodtest_only_a_checksum" {
					got = append(got, kind+s.Name)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("Needs of %s (-want +got):\n%s", m, d)
			}
		}
	}
}

// The expected values stand in kmodtest_extended.c; no released kmod reads these tables.
func TestExtendedVersions(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		o, err := kmod.Open(b.path("kmodtest_extended"))
		if err != nil {
			t.Fatal(err)
		}
		basic := modprobeLines(t, "--dump-modversions", b.path("kmodtest_extended"))
		got := crcLines(o.Needs())
		want := []string{
			"0x89abcdef\tkmodtest_a_name_that_is_much_too_long_for_the_sixty_four_byte_records_of_old",
			"0x01234567\tkmodtest_only_a_checksum",
		}
		i := slices.IndexFunc(basic, func(l string) bool { return strings.HasSuffix(l, "\t_printk") })
		if i < 0 {
			want = append(want, "0x11111111\t_printk") // a kernel without modversions
		} else {
			want = append(want, basic[i])
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("Needs = %q, want %q", got, w)
			}
		}
		if last := got[len(got)-1]; last != want[1] {
			t.Errorf("last of Needs = %q, want %q", last, want[1])
		}
	}
}
