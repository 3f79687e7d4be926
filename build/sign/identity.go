package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"dkms-go/conf/sysroot"
)

// ParseKey returns the first private key of a PEM file, of RSA or ECDSA, in any
// of the forms that openssl writes: PKCS #8, PKCS #1 (RSA PRIVATE KEY) and SEC 1
// (EC PRIVATE KEY), encrypted or not. What else is in the file, such as a
// certificate, is passed over. Without a passphrase, nil included, an encrypted
// key is [ErrEncrypted]; with another one than the key's it is [ErrPassphrase].
func ParseKey(data []byte, passphrase Passphrase) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("it has no private key in PEM")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		key, err := unlock(block, passphrase)
		if err != nil {
			return nil, err
		}
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return key, nil
		}
		return nil, fmt.Errorf("no signatures with a key of type %T", key)
	}
}

// unlock parses a block with a private key, decrypting it where needed.
func unlock(block *pem.Block, passphrase Passphrase) (any, error) {
	if !isEncrypted(block) {
		return parseKeyBlock(block)
	}
	if passphrase == nil {
		return nil, ErrEncrypted
	}
	text, err := passphrase()
	switch {
	case err != nil:
		return nil, err
	case text == "":
		return nil, ErrEncrypted
	}
	if block, err = decrypt(block, text); err != nil {
		return nil, err
	}
	key, err := parseKeyBlock(block)
	if err != nil { // one wrong passphrase in 256 leaves what looks like padding
		return nil, ErrPassphrase
	}
	return key, nil
}

func parseKeyBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return nil, fmt.Errorf("no signatures with a key of type %q", block.Type)
}

// ParseCertificate returns the certificate of a DER file, or the first one of a
// PEM file, which may hold other things as well. As in sign-file the first two
// bytes of DER tell the two apart.
func ParseCertificate(data []byte) (*x509.Certificate, error) {
	if len(data) > 1 && data[0] == 0x30 && data[1] >= 0x81 && data[1] <= 0x84 {
		return x509.ParseCertificate(data)
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("it has no certificate, in DER or PEM")
		}
		if block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// identity reads a pair and checks it. False means that it cannot be used; the
// message reported says why.
func (r *Request) identity(pair Pair) (crypto.Signer, *x509.Certificate, bool) {
	key, certificate, problem := r.examine(pair)
	if problem != nil {
		r.report(problem)
		return nil, nil, false
	}
	return key, certificate, true
}

// load reads and parses a file of a pair. Longer ones than 1 MiB are none.
func load[T any](root *sysroot.Root, abs string, parse func([]byte) (T, error)) (T, fs.FileMode, error) {
	var none T
	f, err := root.Open(abs)
	if err != nil {
		return none, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return none, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return none, info.Mode(), err
	}
	v, err := parse(data)
	return v, info.Mode(), err
}

func belongs(key crypto.Signer, certificate *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(certificate.PublicKey)
}
