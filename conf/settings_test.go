package conf_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
	"dkms-go/conf/sysroot"
)

func kernels(t *testing.T, text string) conf.KernelRange {
	t.Helper()
	r, err := conf.ParseKernelRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

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
		{
			"module", "[module.lantern]\nkernel = \">= 6.1, < 6.13\"\npolicy = \"required\"\ninitramfs = \"never\"\n",
			conf.Settings{Modules: map[string]*conf.ModuleSettings{"lantern": {Kernel: kernels(t, ">= 6.1, < 6.13"), Policy: conf.Required, Initramfs: conf.ImageNever}}},
			"",
		},
		{
			"watch", "watch.settle = \"2s\"\nwatch.every = \"1h\"\n",
			conf.Settings{Watch: conf.Watch{Settle: conf.Duration{2 * time.Second}, Every: conf.Duration{time.Hour}}},
			"",
		},
		{"no span", "[watch]\nsettle = \"soon\"\n", conf.Settings{}, file + `:2: "soon" is no span of time such as "5s" or "10m"`},
		{"busy", "[watch]\n\nevery = \"1us\"\n", conf.Settings{}, file + `:3: watch.every = "1µs" is less than 10ms`},
		{"no range", "[module.lantern]\nkernel = \">= 6.x\"\n", conf.Settings{}, file + `:2: ">= 6.x" is no condition on a kernel such as ">= 6.1"`},
		{"no policy", "[module.a]\npolicy = \"best-effort\"\n[module.\"b.c\"]\npolicy = \"strict\"\n", conf.Settings{}, file + `:4: module."b.c".policy = "strict" is neither "best-effort" nor "required"`},
		{"no choice", "[module.a]\ninitramfs = \"yes\"\n", conf.Settings{}, file + `:2: module.a.initramfs = "yes" is none of "auto", "always", "never"`},
		{"unknown of a module", "[module . 'b.c']\nkernels = \"6\"\n", conf.Settings{}, file + `:2: unknown setting "module.\"b.c\".kernels"`},
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
