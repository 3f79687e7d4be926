package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"dkms-go/conf/sysroot"
)

// SettingsFile is where our own settings are, those that dkms 3.4 does not have.
// framework.conf keeps the others.
const SettingsFile = "/etc/dkms/dkms.toml"

// Settings is what dkms.toml says. The zero value is what holds without it.
type Settings struct {
	Signing Signing                    `toml:"signing"`
	Build   Build                      `toml:"build"`
	Watch   Watch                      `toml:"watch"`
	Modules map[string]*ModuleSettings `toml:"module"` // by name
}

// Signing is the table [signing].
type Signing struct {
	// PassphraseFile is a file inside the root whose first line unlocks the
	// signing key; "" for none.
	PassphraseFile string `toml:"passphrase_file"`
}

// Build is the table [build].
type Build struct {
	Timeout Duration `toml:"timeout"` // how long the commands of one build may take; zero is for ever
}

// SettingsError says what is wrong in dkms.toml.
type SettingsError struct {
	File string
	Line int // 0 when it is not known
	Text string
}

func (e *SettingsError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Text)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// LoadSettings reads dkms.toml of a root. A key that is not known is an error, because a misspelt one would otherwise be
// believed to be in force; so is a value that makes no sense. The error is a *SettingsError, or says why the file cannot be read.
func LoadSettings(root *sysroot.Root) (*Settings, error) {
	text, err := root.ReadFile(SettingsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &Settings{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return parseSettings(string(text))
}

func parseSettings(text string) (*Settings, error) {
	var s Settings
	meta, err := toml.Decode(text, &s)
	var bad toml.ParseError
	switch {
	case errors.As(err, &bad):
		return nil, &SettingsError{SettingsFile, bad.Position.Line, bad.Message}
	case err != nil:
		return nil, typeError(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0].String()
		return nil, &SettingsError{SettingsFile, lineOf(text, key), fmt.Sprintf("unknown setting %q", key)}
	}
	if f := s.Signing.PassphraseFile; f != "" && !path.IsAbs(f) {
		const key = "signing.passphrase_file"
		return nil, &SettingsError{SettingsFile, lineOf(text, key), fmt.Sprintf("%s = %q is no absolute path", key, f)}
	}
	if err := s.Watch.check(); err != nil {
		return nil, err.at(text)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Modules)) {
		if err := s.Modules[name].check(name); err != nil {
			return nil, err.at(text)
		}
	}
	return &s, nil
}

// badValueError is a value that makes no sense, before it is known where it stands.
type badValueError struct {
	key  toml.Key
	text string
}

func (e *badValueError) at(text string) *SettingsError {
	return &SettingsError{SettingsFile, lineOf(text, e.key.String()), e.key.String() + e.text}
}

// typeError takes apart what the toml package says of a value of the wrong type: line N (last key "K"): text.
func typeError(err error) *SettingsError {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	e := &SettingsError{File: SettingsFile, Text: text}
	if _, scanErr := fmt.Sscanf(text, "line %d (last key", &e.Line); scanErr == nil {
		_, e.Text, _ = strings.Cut(text, "): ")
	}
	return e
}

// lineOf finds the line on which a key is set or a table begins; the toml package does not tell. It is 0 for a key that
// is written in an unusual way.
func lineOf(text, key string) int {
	table, n := "", 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			name, _, _ = strings.Cut(strings.TrimLeft(name, "["), "]")
			if table = plainKey(name); table == key {
				return n
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		if name = plainKey(name); table != "" {
			name = table + "." + name
		}
		if name == key {
			return n
		}
	}
	return 0
}

// plainKey writes a dotted key as the toml package does: without blanks, and with quotes only where they are needed.
func plainKey(s string) string {
	var key toml.Key
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		var part string
		if q := s[0]; q == '"' || q == '\'' {
			part, s, _ = strings.Cut(s[1:], string(q))
			_, s, _ = strings.Cut(s, ".")
		} else {
			part, s, _ = strings.Cut(s, ".")
		}
		key = append(key, strings.TrimSpace(part))
	}
	return key.String()
}
