package kmod_test

import (
	"bytes"
	"errors"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dkms-go/dkms/kmod"
)

func TestSignatureAgreesWithTools(t *testing.T) {
	t.Parallel()
	b := builds(t)[0]
	sign := b.signFile(t)
	const subject = "/O=Example/CN=kmodtest signer ä/OU=Tests/"
	rsa, ec := []string{"-newkey", "rsa:2048"}, []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
	for _, c := range []struct {
		name, hash      string
		newkey          []string
		serial          string
		subject, signer string
	}{
		{"rsa sha256", "sha256", rsa, "", subject, "kmodtest signer ä"},
		{"rsa sha512", "sha512", rsa, "", subject, "kmodtest signer ä"},
		{"rsa sha1", "sha1", rsa, "1", subject, "kmodtest signer ä"},
		{"ec sha384", "sha384", ec, "", subject, "kmodtest signer ä"},
		{"serial with high bit", "sha224", ec, "0x8000000000000001", subject, "kmodtest signer ä"},
		{"no common name", "sha256", ec, "", "/O=Example/OU=Tests", "Tests"},
		{"two common names", "sha256", ec, "", "/CN=One/CN=Two", "One"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			newkey := slices.Clone(c.newkey)
			if c.serial != "" {
				newkey = append(newkey, "-set_serial", c.serial)
			}
			key, cert := signingKey(t, dir, c.subject, newkey...)
			plain := readFile(t, b.path("kmodtest_user"))
			path := copyFile(t, b.path("kmodtest_user"), filepath.Join(dir, "kmodtest_user.ko"))
			tool(t, "linux-kbuild", sign, c.hash, key, cert, path)

			checkInfo(t, path, path)
			packed := compressors()[0].pack(t, path)
			checkInfo(t, packed, packed)
			checkSymbols(t, path)

			payload, sig, err := kmod.SplitSignature(readFile(t, path))
			if err != nil || sig == nil {
				t.Fatalf("SplitSignature = %v, %v; want a signature", sig, err)
			}
			if !bytes.Equal(payload, plain) || sig.PayloadSize != int64(len(plain)) {
				t.Errorf("payload has %d bytes, PayloadSize = %d; want the %d that were signed", len(payload), sig.PayloadSize, len(plain))
			}
			serial := strings.TrimPrefix(strings.TrimSpace(string(tool(t, "openssl", "openssl", "x509", "-noout", "-serial", "-in", cert))), "serial=")
			if got := new(big.Int).SetBytes(sig.KeyID); strings.TrimLeft(serial, "0") != strings.ToUpper(got.Text(16)) {
				t.Errorf("KeyID = %x, want %s", sig.KeyID, serial)
			}
			if sig.HashAlgo != c.hash || sig.Signer != c.signer {
				t.Errorf("signature by %q with %q, want %q with %q", sig.Signer, sig.HashAlgo, c.signer, c.hash)
			}
			// openssl accepts Data as a signature of the payload
			tool(t, "openssl", "openssl", "cms", "-verify", "-binary", "-noverify", "-inform", "DER",
				"-in", writeFile(t, dir, "sig.der", sig.Data), "-content", writeFile(t, dir, "payload", payload),
				"-certfile", cert, "-nointern", "-out", "/dev/null")

			o, err := kmod.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := o.Signature(); err != nil || same.PayloadSize != sig.PayloadSize || !bytes.Equal(same.Data, sig.Data) {
				t.Errorf("Signature() = %v, %v; want %v", same, err, sig)
			}
		})
	}
}

func TestUnsigned(t *testing.T) {
	t.Parallel()
	o, err := kmod.Parse(newELF64().bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := o.Signature(); sig != nil || err != nil {
		t.Errorf("Signature() = %v, %v; want none", sig, err)
	}
	for _, s := range []string{"", "x", kmod.SignatureMagic[1:], kmod.SignatureMagic + "x"} {
		if payload, sig, err := kmod.SplitSignature([]byte(s)); string(payload) != s || sig != nil || err != nil {
			t.Errorf("SplitSignature(%q) = %q, %v, %v; want it unchanged", s, payload, sig, err)
		}
	}
}

// trailer is a struct module_signature and the magic.
func trailer(algo, hash, idType, signerLen, keyIDLen byte, sigLen uint32) string {
	return string([]byte{
		algo, hash, idType, signerLen, keyIDLen, 0, 0, 0,
		byte(sigLen >> 24), byte(sigLen >> 16), byte(sigLen >> 8), byte(sigLen),
	}) + kmod.SignatureMagic
}

func TestDamagedSignature(t *testing.T) {
	t.Parallel()
	module := newELF64().bytes(t)
	for name, end := range map[string]string{
		"algorithm unknown": "abcd" + trailer(2, 0, 2, 0, 0, 4),
		"hash unknown":      "abcd" + trailer(0, 9, 2, 0, 0, 4),
		"type unknown":      "abcd" + trailer(0, 0, 3, 0, 0, 4),
		"no signature":      "abcd" + trailer(0, 0, 2, 0, 0, 0),
		"too long":          "abcd" + trailer(0, 0, 2, 0, 0, 1<<20),
		"longest":           "abcd" + trailer(0, 0, 0, 255, 255, 1<<32-1),
	} {
		data := append(slices.Clone(module), end...)
		path := writeFile(t, t.TempDir(), "test.ko", data)
		checkInfo(t, path, path) // modinfo shows no signature, nor does Info
		o, err := kmod.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := o.Signature(); sig != nil || !errors.Is(err, kmod.ErrSignature) {
			t.Errorf("%s: Signature() = %v, %v; want ErrSignature", name, sig, err)
		}
		if payload, sig, err := kmod.SplitSignature(data); !bytes.Equal(payload, data) || sig != nil || !errors.Is(err, kmod.ErrSignature) {
			t.Errorf("%s: SplitSignature = %d bytes, %v, %v; want all of it and ErrSignature", name, len(payload), sig, err)
		}
	}
	if _, _, err := kmod.SplitSignature([]byte("short" + kmod.SignatureMagic)); !errors.Is(err, kmod.ErrSignature) {
		t.Errorf("SplitSignature of a magic without room before it: %v, want ErrSignature", err)
	}
}

func TestOldSignatureTypes(t *testing.T) {
	t.Parallel()
	for _, idType := range []byte{0, 1} {
		data := slices.Concat(newELF64().bytes(t), []byte("Somebody"), []byte{1, 0xfe}, []byte("sig"),
			[]byte(trailer(1, 4, idType, 8, 2, 3)))
		path := writeFile(t, t.TempDir(), "test.ko", data)
		checkInfo(t, path, path)
		_, sig, err := kmod.SplitSignature(data)
		if err != nil || string(sig.Data) != "sig" || sig.Signer != "Somebody" || sig.HashAlgo != "sha256" {
			t.Errorf("SplitSignature = %+v, %v; want sig by Somebody with sha256", sig, err)
		}
	}
}

func TestSignatureNotUnderstood(t *testing.T) {
	t.Parallel()
	_, sig, err := kmod.SplitSignature([]byte("module" + "0000" + trailer(0, 0, 2, 0, 0, 4)))
	if err != nil || sig.Type != "PKCS#7" || sig.HashAlgo != "unknown" || sig.Signer != "" || string(sig.Data) != "0000" || sig.PayloadSize != 6 {
		t.Errorf("SplitSignature = %+v, %v; want an unknown signature of 6 bytes", sig, err)
	}
}
