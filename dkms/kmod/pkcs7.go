package kmod

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

// These follow RFC 2315, sections 7 and 9, as far as the kernel's sign-file makes
// use of it: one signer, named by issuer and serial number, and no content.

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      asn1.RawValue
	Content      asn1.RawValue
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version         int
	Issuer          issuerAndSerial
	Digest          pkix.AlgorithmIdentifier
	Authenticated   asn1.RawValue `asn1:"optional,tag:0"`
	Encryption      pkix.AlgorithmIdentifier
	Signature       []byte
	Unauthenticated asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Name   asn1.RawValue
	Serial *big.Int
}

type nameEntry struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type nameEntrySET []nameEntry

// fillPKCS7 takes from the message what modinfo shows of it. A message that
// cannot be understood leaves a signature by nobody, with an unknown digest:
// that it is there is known all the same (kmod_fill_pkcs7_dummy).
func (s *Signature) fillPKCS7() {
	s.HashAlgo = "unknown"
	var info contentInfo
	if _, err := asn1.Unmarshal(s.Data, &info); err != nil {
		return
	}
	var signed signedData
	if _, err := asn1.Unmarshal(info.Content.Bytes, &signed); err != nil || len(signed.Signers) == 0 {
		return
	}
	signer := signed.Signers[0]
	s.Signer = commonName(signer.Issuer.Name.FullBytes)
	s.KeyID = signer.Issuer.Serial.Bytes()
	s.HashAlgo = digestName(signer.Digest.Algorithm)
	s.Value = signer.Signature
}

// commonName is the first common name, else the last entry whatever it is
// (x509_name_to_str in kmod's libkmod-signature-openssl.c).
func commonName(der []byte) string {
	var name []nameEntrySET
	if _, err := asn1.Unmarshal(der, &name); err != nil {
		return ""
	}
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	var last []byte
	for _, set := range name {
		for _, entry := range set {
			last = entry.Value.Bytes
			if entry.Type.Equal(cn) {
				return string(cString(last))
			}
		}
	}
	return string(cString(last))
}

// digestName is openssl's name for a digest, which is the kernel's as well; an
// unknown one is shown by its numbers.
func digestName(oid asn1.ObjectIdentifier) string {
	switch id := oid.String(); id {
	case "1.2.840.113549.2.4":
		return "md4"
	case "1.2.840.113549.2.5":
		return "md5"
	case "1.3.14.3.2.26":
		return "sha1"
	case "1.3.36.3.2.1":
		return "rmd160"
	case "2.16.840.1.101.3.4.2.1":
		return "sha256"
	case "2.16.840.1.101.3.4.2.2":
		return "sha384"
	case "2.16.840.1.101.3.4.2.3":
		return "sha512"
	case "2.16.840.1.101.3.4.2.4":
		return "sha224"
	case "2.16.840.1.101.3.4.2.8":
		return "sha3-256"
	case "2.16.840.1.101.3.4.2.9":
		return "sha3-384"
	case "2.16.840.1.101.3.4.2.10":
		return "sha3-512"
	case "1.2.156.10197.1.401":
		return "sm3"
	default:
		return id
	}
}
