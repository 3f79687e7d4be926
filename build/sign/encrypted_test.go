package sign_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dkms-go/build/sign"
)

// known is a passphrase that is known.
func known(text string) sign.Passphrase { return func() (string, error) { return text, nil } }

// encryptions are the ways in which openssl encrypts a key, as options of the
// command named.
func encryptions() map[string][]string {
	pkcs8 := func(options ...string) []string {
		return append([]string{"pkcs8", "-topk8"}, options...)
	}
	traditional := func(cipher string) []string { return []string{"pkey", "-traditional", cipher} }
	return map[string][]string{
		"PKCS #8":                 pkcs8(),
		"PKCS #8, AES-128":        pkcs8("-v2", "aes-128-cbc"),
		"PKCS #8, AES-192":        pkcs8("-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"),
		"PKCS #8, AES-256":        pkcs8("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"),
		"PKCS #8, triple DES":     pkcs8("-v2", "des3", "-v2prf", "hmacWithSHA224"),
		"PKCS #8, SHA-384":        pkcs8("-v2prf", "hmacWithSHA384", "-iter", "100000"),
		"PKCS #8, scrypt":         pkcs8("-scrypt"),
		"PKCS #8, scrypt N=1024":  pkcs8("-scrypt", "-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "2", "-v2", "aes-128-cbc"),
		"traditional, AES-128":    traditional("-aes128"),
		"traditional, AES-256":    traditional("-aes256"),
		"traditional, triple DES": traditional("-des3"),
	}
}

// encrypted has openssl encrypt a key.
func encrypted(t testing.TB, key string, options []string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in"), key)
	out := filepath.Join(dir, "out")
	tool(t, append([]string{"openssl"}, append(options, "-in", filepath.Join(dir, "in"), "-passout", "pass:lantern oil", "-out", out)...)...)
	return string(readFile(t, out))
}

// Whatever way a key is encrypted, signatures are those of sign-file with the same
// files.
func TestEncryptedKeys(t *testing.T) {
	t.Parallel()
	id := rsaIdentity(t)
	for name, options := range encryptions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := encrypted(t, id.key, options)
			if _, err := sign.ParseKey([]byte(key), nil); !errors.Is(err, sign.ErrEncrypted) {
				t.Errorf("ParseKey without passphrase = %v, want %v", err, sign.ErrEncrypted)
			}
			if _, err := sign.ParseKey([]byte(key), known("")); !errors.Is(err, sign.ErrEncrypted) {
				t.Errorf("ParseKey with no passphrase = %v, want %v", err, sign.ErrEncrypted)
			}
			for n := range 5 { // some look like padding
				if _, err := sign.ParseKey([]byte(key), known(string(rune('a'+n)))); !errors.Is(err, sign.ErrPassphrase) {
					t.Errorf("ParseKey with a wrong passphrase = %v, want %v", err, sign.ErrPassphrase)
				}
			}
			broken := errors.New("nobody answers")
			if _, err := sign.ParseKey([]byte(key), func() (string, error) { return "", broken }); !errors.Is(err, broken) {
				t.Errorf("ParseKey = %v, want %v", err, broken)
			}
			parsed, err := sign.ParseKey([]byte(id.pem+key), known("lantern oil"))
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := sign.ParseCertificate([]byte(id.der))
			if err != nil {
				t.Fatal(err)
			}
			for _, signFile := range signFiles(t) {
				for n, hash := range hashes() {
					if name != "PKCS #8" && n != len(name)%len(hashes()) {
						continue // the hash does not know where the key came from
					}
					b := newBench(t, map[string]string{"key": key, "cert": id.der, "theirs.ko": bytesToSign(100 * n), "ours.ko": bytesToSign(100 * n)})
					tool(t, "env", "KBUILD_SIGN_PIN=lantern oil", signFile, hash, b.root.Path("/key"), b.root.Path("/cert"), b.root.Path("/theirs.ko"))
					if err := sign.New(b.root, hash, parsed, certificate).Sign(t.Context(), "/ours.ko"); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(readFile(t, b.root.Path("/ours.ko")), readFile(t, b.root.Path("/theirs.ko"))) {
						t.Errorf("%s of %s: the signed files differ", hash, release(signFile))
					}
				}
			}
		})
	}
}

// Keys of curves are encrypted no differently.
func TestEncryptedECDSA(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "P-384")
	for _, name := range []string{"PKCS #8", "PKCS #8, scrypt", "traditional, AES-256"} {
		key, err := sign.ParseKey([]byte(encrypted(t, id.key, encryptions()[name])), known("lantern oil"))
		if err != nil {
			t.Errorf("%s: ParseKey = %v", name, err)
			continue
		}
		certificate, err := sign.ParseCertificate([]byte(id.pem))
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, map[string]string{"ours.ko": bytesToSign(999), "cert": id.der})
		if err := sign.New(b.root, "sha384", key, certificate).Sign(t.Context(), "/ours.ko"); err != nil {
			t.Fatal(err)
		}
		verify(t, b.root.Path("/ours.ko"), b.root.Path("/cert"))
	}
}

// What nobody in their senses has written is refused at once.
func TestEncryptedKeysRefused(t *testing.T) {
	t.Parallel()
	id := rsaIdentity(t)
	old := encrypted(t, id.key, []string{"pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"})
	_, err := sign.ParseKey([]byte(old), known("lantern oil"))
	const want = "it is encrypted with the algorithm 1.2.840.113549.1.12.1.3, not with PBES2: openssl pkcs8 -topk8 converts it"
	if err == nil || err.Error() != want {
		t.Errorf("ParseKey = %v, want %s", err, want)
	}
	many := encrypted(t, id.key, []string{"pkcs8", "-topk8", "-iter", "20000000"})
	if _, err := sign.ParseKey([]byte(many), known("x")); err == nil || err.Error() != "it wants 20000000 iterations of PBKDF2" {
		t.Errorf("ParseKey = %v, want a refusal", err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"pin": "from file\nand more\n", "open": "x", "run/dkms.passphrase": "from credential\r\n"})
	for name, perm := range map[string]os.FileMode{"/pin": 0o600, "/open": 0o644} {
		if err := os.Chmod(b.root.Path(name), perm); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		secrets sign.Secrets
		want    string
		err     string
	}{
		{"none", sign.Secrets{}, "", ""},
		{"all", sign.Secrets{PIN: "pin", Credentials: "/run", File: "/pin"}, "pin", ""},
		{"credential", sign.Secrets{Credentials: "/run", File: "/pin"}, "from credential", ""},
		{"other credentials", sign.Secrets{Credentials: "/", File: "/pin"}, "from file", ""},
		{"file", sign.Secrets{File: "/pin"}, "from file", ""},
		{"no file", sign.Secrets{File: "/none"}, "", "read its passphrase: stat " + b.root.Path("/none") + ": no such file or directory"},
		{"file for all", sign.Secrets{File: "/open"}, "", "others can read its passphrase (chmod 600 " + b.root.Path("/open") + ")"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.secrets.Host, test.secrets.Root = b.root, b.root
			got, err := test.secrets.Passphrase()
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got != test.want || text != test.err {
				t.Errorf("Passphrase = %q, %v, want %q, %q", got, err, test.want, test.err)
			}
		})
	}
}
