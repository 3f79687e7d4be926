package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // kernels can be configured to want it
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"hash"
	"math/big"

	"dkms-go/dkms/kmod"
)

// The signature of a module is a detached CMS message (RFC 5652, section 5) with
// one signer, who is named by issuer and serial number, without certificates and
// without signed attributes: what is signed is the module itself.

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content signedData `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version int
	Digests []pkix.AlgorithmIdentifier `asn1:"set"`
	Content encapsulatedContent
	Signers []signerInfo `asn1:"set"`
}

type encapsulatedContent struct {
	Type asn1.ObjectIdentifier
}

type signerInfo struct {
	Version   int
	Issuer    issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

// digest is a hash function and its names.
type digest struct {
	hash  crypto.Hash
	begin func() hash.Hash
	oid   asn1.ObjectIdentifier
	ecdsa asn1.ObjectIdentifier // of signatures made with it
}

// digestFor knows the values of CONFIG_MODULE_SIG_HASH that kernels and keys of
// RSA and ECDSA have in common. The sha3 family is not among them.
func digestFor(name string) (digest, error) {
	sha2 := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, n} }
	with := func(n ...int) asn1.ObjectIdentifier { return append(asn1.ObjectIdentifier{1, 2, 840, 10045, 4}, n...) }
	switch name {
	case "sha1":
		return digest{crypto.SHA1, sha1.New, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, with(1)}, nil
	case "sha224":
		return digest{crypto.SHA224, sha256.New224, sha2(4), with(3, 1)}, nil
	case "sha256":
		return digest{crypto.SHA256, sha256.New, sha2(1), with(3, 2)}, nil
	case "sha384":
		return digest{crypto.SHA384, sha512.New384, sha2(2), with(3, 3)}, nil
	case "sha512":
		return digest{crypto.SHA512, sha512.New, sha2(3), with(3, 4)}, nil
	}
	return digest{}, fmt.Errorf("the built-in signer has no hash %q, that takes a program: see sign_file in framework.conf", name)
}

// signature makes the CMS message for a module of which sum is the digest.
func signature(key crypto.Signer, certificate *x509.Certificate, d digest, sum []byte) ([]byte, error) {
	var algorithm pkix.AlgorithmIdentifier
	switch key.Public().(type) {
	case *rsa.PublicKey:
		algorithm = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}
	case *ecdsa.PublicKey:
		algorithm = pkix.AlgorithmIdentifier{Algorithm: d.ecdsa}
	default:
		return nil, fmt.Errorf("no signatures with a key of type %T", key.Public())
	}
	value, err := key.Sign(rand.Reader, sum, d.hash)
	if err != nil {
		return nil, err
	}
	pkcs7 := func(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, n} }
	hashed := pkix.AlgorithmIdentifier{Algorithm: d.oid}
	return asn1.Marshal(contentInfo{
		Type: pkcs7(2),
		Content: signedData{
			Version: 1,
			Digests: []pkix.AlgorithmIdentifier{hashed},
			Content: encapsulatedContent{pkcs7(1)},
			Signers: []signerInfo{{
				Version:   1,
				Issuer:    issuerAndSerial{asn1.RawValue{FullBytes: certificate.RawIssuer}, certificate.SerialNumber},
				Digest:    hashed,
				Algorithm: algorithm,
				Signature: value,
			}},
		},
	})
}

// trailer is what follows the message in a file: struct module_signature of
// include/linux/module_signature.h, and the marker.
func trailer(message []byte) []byte {
	const pkcs7 = 2 // PKEY_ID_PKCS7; every other field is in the message
	t := []byte{0, 0, pkcs7, 0, 0, 0, 0, 0}
	t = binary.BigEndian.AppendUint32(t, uint32(len(message)))
	return append(t, kmod.SignatureMagic...)
}
