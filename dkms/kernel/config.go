package kernel

import (
	"bytes"
	"strings"

	"dkms-go/conf/sysroot"
)

// configuration is one parsed kernel configuration.
type configuration struct {
	text   []byte
	values map[string]string
}

// readConfiguration parses the CONFIG_X=v lines of the file at abs; the first
// line for a name counts. A file that cannot be read has no values.
func readConfiguration(root *sysroot.Root, abs string) *configuration {
	c := &configuration{values: map[string]string{}}
	text, err := root.ReadFile(abs)
	if err != nil {
		return c
	}
	c.text = text
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r\n"), "=")
		if !ok || !strings.HasPrefix(name, "CONFIG_") {
			continue
		}
		if _, seen := c.values[name]; !seen {
			c.values[name] = value
		}
	}
	return c
}

// HasConfig reports whether the configuration is a regular file (test -f).
func (k *Kernel) HasConfig() bool {
	info, err := k.root.Stat(k.Config)
	return err == nil && info.Mode().IsRegular()
}

// ConfigValue returns the value of a CONFIG_ option, double quotes removed as
// prepare_signing does; false when the configuration does not set it.
func (k *Kernel) ConfigValue(name string) (string, bool) {
	value, ok := k.config().values[name]
	return strings.ReplaceAll(value, `"`, ""), ok
}

// SigHash is the digest modules of this kernel are signed with
// (CONFIG_MODULE_SIG_HASH); "" when it is built without module signatures.
func (k *Kernel) SigHash() string {
	hash, _ := k.ConfigValue("CONFIG_MODULE_SIG_HASH")
	return hash
}
