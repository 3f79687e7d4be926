package trust_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"dkms-go/build/sign/trust"
)

// esl has openssl and efitools make a certificate and a list with it.
func esl(t testing.TB, tool string, args ...string) (*x509.Certificate, []byte) {
	t.Helper()
	dir := t.TempDir()
	pemFile, out := filepath.Join(dir, "pem"), filepath.Join(dir, "esl")
	run := func(argv ...string) {
		t.Helper()
		if text, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, text)
		}
	}
	run("openssl", "req", "-new", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=Lantern", "-keyout", filepath.Join(dir, "key"), "-out", pemFile)
	run(append(append([]string{tool}, args...), pemFile, out)...)
	text, err := os.ReadFile(pemFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return c, list
}

// Lists that efitools makes hold the certificate they were made of, by itself or
// by its digest, and no other.
func TestParseList(t *testing.T) {
	t.Parallel()
	var all []byte
	var cs []*x509.Certificate
	for _, argv := range [][]string{
		{"cert-to-efi-sig-list"}, {"cert-to-efi-hash-list", "-s", "256"}, {"cert-to-efi-hash-list", "-s", "384"}, {"cert-to-efi-hash-list", "-s", "512"},
	} {
		c, data := esl(t, argv[0], argv[1:]...)
		l, err := trust.ParseList(data)
		if err != nil || !l.Has(c) {
			t.Errorf("ParseList of what %q made = %v, %v; want the certificate in it", argv, l, err)
		}
		for _, other := range cs {
			if l.Has(other) {
				t.Errorf("the list that %q made has another certificate", argv)
			}
		}
		for n := range data {
			if l, err := trust.ParseList(data[:n]); n > 0 && err == nil && l.Has(c) {
				t.Errorf("the first %d of %d bytes are a list", n, len(data))
			}
		}
		all, cs = append(all, data...), append(cs, c)
	}
	l, err := trust.ParseList(all)
	for n, c := range cs {
		if err != nil || !l.Has(c) {
			t.Errorf("all lists in one have certificate %d: false, %v", n, err)
		}
	}
}

// No input is too strange, and what is found was there.
func FuzzParseList(f *testing.F) {
	c, data := esl(f, "cert-to-efi-sig-list")
	_, digests := esl(f, "cert-to-efi-hash-list", "-s", "384")
	f.Add(data)
	f.Add(digests)
	f.Add(append(digests, data...))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := trust.ParseList(data)
		if err != nil && l.Has(c) {
			t.Errorf("ParseList(%q) = %v, %v", data, l, err)
		}
	})
}
