package sign_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dkms-go/build/sign"
)

// newPair makes a key pair and returns the host paths of its files.
func newPair(t *testing.T, now time.Time) (keyFile, certFile string) {
	t.Helper()
	b := newBench(t, map[string]string{"/var/lib/dkms/x": ""})
	r := b.request(nil)
	r.Now = func() time.Time { return now }
	pair, err := sign.PrepareKeys(t.Context(), r)
	if err != nil || pair == nil {
		t.Fatalf("PrepareKeys = %v, %v, messages %+v", pair, err, b.messages)
	}
	return filepath.Join(b.dir, pair.Key), filepath.Join(b.dir, pair.Certificate)
}

// The certificate is compared with the one upstream's command makes for the
// same key: only serial number, signature and the two dates may differ.
//
// difference: usage of certificates
func TestCertificateEqualsOpenssl(t *testing.T) {
	t.Parallel()
	keyFile, certFile := newPair(t, time.Now())
	theirs := filepath.Join(t.TempDir(), "theirs.der")
	tool(t, "openssl", "req", "-new", "-x509", "-nodes", "-days", "36500", "-subj", "/CN=DKMS module signing key",
		"-key", keyFile, "-addext", "extendedKeyUsage=codeSigning,1.3.6.1.4.1.2312.16.1.2", "-outform", "DER", "-out", theirs)
	describe := func(file string) string {
		text := tool(t, "openssl", "x509", "-inform", "DER", "-in", file, "-noout", "-text")
		text = regexp.MustCompile(`(Serial Number:\n).*`).ReplaceAllString(text, "${1}SERIAL")
		text = regexp.MustCompile(`(?s)(Signature Value:\n).*`).ReplaceAllString(text, "${1}SIGNATURE")
		return regexp.MustCompile(`(Not (Before|After ): ).*`).ReplaceAllString(text, "${1}DATE")
	}
	want, got := describe(theirs), describe(certFile)
	// Extensions are a set; openssl writes them in another order than Go.
	blocks := func(text string) []string {
		_, extensions, ok := strings.Cut(text, "X509v3 extensions:\n")
		if !ok {
			t.Fatalf("no extensions in\n%s", text)
		}
		var sorted []string
		for _, e := range regexp.MustCompile(`(?m)^ {12}X509v3 .*\n.*$`).FindAllString(extensions, -1) {
			sorted = append(sorted, strings.TrimSpace(e))
		}
		return sorted
	}
	less := func(a, b string) bool { return a < b }
	if diff := cmp.Diff(blocks(want), blocks(got), cmpopts.SortSlices(less)); diff != "" || len(blocks(got)) != 4 {
		t.Errorf("extensions (-openssl +ours):\n%s", diff)
	}
	head := func(text string) string { before, _, _ := strings.Cut(text, "X509v3 extensions:"); return before }
	if diff := cmp.Diff(head(want), head(got)); diff != "" {
		t.Errorf("certificate (-openssl +ours):\n%s", diff)
	}
	// Issuer and subject must be the same bytes, string type included.
	names := func(file string) []string {
		text := tool(t, "openssl", "asn1parse", "-inform", "DER", "-in", file)
		return regexp.MustCompile(`prim: +(\S+STRING) +:DKMS module signing key`).FindAllString(text, -1)
	}
	if diff := cmp.Diff(names(theirs), names(certFile)); diff != "" || len(names(certFile)) != 2 {
		t.Errorf("names (-openssl +ours):\n%s", diff)
	}
}

func TestKeyAndValidity(t *testing.T) {
	t.Parallel()
	keyFile, certFile := newPair(t, time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC))
	dates := tool(t, "openssl", "x509", "-inform", "DER", "-in", certFile, "-noout", "-dates")
	if want := "notBefore=Nov 23 01:02:03 2026 GMT\nnotAfter=Oct 30 01:02:03 2126 GMT\n"; dates != want {
		t.Errorf("dates = %q, want %q", dates, want)
	}
	tool(t, "openssl", "pkey", "-in", keyFile, "-check", "-noout")
	text, err := os.ReadFile(keyFile)
	if err != nil || !strings.HasPrefix(string(text), "-----BEGIN PRIVATE KEY-----\n") {
		t.Errorf("key begins with %.30q, %v, want PKCS #8 in PEM", text, err)
	}
	public := tool(t, "openssl", "x509", "-inform", "DER", "-in", certFile, "-noout", "-pubkey")
	if want := tool(t, "openssl", "pkey", "-in", keyFile, "-pubout"); public != want {
		t.Errorf("public key = %q, want that of the private key, %q", public, want)
	}
	_, other := newPair(t, time.Now())
	if serial(t, certFile) == serial(t, other) {
		t.Errorf("two certificates have the serial number %s", serial(t, other))
	}
}

func serial(t *testing.T, certFile string) string {
	t.Helper()
	text := tool(t, "openssl", "x509", "-inform", "DER", "-in", certFile, "-noout", "-serial")
	return strings.TrimSpace(strings.TrimPrefix(text, "serial="))
}

// verify checks the signature at the end of a module with openssl: the trailer
// of include/linux/module_signature.h has the signature's length in four bytes
// before the marker.
func verify(t *testing.T, module, certFile string) {
	t.Helper()
	data, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	data, ok := bytes.CutSuffix(data, []byte("~Module signature appended~\n"))
	if !ok {
		t.Fatalf("%s has no signature", module)
	}
	size := 0
	for _, b := range data[len(data)-4:] {
		size = size<<8 | int(b)
	}
	data = data[:len(data)-12]
	dir := t.TempDir()
	write(t, filepath.Join(dir, "content"), string(data[:len(data)-size]))
	write(t, filepath.Join(dir, "cms"), string(data[len(data)-size:]))
	tool(t, "openssl", "x509", "-inform", "DER", "-in", certFile, "-out", filepath.Join(dir, "cert.pem"))
	tool(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", filepath.Join(dir, "cms"),
		"-content", filepath.Join(dir, "content"), "-certfile", filepath.Join(dir, "cert.pem"), "-noverify", "-out", "/dev/null")
}

// buildModule builds testdata/module with headers.
func buildModule(t *testing.T, headers string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	tool(t, "make", "-C", headers, "M="+dir, "KERNELRELEASE="+filepath.Base(filepath.Dir(headers)))
	return filepath.Join(dir, "signme.ko")
}
