package conf_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dkms-go/conf"
)

type distribution struct {
	name, text string
	want       conf.Distribution
}

func distributions() []distribution {
	return []distribution{
		{"Debian", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n", "debian"},
		{"Ubuntu", "ID=ubuntu\nID_LIKE=debian\n", "ubuntu"},
		{"Mint", "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "ubuntu debian"},
		{"RHEL", "ID=\"rhel\"\nID_LIKE=\"fedora\"\n", "fedora"},
		{"Rocky", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "rhel centos fedora"},
		{"Tumbleweed", "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", "opensuse suse"},
		{"empty ID_LIKE", "ID=one\nID_LIKE=\n", ""},
		{"empty", "", ""},
		{"two blanks stay", "ID=a\nID_LIKE='b  c'\n", "b  c"},
		{"single evaluation", "ID='$HOSTTYPE'\n", "$HOSTTYPE"},
		{"list", "ID=a\nID_LIKE=(b c)\n", "b"},
		{"list without first", "ID=a\nID_LIKE[1]=c\n", ""},
		{"script", "ID=$(echo made)\n", "made"},
	}
}

// TestDistribution reads each text in both ways, and asks bash itself.
func TestDistribution(t *testing.T) {
	t.Parallel()
	for _, d := range distributions() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "os-release")
			if err := os.WriteFile(path, []byte(d.text), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, way := range []conf.Way{conf.InProcess, conf.InBash} {
				got, ok, err := hostLoader(t).EvaluateOSRelease(t.Context(), way, path)
				if ok && got != d.want || err != nil || !ok && way == conf.InBash {
					t.Errorf("Distribution(%q) in way %d = %q, %v, want %q", d.text, way, got, err, d.want)
				}
			}
			const ask = `. "$1"; if [[ $ID = ubuntu ]]; then printf %s "$ID"; elif ((${#ID_LIKE[@]})); then printf %s "${ID_LIKE[0]}"; else printf %s "$ID"; fi`
			bash, err := exec.Command("bash", "--norc", "-c", ask, "bash", path).Output()
			if string(bash) != string(d.want) || err != nil {
				t.Errorf("bash says %q, %v, want %q", bash, err, d.want)
			}
		})
	}
}

func TestDistributionFile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		want  conf.Distribution
	}{
		{"first one wins", map[string]string{"etc/os-release": "ID=etc\n", "usr/lib/os-release": "ID=usr\n"}, "etc"},
		{"second one", map[string]string{"usr/lib/os-release": "ID=usr\n"}, "usr"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := &conf.Loader{Root: write(t, tt.files), Runner: noProcess{t}}
			if got, err := l.Distribution(t.Context()); got != tt.want || err != nil {
				t.Errorf("Distribution() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	l := &conf.Loader{Root: write(t, nil), Runner: noProcess{t}}
	_, err := l.Distribution(t.Context())
	var missing *conf.NoOSReleaseError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "/usr/lib/os-release") {
		t.Errorf("Distribution() without a file = %v, want *NoOSReleaseError", err)
	}
}

// TestDistributionEnvironment: a file that does not say it leaves it to the environment, as in upstream.
func TestDistributionEnvironment(t *testing.T) {
	t.Parallel()
	l := &conf.Loader{Root: write(t, map[string]string{"etc/os-release": "NAME=x\n"}), Runner: noProcess{t}, Env: []string{"ID=env"}}
	if got, err := l.Distribution(t.Context()); got != "env" || err != nil {
		t.Errorf("Distribution() = %q, %v, want \"env\"", got, err)
	}
}

func TestDistributionIs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		d        conf.Distribution
		prefixes []string
		want     bool
	}{
		{"rhel centos fedora", []string{"rhel"}, true},
		{"fedora", []string{"rhel"}, false},
		{"suse opensuse", []string{"sles", "suse", "opensuse"}, true},
		{"ubuntu debian", []string{"debian"}, false},
		{"debian", nil, false},
	}
	for _, tt := range tests {
		if got := tt.d.Is(tt.prefixes...); got != tt.want {
			t.Errorf("Distribution(%q).Is(%q) = %v, want %v", tt.d, tt.prefixes, got, tt.want)
		}
	}
}
