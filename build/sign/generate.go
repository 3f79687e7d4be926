package sign

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // a key identifier (RFC 5280, 4.2.1.2), not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// commonName is the subject of certificates made here.
const commonName = "DKMS module signing key"

// moduleSigningOnly is the extended key usage "kernel module signing only", which
// shim knows: a key with it does not make boot loaders or kernels trusted
// (VENDOR_CERT's OID_EKU_MODSIGN in shim's Cryptlib; Ubuntu's MOK has it).
func moduleSigningOnly() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 2312, 16, 1, 2}
}

// validity of a certificate made here: 36500 days.
const validity = 36500 * 24 * time.Hour

// keyBits is the size of RSA keys made here, which every kernel and firmware takes.
const keyBits = 2048

// generate makes an RSA key and a self-signed certificate for it,
// with the contents upstream gets from openssl req -x509 and the usage above: key
// as unencrypted PKCS #8 in PEM, certificate in DER.
func generate(now time.Time, bits int) (keyPEM, certDER []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, nil, fmt.Errorf("generate signing key: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode signing key: %w", err)
	}
	template, err := certificateTemplate(&key.PublicKey, now)
	if err != nil {
		return nil, nil, err
	}
	certDER, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), certDER, nil
}

func certificateTemplate(public *rsa.PublicKey, now time.Time) (*x509.Certificate, error) {
	subject, err := utf8Subject(commonName)
	if err != nil {
		return nil, err
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(x509.MarshalPKCS1PublicKey(public)) //nolint:gosec // as above
	return &x509.Certificate{
		SignatureAlgorithm:    x509.SHA256WithRSA,
		SerialNumber:          serial,
		RawSubject:            subject,
		NotBefore:             now,
		NotAfter:              now.Add(validity),
		BasicConstraintsValid: true,
		IsCA:                  true,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{moduleSigningOnly()},
		SubjectKeyId:          id[:],
		AuthorityKeyId:        id[:],
	}, nil
}

// utf8Subject encodes a name of one CN as UTF8String, as openssl does; left to
// itself crypto/x509 writes a PrintableString. Signatures name their signer by
// these bytes.
func utf8Subject(name string) ([]byte, error) {
	value := asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagUTF8String, Bytes: []byte(name)}
	return asn1.Marshal(pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: value}}})
}

// serialNumber draws a positive number of at most 159 bits: 20 octets once
// encoded, the most that RFC 5280 allows.
func serialNumber() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 159)
	for {
		serial, err := rand.Int(rand.Reader, limit)
		if err != nil || serial.Sign() > 0 {
			return serial, err
		}
	}
}
