package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"hash"

	"dkms-go/dkms/kmod"
)

// Finding is what verifying a module has found, in one word.
type Finding string

// The findings. The words are part of the output of dkms key verify --json.
const (
	Intact      Finding = "intact"       // the certificate's owner has signed exactly this
	Unsigned    Finding = "unsigned"     // nobody has signed it
	Damaged     Finding = "damaged"      // what looks like a signature is none that kernels take
	OtherSigner Finding = "other-signer" // somebody else has signed it, so nothing more is known
	Tampered    Finding = "tampered"     // the certificate's owner has signed something else
)

// Verdict is what is known of the signature of a module.
type Verdict struct {
	Finding Finding
	Signer  string // common name of who issued the signer's certificate; for self-signed ones the signer
	KeyID   string // serial number, or key identifier, of the signer's certificate: AB:CD:...
	Hash    string // such as "sha256"
}

// Verify checks the signature at the end of a module, decompressed, against a
// certificate; nil stands for one that has signed nothing. Validity and usage of
// the certificate are not looked at, as kernels do not.
func Verify(module []byte, certificate *x509.Certificate) Verdict {
	payload, sig, err := kmod.SplitSignature(module)
	switch {
	case err != nil:
		return Verdict{Finding: Damaged}
	case sig == nil:
		return Verdict{Finding: Unsigned}
	}
	v := Verdict{Signer: sig.Signer, KeyID: colons(sig.KeyID), Hash: sig.HashAlgo}
	s, err := parseSigner(sig.Data)
	if err != nil {
		v.Finding = Damaged
		return v
	}
	if s.keyID != nil {
		v.KeyID = colons(s.keyID)
	}
	switch {
	case certificate == nil || !s.isBy(certificate):
		v.Finding = OtherSigner
	case s.check(payload, certificate) != nil:
		v.Finding = Tampered
	default:
		v.Finding = Intact
	}
	return v
}

// colons writes bytes as modinfo does.
func colons(b []byte) string {
	text := bytes.ToUpper([]byte(hex.EncodeToString(b)))
	var out []byte
	for n, c := range text {
		if n > 0 && n%2 == 0 {
			out = append(out, ':')
		}
		out = append(out, c)
	}
	return string(out)
}

// readSignedData is signedData as others may have made it.
type readSignedData struct {
	Version      int
	Digests      asn1.RawValue
	Content      asn1.RawValue
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	Revocations  asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []readSigner  `asn1:"set"`
}

type readSigner struct {
	Version    int
	ID         asn1.RawValue // issuer and serial number, or [0] subject key identifier
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
}

type readAttribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// signer is the one signer of a message.
type signer struct {
	readSigner
	issuer issuerAndSerial // or
	keyID  []byte          // what the signer is named by
	digest digest
}

var errMessage = errors.New("no signature that kernels take")

// parseSigner takes a CMS message apart. Like kernels it wants one that contains
// nothing but signatures (pkcs7_check_content_type, pkcs7_supply_detached_data).
func parseSigner(der []byte) (*signer, error) {
	var outer struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	if err := unmarshal(der, &outer); err != nil {
		return nil, err
	}
	var signed readSignedData
	if err := unmarshal(outer.Content.Bytes, &signed); err != nil {
		return nil, err
	}
	if !outer.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}) || len(signed.Signers) != 1 {
		return nil, errMessage
	}
	s := &signer{readSigner: signed.Signers[0]}
	if s.ID.Class == asn1.ClassContextSpecific && s.ID.Tag == 0 {
		s.keyID = s.ID.Bytes
	} else if err := unmarshal(s.ID.FullBytes, &s.issuer); err != nil {
		return nil, err
	}
	for _, name := range []string{"sha1", "sha224", "sha256", "sha384", "sha512"} {
		if d, err := digestFor(name); err == nil && d.oid.Equal(s.Digest.Algorithm) {
			s.digest = d
			return s, nil
		}
	}
	return nil, errMessage
}

// isBy reports whether the signer is named as the owner of a certificate.
func (s *signer) isBy(c *x509.Certificate) bool {
	if s.keyID != nil {
		return bytes.Equal(s.keyID, c.SubjectKeyId)
	}
	return bytes.Equal(s.issuer.Issuer.FullBytes, c.RawIssuer) && s.issuer.Serial.Cmp(c.SerialNumber) == 0
}

// check returns nil if the owner of the certificate has signed payload.
func (s *signer) check(payload []byte, c *x509.Certificate) error {
	sum := digestOf(s.digest.begin(), payload)
	if len(s.Attributes.FullBytes) > 0 {
		// What is signed then is the set of attributes, one of which is the digest
		// (RFC 5652, section 5.4). sign-file makes none, others may.
		set := bytes.Clone(s.Attributes.FullBytes)
		set[0] = 0x31 // SET OF instead of [0]
		if err := attributesHold(set, sum); err != nil {
			return err
		}
		sum = digestOf(s.digest.begin(), set)
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, s.digest.hash, sum, s.Signature)
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, sum, s.Signature) {
			return nil
		}
	}
	return errMessage
}

func digestOf(h hash.Hash, data []byte) []byte {
	h.Write(data)
	return h.Sum(nil)
}

// attributesHold returns nil if a set of attributes names sum as the digest.
func attributesHold(set, sum []byte) error {
	var attributes []readAttribute
	if rest, err := asn1.UnmarshalWithParams(set, &attributes, "set"); err != nil || len(rest) > 0 {
		return errMessage
	}
	for _, a := range attributes {
		var value []byte
		if a.Type.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}) && len(a.Values) == 1 &&
			unmarshal(a.Values[0].FullBytes, &value) == nil && bytes.Equal(value, sum) {
			return nil
		}
	}
	return errMessage
}
