package conf_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
)

func TestLoadSettings(t *testing.T) {
	t.Parallel()
	const file = "/etc/dkms/dkms.toml"
	for _, test := range []struct {
		name, text string // "-": no file
		want       conf.Settings
		err        string
	}{
		{"no file", "-", conf.Settings{}, ""},
		{"empty", "", conf.Settings{}, ""},
		{"passphrase file", "[signing]\npassphrase_file = \"/etc/keys/pin\"\n", conf.Settings{Signing: conf.Signing{PassphraseFile: "/etc/keys/pin"}}, ""},
		{"dotted", "signing.passphrase_file = '/pin'\n", conf.Settings{Signing: conf.Signing{PassphraseFile: "/pin"}}, ""},
		{"unknown key", "# ours\n[signing]\npassfrase_file = \"/pin\"\n", conf.Settings{}, file + `:3: unknown setting "signing.passfrase_file"`},
		{"unknown table", "[signing]\n\n[ signin ]\nx = 1\n", conf.Settings{}, file + `:3: unknown setting "signin"`},
		{"unknown dotted key", "\nsigning . pin = 1\n", conf.Settings{}, file + `:2: unknown setting "signing.pin"`},
		{"wrong type", "[signing]\npassphrase_file = 1\n", conf.Settings{}, file + ":2: incompatible types: TOML value has type int64; destination has type string"},
		{"relative", "[signing]\npassphrase_file = \"pin\"\n", conf.Settings{}, file + `:2: signing.passphrase_file = "pin" is no absolute path`},
		{"no toml", "[signing]\npassphrase_file\n", conf.Settings{}, file + `:2: expected '.' or '=', but got '\n' instead`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.text != "-" {
				if err := os.MkdirAll(filepath.Join(dir, "etc/dkms"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(test.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			root, err := sysroot.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			got, err := conf.LoadSettings(root)
			if test.err != "" {
				var bad *conf.SettingsError
				if !errors.As(err, &bad) || err.Error() != test.err {
					t.Errorf("LoadSettings = %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("LoadSettings (-want +got):\n%s", diff)
			}
		})
	}
}
