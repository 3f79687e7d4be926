package conf_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"dkms-go/conf"
)

// versions are kernel releases and module versions as they occur, without numbers of four and more digits.
func versions() []string {
	return []string{
		"", "0", "0.1", "0.8.3", "0.8.3~pre1", "0.8.3~rc1", "1.9", "1.10", "1.9.0", "3.99", "3.10.0-957.el7.x86_64", "4.0",
		"4.11.999", "4.12", "4.12-rc1", "4.12.0-1", "5.0", "5.10.0-21-amd64", "5.10.0 21 amd64", "5.14.0-427.13.1.el9_4.x86_64",
		"5.14.0-427.9.1.el9_4.x86_64", "6.1.0-56-amd64", "6.1.0-9-amd64", "6.1", "6.9", "6.10-rc1", "6.12.9-rt-arm64", "7.0.0-rc1+",
		"9.9.9", "9.9.9-a", "9.9.10", "99.0", "007", "7", "07", "1:2.3", "2.6.9-1cvs", "1.0.r5", "8.055.00", "v1.2", "1..2", "-1-",
		"+git", "1 2", "1 2a", " 1", "a", "A", "a1", "ab", "a 1b",
	}
}

// TestCompareVersionsEqualsBash compares every pair of versions with the normalisation written in bash.
func TestCompareVersionsEqualsBash(t *testing.T) {
	t.Parallel()
	const script = `
		normal() {
			local rest=$1 out= run
			while [[ $rest =~ ^([0-9]+|[^0-9]+) ]]; do
				run=${BASH_REMATCH[1]}
				rest=${rest:${#run}}
				if [[ $run =~ ^[0-9]{1,2}$ ]]; then printf -v run %03d "$((10#$run))"; fi
				out+=$run
			done
			reply=${out// /}
		}
		LC_ALL=C
		declare -A padded
		for v; do normal "$v"; padded[x$v]=$reply; done
		for a; do
			for b; do
				if [[ ${padded[x$a]} < ${padded[x$b]} ]]; then echo -1
				elif [[ ${padded[x$a]} > ${padded[x$b]} ]]; then echo 1
				else echo 0; fi
			done
		done`
	all := versions()
	out, err := exec.Command("bash", append([]string{"--norc", "-c", script, "bash"}, all...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(all)*len(all) {
		t.Fatalf("bash compared %d pairs, want %d", len(answers), len(all)*len(all))
	}
	for i, a := range all {
		for j, b := range all {
			if got, want := fmt.Sprint(conf.CompareVersions(a, b)), answers[i*len(all)+j]; got != want {
				t.Errorf("CompareVersions(%q, %q) = %s, want %s", a, b, got, want)
			}
		}
	}
}

// difference: numbers of four and more digits
// TestCompareVersionsLongNumbers lists where we differ from upstream: numbers of four and more digits.
func TestCompareVersionsLongNumbers(t *testing.T) {
	t.Parallel()
	tests := []struct{ less, greater string }{
		{"999", "1000"},
		{"9999", "10000"},
		{"3.0", "20230101"},
		{"1.0.999", "1.0.20170917"},
		{"5.15.0-999-generic", "5.15.0-1051-azure"},
		{"2.11.1.0.20170917", "2.11.1.1"},
	}
	for _, tt := range tests {
		if got := conf.CompareVersions(tt.less, tt.greater); got != -1 {
			t.Errorf("CompareVersions(%q, %q) = %d, want -1", tt.less, tt.greater, got)
		}
		if got := conf.CompareVersions(tt.greater, tt.less); got != 1 {
			t.Errorf("CompareVersions(%q, %q) = %d, want 1", tt.greater, tt.less, got)
		}
	}
	if got := conf.CompareVersions("20230101", "020230101"); got != 0 {
		t.Errorf("CompareVersions(20230101, 020230101) = %d, want 0", got)
	}
}
