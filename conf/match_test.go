package conf_test

import (
	"errors"
	"os/exec"
	"testing"

	"dkms-go/conf"
)

// TestMatchesEqualsBash asks bash about every pattern and subject, also about those that are matched in process.
func TestMatchesEqualsBash(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		common  bool // matched in process
	}{
		{"", true},
		{"none", true},
		{".*", true},
		{`^99\..*`, true},
		{`^(5\.[6-9]\.|5\.[1-9][0-9]\.|[6-9]\.)`, true},
		{"^[2-4]\\.|^5\\.[0-5]$", true},
		{`^6\.1\.0-[0-9]+-amd64$`, true},
		{"(amd64|arm64)$", true},
		{"x86", true},
		{"^(x86_64|aarch64)$", true},
		{"REQUIRES CONFIG_VIDEO_DEV", true},
		{"[^.]+-rt", true},
		{"a|", true},
		{"()", true},
		{"a(b|c)?d", true},
		{"$", true},
		{"^", true},
		{"6.1$.0", true},
		{`\.0\-`, true},
		{"[[:digit:]]+", false},
		{"a{2}", false},
		{"6{1,2}", false},
		{"{", false},
		{"a{", false},
		{"*", false},
		{"^*6", false},
		{"6**", false},
		{"a|*b", false},
		{"(", false},
		{")", false},
		{"(6", false},
		{"6)", false},
		{"[", false},
		{"[6", false},
		{"[]6]", false},
		{"[a-Z]", false},
		{"[z-a]", false},
		{`[\.]`, false},
		{`\<rt\>`, false},
		{`\w+`, false},
		{`\d`, false},
		{`\b6`, false},
		{`(6)\1`, false},
		{`\`, false},
		{`6\`, false},
		{`\n`, false},
		{"é", false},
	}
	subjects := []string{"6.1.0-56-amd64", "5.10.0-21-amd64", "6.12.9-rt-arm64", "x86_64", "aarch64", "", "d66b", "a{", "*6", "é\xff", "a\nb"}
	l := hostLoader(t)
	for _, tt := range tests {
		if got := conf.CommonRegexp(tt.pattern); got != tt.common {
			t.Errorf("CommonRegexp(%q) = %v, want %v", tt.pattern, got, tt.common)
		}
		for _, subject := range subjects {
			cmd := exec.Command("bash", "--norc", "-c", `[[ $1 =~ $2 ]]`, "bash", subject, tt.pattern)
			cmd.Env = l.Env
			want := 0
			var exit *exec.ExitError
			if err := cmd.Run(); errors.As(err, &exit) {
				want = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if got, err := l.Matches(t.Context(), subject, tt.pattern); got != want || err != nil {
				t.Errorf("Matches(%q, %q) = %d, %v, want %d", subject, tt.pattern, got, err, want)
			}
		}
	}
}

// TestMatchesWithoutBash: that bash cannot be asked is an error, not an answer.
func TestMatchesWithoutBash(t *testing.T) {
	t.Parallel()
	l := hostLoader(t)
	l.Runner = refuse{}
	if _, err := l.Matches(t.Context(), "6.1", `\w`); err == nil {
		t.Error(`Matches("6.1", "\\w") without bash = nil, want an error`)
	}
}
