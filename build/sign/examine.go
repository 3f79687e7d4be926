package sign

import (
	"crypto"
	"crypto/x509"
	"slices"
	"strings"
)

// A pair is examined before anything is built: what is wrong with it is cheaper
// to hear of now than after an hour of compiling, and much cheaper than after a
// reboot.

// examine reads a pair whose key is a file. The message is what is wrong with it,
// or nil.
func (r *Request) examine(pair Pair) (crypto.Signer, *x509.Certificate, Message) {
	key, problem, err := r.readKey(pair)
	switch {
	case problem != nil:
		return nil, nil, problem
	case err != nil:
		return nil, nil, KeyUnreadable{Path: pair.Key, Err: err}
	}
	certificate, _, err := load(r.Root, pair.Certificate, ParseCertificate)
	if err != nil {
		return nil, nil, CertificateUnreadable{Path: pair.Certificate, Err: err}
	}
	if !belongs(key, certificate) {
		return nil, nil, KeyMismatch(pair)
	}
	return key, certificate, r.examineCertificate(pair, certificate)
}

// readKey reads the private key of a pair. The message tells of one that others
// can read too, whatever else is wrong with it.
func (r *Request) readKey(pair Pair) (crypto.Signer, Message, error) {
	isKey := false
	key, mode, err := load(r.Root, pair.Key, func(data []byte) (crypto.Signer, error) {
		isKey = strings.Contains(string(data), "PRIVATE KEY-----")
		return ParseKey(data, r.Passphrase)
	})
	if isKey && exposed(mode) {
		return nil, KeyExposed{Path: pair.Key, Host: r.Root.Path(pair.Key), Mode: mode.Perm()}, nil
	}
	return key, nil, err
}

// examineCertificate looks for what would make signatures worthless.
//
// Keys that dkms made before 3.1.7 may not say that they sign code. Only kernels
// that were configured to ask for it (CONFIG_CHECK_CODESIGN_EKU, a patch of SUSE)
// refuse them, so they are refused for these kernels only.
func (r *Request) examineCertificate(pair Pair, certificate *x509.Certificate) Message {
	if r.Now().After(certificate.NotAfter) {
		return Expired{Path: pair.Certificate, NotAfter: certificate.NotAfter}
	}
	if asked, _ := r.ConfigValue("CONFIG_CHECK_CODESIGN_EKU"); asked == "y" && !SignsCode(certificate) {
		return NoCodeSigning{Path: pair.Certificate}
	}
	return nil
}

// SignsCode reports whether a certificate says that its key signs code.
func SignsCode(certificate *x509.Certificate) bool {
	return slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageCodeSigning)
}

// examineForProgram is examine for a pair that a program signs with. What the
// program makes of files that say nothing to us is its own business.
func (r *Request) examineForProgram(pair Pair) Message {
	certificate, _, err := load(r.Root, pair.Certificate, ParseCertificate)
	if err != nil {
		certificate = nil
	}
	if !pair.onToken() {
		key, problem, err := r.readKey(pair)
		switch {
		case problem != nil:
			return problem
		case err == nil && certificate != nil && !belongs(key, certificate):
			return KeyMismatch(pair)
		}
	}
	if certificate == nil {
		return nil
	}
	return r.examineCertificate(pair, certificate)
}
