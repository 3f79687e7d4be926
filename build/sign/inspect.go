package sign

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // how mokutil and MokManager name certificates
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"dkms-go/conf/sysroot"
)

// Inspection is what there is to know of the pair that would sign.
type Inspection struct {
	Pair        Pair
	Program     string            // what signs, if not we ourselves
	Certificate *x509.Certificate // nil when there is none to be read
	Problem     Message           // why nothing can be signed with it, or nil
}

// Inspect looks at the pair and changes nothing.
func Inspect(r Request) Inspection {
	i := Inspection{Pair: r.names(), Program: r.SignFile}
	if c, err := ReadCertificate(r.Root, i.Pair.Certificate); err == nil {
		i.Certificate = c
	}
	if i.Pair.onToken() && i.Program == "" {
		i.Program = r.signCommand()
	}
	i.Problem = r.inspect(i)
	return i
}

func (r *Request) inspect(i Inspection) Message {
	if i.Program != "" && !r.isRegular(i.Program) {
		return BinaryNotFound{Path: i.Program}
	}
	if i.Pair.onToken() {
		if i.Certificate == nil {
			return CertNotGenerated{Path: i.Pair.Certificate}
		}
		return r.examineForProgram(i.Pair)
	}
	complete, half := r.look(i.Pair)
	switch {
	case half != nil:
		return *half
	case !complete:
		return NoPair(i.Pair)
	case i.Program != "":
		return r.examineForProgram(i.Pair)
	}
	_, _, problem := r.examine(i.Pair)
	return problem
}

// ReadCertificate reads a certificate in DER or PEM.
func ReadCertificate(root *sysroot.Root, abs string) (*x509.Certificate, error) {
	c, _, err := load(root, abs, ParseCertificate)
	return c, err
}

// Description is what people want to know of a certificate.
type Description struct {
	Subject, Issuer     string
	Serial              string // AB:CD:..., as modinfo shows it for a module signed with it
	SHA256, SHA1        string // fingerprints, AB:CD:...; MokManager shows the latter
	Key                 string // such as "RSA 2048"
	NotBefore, NotAfter time.Time
	SignsCode           bool // extended key usage codeSigning
}

// Describe tells of a certificate.
func Describe(c *x509.Certificate) Description {
	s256, s1 := sha256.Sum256(c.Raw), sha1.Sum(c.Raw) //nolint:gosec // as above
	d := Description{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: colons(c.SerialNumber.Bytes()),
		SHA256: colons(s256[:]), SHA1: colons(s1[:]), Key: fmt.Sprint(c.PublicKeyAlgorithm),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, SignsCode: SignsCode(c),
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		d.Key = fmt.Sprint("RSA ", key.N.BitLen())
	case *ecdsa.PublicKey:
		d.Key = "ECDSA " + key.Params().Name
	}
	return d
}
