package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"dkms-go/conf/sysroot"
)

// Passphrase says what unlocks the private key. It is asked only when a key is
// encrypted; "" without error means that none is known.
type Passphrase func() (string, error)

// Credential is the name of the systemd credential that holds the passphrase:
// LoadCredential=dkms.passphrase:... in a unit, see systemd.exec(5).
const Credential = "dkms.passphrase"

// Secrets are the places where a passphrase may be, in the order in which they
// are asked. It is never a word of a command line, where everybody sees it.
type Secrets struct {
	// PIN is the value of KBUILD_SIGN_PIN, which the kernel's sign-file takes.
	PIN string
	// Host is the machine, and Credentials the directory in it that systemd
	// made for us ($CREDENTIALS_DIRECTORY); "" for none.
	Host        *sysroot.Root
	Credentials string
	// Root is what is worked on, and File the file in it that dkms.toml names;
	// "" for none. Only its first line counts.
	Root *sysroot.Root
	File string
}

// Passphrase is the first one that there is.
func (s Secrets) Passphrase() (string, error) {
	if s.PIN != "" {
		return s.PIN, nil
	}
	if s.Credentials != "" {
		text, err := s.Host.ReadFile(path.Join(s.Credentials, Credential))
		if err == nil {
			return firstLine(text), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read its passphrase: %w", err)
		}
	}
	if s.File == "" {
		return "", nil
	}
	info, err := s.Root.Stat(s.File)
	if err != nil {
		return "", fmt.Errorf("read its passphrase: %w", err)
	}
	if exposed(info.Mode()) {
		return "", fmt.Errorf("others can read its passphrase (chmod 600 %s)", s.Root.Path(s.File))
	}
	text, err := s.Root.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("read its passphrase: %w", err)
	}
	return firstLine(text), nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r")
}

// exposed reports whether others than the owner can read or change a file.
func exposed(mode fs.FileMode) bool { return mode.Perm()&0o066 != 0 }
