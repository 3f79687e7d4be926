package sign_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"dkms-go/build/sign"
)

// identity is what a pair of files holds, in every form that tests need.
type identity struct {
	key      string            // PKCS #8
	keys     map[string]string // other forms of the key
	pem, der string            // certificate
}

// newIdentity has openssl make a key and a certificate: of RSA, or of the curve
// named. Further arguments are for openssl req.
func newIdentity(t testing.TB, curve string, args ...string) identity {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write(t, file("req.conf"), "[req]\ndistinguished_name = dn\nstring_mask = nombstr\nprompt = no\n[dn]\nO = Lantern Works\nCN = Printable Signer\n")
	kind := []string{"-newkey", "rsa:2048"}
	if curve != "" {
		kind = []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:" + curve}
	}
	argv := append([]string{"openssl", "req", "-new", "-x509", "-nodes", "-days", "100", "-config", file("req.conf"), "-keyout", file("key"), "-out", file("pem")}, kind...)
	tool(t, append(argv, args...)...)
	tool(t, "openssl", "x509", "-in", file("pem"), "-outform", "DER", "-out", file("der"))
	tool(t, "openssl", "pkey", "-in", file("key"), "-traditional", "-out", file("traditional"))
	tool(t, "openssl", "pkcs8", "-topk8", "-in", file("key"), "-passout", "pass:x", "-out", file("encrypted"))
	tool(t, "openssl", "pkey", "-in", file("key"), "-traditional", "-aes128", "-passout", "pass:x", "-out", file("encrypted traditional"))
	read := func(name string) string {
		data, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	return identity{
		key: read("key"), pem: read("pem"), der: read("der"),
		keys: map[string]string{
			"traditional": read("traditional"), "encrypted": read("encrypted"), "encrypted traditional": read("encrypted traditional"),
		},
	}
}

// shared are identities that several tests use and none changes, made once
// because RSA keys take their time.
type shared struct {
	sync.Mutex
	made map[string]identity
}

var identities = shared{made: map[string]identity{}}

func (s *shared) named(t testing.TB, name, curve string) identity {
	t.Helper()
	s.Lock()
	defer s.Unlock()
	if _, ok := s.made[name]; !ok {
		s.made[name] = newIdentity(t, curve)
	}
	return s.made[name]
}

func rsaIdentity(t testing.TB) identity   { t.Helper(); return identities.named(t, "rsa", "") }
func otherIdentity(t testing.TB) identity { t.Helper(); return identities.named(t, "other", "") }
func ecIdentity(t testing.TB) identity    { t.Helper(); return identities.named(t, "ec", "P-256") }

func TestParseKey(t *testing.T) {
	t.Parallel()
	rsaID, ecID := rsaIdentity(t), ecIdentity(t)
	ed25519 := tool(t, "openssl", "genpkey", "-algorithm", "ed25519")
	withParameters := tool(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey")
	for _, test := range []struct {
		name, data string
		want       string // kind of key, or the error
	}{
		{"PKCS #8", rsaID.key, "RSA"},
		{"PKCS #1", rsaID.keys["traditional"], "RSA"},
		{"EC in PKCS #8", ecID.key, "ECDSA"},
		{"SEC 1", ecID.keys["traditional"], "ECDSA"},
		{"SEC 1 behind parameters", withParameters, "ECDSA"},
		{"certificate behind it", rsaID.key + rsaID.pem, "RSA"},
		{"certificate before it", rsaID.pem + rsaID.key, "RSA"},
		{"words before it", "Bag Attributes\n    friendlyName: lantern\n" + rsaID.key, "RSA"},
		{"encrypted", rsaID.keys["encrypted"], "it is encrypted, and no passphrase is known"},
		{"encrypted PKCS #1", rsaID.keys["encrypted traditional"], "it is encrypted, and no passphrase is known"},
		{"ed25519", ed25519, "no signatures with a key of type ed25519.PrivateKey"},
		{"other", "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", `no signatures with a key of type "DSA PRIVATE KEY"`},
		{"certificate only", rsaID.pem, "it has no private key in PEM"},
		{"DER", rsaID.der, "it has no private key in PEM"},
		{"cut off", rsaID.key[:200], "it has no private key in PEM"},
		{"empty", "", "it has no private key in PEM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, err := sign.ParseKey([]byte(test.data), nil)
			var got string
			switch key.(type) {
			case *rsa.PrivateKey:
				got = "RSA"
			case *ecdsa.PrivateKey:
				got = "ECDSA"
			}
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("ParseKey = %q, want %q", got, test.want)
			}
		})
	}
}

func TestParseCertificate(t *testing.T) {
	t.Parallel()
	id := rsaIdentity(t)
	const none = "it has no certificate, in DER or PEM"
	for _, test := range []struct{ name, data, want string }{
		{"DER", id.der, ""},
		{"PEM", id.pem, ""},
		{"key before it", id.key + id.pem, ""},
		{"key only", id.key, none},
		{"empty", "", none},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			certificate, err := sign.ParseCertificate([]byte(test.data))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want || err == nil && string(certificate.Raw) != id.der {
				t.Errorf("ParseCertificate = %q, want %q and the same certificate", got, test.want)
			}
		})
	}
	if _, err := sign.ParseCertificate([]byte(id.der[:300])); err == nil {
		t.Error("ParseCertificate of half a certificate succeeds")
	}
}

// Keys and certificates come from anywhere. What is taken for one must be able
// to sign.
func FuzzParseKey(f *testing.F) {
	rsaID, ecID := rsaIdentity(f), ecIdentity(f)
	for _, id := range []identity{rsaID, ecID} {
		f.Add([]byte(id.key))
		f.Add([]byte(id.pem + id.keys["traditional"]))
		f.Add([]byte(id.keys["encrypted"]))
		f.Add([]byte(id.der))
	}
	seeds, err := filepath.Glob("testdata/keys/*")
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, name := range seeds {
		f.Add(readFile(f, name))
	}
	module := "module"
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = sign.ParseCertificate(data)
		key, err := sign.ParseKey(data, known("x"))
		if err != nil {
			if key != nil {
				t.Errorf("ParseKey(%q) = %v and %v", data, key, err)
			}
			return
		}
		certificate, err := sign.ParseCertificate([]byte(rsaID.der))
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t, map[string]string{"m.ko": module})
		err = sign.New(b.root, "sha256", key, certificate).Sign(t.Context(), "/m.ko")
		if got := b.files(t)["/m.ko"]; err != nil && got != "-rw-r--r-- "+module {
			t.Errorf("Sign with %q = %v, and the file is %q", data, err, got)
		}
	})
}
