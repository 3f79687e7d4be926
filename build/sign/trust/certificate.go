package trust

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"

	"dkms-go/conf/sysroot"
)

// Places is where a machine has a certificate.
type Places struct {
	MOK     bool // in MokListRT: enrolled by the owner
	DB      bool // in the firmware's db
	Pending bool // in MokNew: the next boot asks about it
	Revoked bool // in dbx or MokListX
	// Loaded says that the running kernel has it in one of its keyrings, and
	// Keyring in which, as far as that can be told: "" where it cannot.
	Loaded  bool
	Keyring string
}

// Find looks for a certificate on the machine below root. The error joins what
// could not be read; the places are right as far as the rest tells.
func Find(root *sysroot.Root, c *x509.Certificate) (Places, error) {
	var p Places
	var errs []error
	for _, place := range []struct {
		name, owner string
		found       *bool
	}{
		{"MokListRT", shim, &p.MOK},
		{"MokNew", shim, &p.Pending},
		{"MokListXRT", shim, &p.Revoked},
		{"db", lists, &p.DB},
		{"dbx", lists, &p.Revoked},
	} {
		l, err := list(root, place.name, place.owner)
		if err != nil {
			errs = append(errs, err)
		}
		*place.found = *place.found || l.Has(c)
	}
	keys, err := readKeys(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	p.Loaded = keys.has(c)
	if p.Loaded {
		p.Keyring = keys.keyring(p)
	}
	return p, errors.Join(errs...)
}

// keys is what /proc/keys shows (proc_keys_show in the kernel's
// security/keys/proc.c): one key a line, without saying which keyring it is in.
type keys struct {
	identifiers map[string]bool // of X.509 certificates: subject key identifier, or else serial number
	filled      map[string]bool // keyrings with something in them
}

func readKeys(root *sysroot.Root) (keys, error) {
	k := keys{map[string]bool{}, map[string]bool{}}
	data, err := root.ReadFile("/proc/keys")
	for line := range strings.Lines(string(data)) {
		k.line(strings.TrimRight(line, "\n"))
	}
	return k, err
}

// line takes a line apart: serial, flags, usage, expiry, permissions, uid, gid,
// type (9 letters of it), description.
//
//	2f0a3c1b I------     1 perm 1f030000     0     0 asymmetri Lantern: 0123abcd: X509.rsa 0123abcd []
//	13d6c8e0 I------     1 perm 1f0b0000     0     0 keyring   .machine: 1
func (k keys) line(line string) {
	f := strings.Fields(line)
	const kind = 7
	if len(f) <= kind+1 || len(f[1]) < 1 || f[1][0] != 'I' {
		return
	}
	switch f[kind] {
	case "keyring":
		name := strings.TrimSuffix(f[kind+1], ":")
		if count := f[len(f)-1]; count != "empty" && count != "0" {
			k.filled[name] = true
		}
	case "asymmetri":
		for n, word := range f[kind+1:] {
			if n > 0 && strings.HasPrefix(word, "X509.") {
				k.identifiers[strings.TrimSuffix(f[kind+n], ":")] = true
			}
		}
	}
}

// has reports whether a certificate is among the keys. The kernel names it by its
// subject key identifier, or by its serial number if it has none
// (x509_key_preparse in crypto/asymmetric_keys/x509_public_key.c).
func (k keys) has(c *x509.Certificate) bool {
	id := c.SubjectKeyId
	if len(id) == 0 {
		id = c.SerialNumber.Bytes()
		if len(id) > 0 && id[0]&0x80 != 0 {
			id = append([]byte{0}, id...)
		}
	}
	return k.identifiers[hex.EncodeToString(id)]
}

// keyring tells which keyring has a certificate that is loaded: kernels put the
// MOK into .machine where they have that, else into .platform, and db into
// .platform. One that comes from nowhere else is the kernel's own.
func (k keys) keyring(p Places) string {
	switch {
	case p.MOK && k.filled[".machine"]:
		return ".machine"
	case (p.MOK || p.DB) && k.filled[".platform"]:
		return ".platform"
	case !p.MOK && !p.DB && k.filled[".builtin_trusted_keys"]:
		return ".builtin_trusted_keys"
	}
	return ""
}
