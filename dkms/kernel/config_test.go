package kernel_test

import (
	"testing"

	"dkms-go/dkms/kernel"
)

func TestConfigValue(t *testing.T) {
	t.Parallel()
	root := layout(t, map[string]string{"c": "# CONFIG_OFF is not set\n" +
		"CONFIG_A=y\nCONFIG_A=m\nCONFIG_HASH=\"sha256\"\nCONFIG_EMPTY=\"\"\nCONFIG_EQ=\"a=b\"\r\n CONFIG_INDENTED=y\nCONFIG_LAST=7"})
	k := find(t, root, kernel.Options{Config: "/c"}, "6.1")
	for _, test := range []struct {
		name, want string
		ok         bool
	}{
		{"CONFIG_A", "y", true},
		{"CONFIG_HASH", "sha256", true},
		{"CONFIG_EMPTY", "", true},
		{"CONFIG_EQ", "a=b", true},
		{"CONFIG_LAST", "7", true},
		{"CONFIG_OFF", "", false},
		{"CONFIG_INDENTED", "", false},
		{"CONFIG_", "", false},
	} {
		if got, ok := k.ConfigValue(test.name); got != test.want || ok != test.ok {
			t.Errorf("ConfigValue(%q) = %q, %v, want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
	if !k.HasConfig() {
		t.Error("HasConfig = false, want true")
	}
	if find(t, root, kernel.Options{Config: "/none"}, "6.1").HasConfig() {
		t.Error("HasConfig = true without a file, want false")
	}
}

// Expected values come from the pipeline in upstream's prepare_signing.
func TestConfigOfInstalledKernels(t *testing.T) {
	t.Parallel()
	for _, k := range installed(t) {
		want := bash(t, `grep "^CONFIG_MODULE_SIG_HASH=" "$1" | cut -f2 -d= | sed 's/"//g'`, k.Config)
		if want == "" {
			t.Errorf("%s has no CONFIG_MODULE_SIG_HASH", k.Config)
		}
		if got := k.SigHash(); got != want {
			t.Errorf("SigHash of %s = %q, want %q", k.Release, got, want)
		}
	}
}
