package sign_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/sign"
	"dkms-go/dkms/kmod"
)

// certificateOf parses what must be a certificate.
func certificateOf(t testing.TB, data string) *x509.Certificate {
	t.Helper()
	c, err := sign.ParseCertificate([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signedBy returns what sign-file makes of content.
func signedBy(t testing.TB, signFile, hash string, id identity, content string, options ...string) []byte {
	t.Helper()
	b := newBench(t, map[string]string{"key": id.key, "cert": id.der, "m.ko": content})
	tool(t, append(append([]string{signFile}, options...), hash, b.root.Path("/key"), b.root.Path("/cert"), b.root.Path("/m.ko"))...)
	return readFile(t, b.root.Path("/m.ko"))
}

// opensslSigned is a module with a message that openssl cms made, which may have
// signed attributes and certificates that sign-file's have not.
func opensslSigned(t testing.TB, id identity, content string, options ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		write(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	out := filepath.Join(dir, "out")
	tool(t, append([]string{
		"openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", file("in", content),
		"-signer", file("cert", id.pem), "-inkey", file("key", id.key), "-out", out,
	}, options...)...)
	message := readFile(t, out)
	trailer := []byte{0, 0, 2, 0, 0, 0, 0, 0, byte(len(message) >> 24), byte(len(message) >> 16), byte(len(message) >> 8), byte(len(message))}
	return bytes.Join([][]byte{[]byte(content), message, trailer, []byte(kmod.SignatureMagic)}, nil)
}

// What sign-file and openssl have signed is found intact, and nothing else is.
func TestVerify(t *testing.T) {
	t.Parallel()
	rsa, other, ec := rsaIdentity(t), otherIdentity(t), ecIdentity(t)
	keyed := newIdentity(t, "", "-addext", "subjectKeyIdentifier=hash")
	content := bytesToSign(3000)
	for _, signFile := range signFiles(t) {
		for _, hash := range hashes() {
			for _, id := range []identity{keyed, rsa, ec} {
				for _, options := range [][]string{nil, {"-k"}} { // -k: named by key identifier
					if options != nil && id.der != keyed.der {
						continue
					}
					module := signedBy(t, signFile, hash, id, content, options...)
					v := sign.Verify(module, certificateOf(t, id.der))
					if v.Finding != sign.Intact || v.Hash != hash && options == nil {
						t.Errorf("Verify of what %s %v has signed with %s = %+v, want intact", release(signFile), options, hash, v)
					}
					module[17] ^= 1
					if v := sign.Verify(module, certificateOf(t, id.der)); v.Finding != sign.Tampered {
						t.Errorf("Verify with one bit changed = %+v, want tampered", v)
					}
				}
			}
		}
	}
	withAttributes := opensslSigned(t, rsa, content, "-md", "sha384", "-nosmimecap")
	changed := bytes.Replace(withAttributes, []byte("quiet"), []byte("quite"), 1)
	intact := signedBy(t, signFiles(t)[0], "sha256", rsa, content)
	for _, test := range []struct {
		name   string
		module []byte
		by     *x509.Certificate
		want   sign.Finding
	}{
		{"attributes", withAttributes, certificateOf(t, rsa.der), sign.Intact},
		{"attributes, certificate left out", opensslSigned(t, ec, content, "-nocerts"), certificateOf(t, ec.pem), sign.Intact},
		{"attributes, other content", changed, certificateOf(t, rsa.der), sign.Tampered},
		{"another's", intact, certificateOf(t, ec.der), sign.OtherSigner},
		{"nobody's", intact, nil, sign.OtherSigner},
		{"in another's name", signedBy(t, signFiles(t)[0], "sha256", other, content), certificateOf(t, rsa.der), sign.OtherSigner},
		{"unsigned", []byte(content), certificateOf(t, rsa.der), sign.Unsigned},
		{"empty", nil, certificateOf(t, rsa.der), sign.Unsigned},
		{"magic only", []byte(kmod.SignatureMagic), certificateOf(t, rsa.der), sign.Damaged},
		{"trailer of nothing", []byte(content + "\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x08" + kmod.SignatureMagic), certificateOf(t, rsa.der), sign.Damaged},
	} {
		if v := sign.Verify(test.module, test.by); v.Finding != test.want {
			t.Errorf("%s: Verify = %+v, want %s", test.name, v, test.want)
		}
	}
	// Every bit counts, of the module and of the signature itself.
	const trailerAndMagic = 12 + len(kmod.SignatureMagic)
	for n := 0; n < len(intact)-trailerAndMagic; n += 7 {
		if n >= len(content) && n < len(intact)-trailerAndMagic-256 {
			continue
		}
		module := bytes.Clone(intact)
		module[n] ^= 0x10
		if v := sign.Verify(module, certificateOf(t, rsa.der)); v.Finding != sign.Tampered {
			t.Errorf("Verify with byte %d changed = %+v, want tampered", n, v)
		}
	}
}

// What modinfo reads of a signature is what we read.
func TestReadsTheirs(t *testing.T) {
	t.Parallel()
	for _, signFile := range signFiles(t) {
		id := newIdentity(t, "", "-subj", "/O=Debian/CN=Debian Secure Boot Signer")
		module := buildModule(t, strings.TrimSuffix(signFile, "/scripts/sign-file"))
		b := newBench(t, map[string]string{"key": id.key, "cert": id.der})
		tool(t, signFile, "sha512", b.root.Path("/key"), b.root.Path("/cert"), module)
		v := sign.Verify(readFile(t, module), certificateOf(t, id.der))
		field := func(name string) string { return strings.TrimSpace(tool(t, "modinfo", "-F", name, module)) }
		want := sign.Verdict{Finding: sign.Intact, Signer: field("signer"), KeyID: field("sig_key"), Hash: field("sig_hashalgo")}
		if diff := cmp.Diff(want, v); diff != "" {
			t.Errorf("%s: Verify (-modinfo +ours):\n%s", release(signFile), diff)
		}
	}
}

// The signatures of Debian's own modules, one of each kernel, say the same to us
// as to modinfo, and are nobody's that we know. (testdata/debian has what follows
// the modules; here it follows one of ours.)
func TestReadsDebians(t *testing.T) {
	t.Parallel()
	module := readFile(t, buildModule(t, strings.TrimSuffix(signFiles(t)[0], "/scripts/sign-file")))
	tails, err := filepath.Glob("testdata/debian/*")
	if err != nil || len(tails) != 2 {
		t.Fatal(tails, err)
	}
	for _, tail := range tails {
		file := filepath.Join(t.TempDir(), "theirs.ko")
		write(t, file, string(module)+string(readFile(t, tail)))
		field := func(name string) string { return strings.TrimSpace(tool(t, "modinfo", "-F", name, file)) }
		want := sign.Verdict{Finding: sign.OtherSigner, Signer: field("signer"), KeyID: field("sig_key"), Hash: field("sig_hashalgo")}
		got := sign.Verify(readFile(t, file), certificateOf(t, rsaIdentity(t).der))
		if diff := cmp.Diff(want, got); diff != "" || want.Signer == "" {
			t.Errorf("%s: Verify (-modinfo +ours):\n%s", tail, diff)
		}
	}
}

// What is found intact was signed by whoever has the key: it can only be one of
// the seeds.
func FuzzVerify(f *testing.F) {
	rsa, ec := rsaIdentity(f), ecIdentity(f)
	content := "All is quiet on the lantern deck."
	certificates := []*x509.Certificate{certificateOf(f, rsa.der), certificateOf(f, ec.der)}
	for _, id := range []identity{rsa, ec} {
		f.Add(signedBy(f, signFiles(f)[0], "sha256", id, content))
		f.Add(opensslSigned(f, id, content))
	}
	seeds, err := filepath.Glob("testdata/signed/*")
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range append(certificates, nil) {
			v := sign.Verify(data, c)
			payload, _, _ := kmod.SplitSignature(data)
			if v.Finding == sign.Intact && string(payload) != content {
				t.Errorf("Verify(%q) = %+v", data, v)
			}
		}
	})
}
