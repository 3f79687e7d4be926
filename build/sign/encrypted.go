package sign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// Encrypted keys come in two forms. PKCS #8 (RFC 5958) says within itself how it
// is encrypted: here PBES2 (RFC 8018) with a key made of the passphrase by PBKDF2
// or scrypt (RFC 7914), which is all that openssl writes unless told otherwise.
// The older form says so in the headers of the PEM block, and openssl has not
// written it since 1.0.0 except with -traditional.
//
// What the parameters ask for is bounded: a file that is no key of anybody's must
// not cost minutes or all memory.

// Errors of ParseKey about encrypted keys.
var (
	ErrEncrypted  = errors.New("it is encrypted, and no passphrase is known")
	ErrPassphrase = errors.New("the passphrase is wrong")
)

const (
	maxIterations   = 10_000_000 // of PBKDF2; openssl writes 2048, the careful write a million
	maxScryptMemory = 256 << 20  // bytes; openssl's default takes 16 MiB
)

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	Derivation pkix.AlgorithmIdentifier
	Cipher     pkix.AlgorithmIdentifier
}

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParameters struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

// isEncrypted reports whether a PEM block holds a key that takes a passphrase.
func isEncrypted(block *pem.Block) bool {
	return block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != ""
}

// decrypt returns the block that an encrypted one was made of.
func decrypt(block *pem.Block, passphrase string) (*pem.Block, error) {
	if block.Type != "ENCRYPTED PRIVATE KEY" {
		der, err := decryptOld(block, passphrase)
		return &pem.Block{Type: block.Type, Bytes: der}, err
	}
	der, err := decryptPKCS8(block.Bytes, passphrase)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, err
}

// decryptOld decrypts the older form (RFC 1423, section 1.1): DEK-Info names the
// cipher and its initial vector, and the key is made of MD5 sums of passphrase and
// vector (EVP_BytesToKey(3)).
func decryptOld(block *pem.Block, passphrase string) ([]byte, error) {
	name, text, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	oid := map[string]asn1.ObjectIdentifier{
		"AES-128-CBC": oidAES(2), "AES-192-CBC": oidAES(22), "AES-256-CBC": oidAES(42), "DES-EDE3-CBC": {1, 2, 840, 113549, 3, 7},
	}[name]
	if oid == nil {
		return nil, fmt.Errorf("it is encrypted with the unknown cipher %q", name)
	}
	newCipher, size, err := cipherFor(oid)
	if err != nil {
		return nil, err
	}
	iv, err := hex.DecodeString(text)
	if err != nil || len(iv) < 8 {
		return nil, errors.New("its initial vector is damaged")
	}
	var key []byte
	for last := []byte(nil); len(key) < size; key = append(key, last...) {
		h := md5.New()
		h.Write(last)
		h.Write([]byte(passphrase))
		h.Write(iv[:8])
		last = h.Sum(nil)
	}
	b, err := newCipher(key[:size])
	if err != nil {
		return nil, err
	}
	return decryptCBC(b, iv, block.Bytes)
}

// oidAES is the n-th way to use AES (RFC 3565).
func oidAES(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, n}
}

func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	var outer encryptedKey
	if err := unmarshal(der, &outer); err != nil {
		return nil, err
	}
	if !outer.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}) {
		return nil, fmt.Errorf("it is encrypted with the algorithm %v, not with PBES2: openssl pkcs8 -topk8 converts it", outer.Algorithm.Algorithm)
	}
	var scheme pbes2
	if err := unmarshal(outer.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, err
	}
	block, size, err := cipherFor(scheme.Cipher.Algorithm)
	if err != nil {
		return nil, err
	}
	key, err := derive(scheme.Derivation, passphrase, size)
	if err != nil {
		return nil, err
	}
	var iv []byte
	if err := unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	b, err := block(key)
	if err != nil {
		return nil, err
	}
	return decryptCBC(b, iv, outer.Data)
}

// decryptCBC takes the padding of RFC 8018, section 6.1.1, away. Padding that is
// none is how a wrong passphrase shows.
func decryptCBC(b cipher.Block, iv, data []byte) ([]byte, error) {
	size := b.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("its encrypted part is damaged")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(plain, data)
	n := int(plain[len(plain)-1])
	if n == 0 || n > size {
		return nil, ErrPassphrase
	}
	for _, p := range plain[len(plain)-n:] {
		if int(p) != n {
			return nil, ErrPassphrase
		}
	}
	return plain[:len(plain)-n], nil
}

// cipherFor knows the ciphers of openssl pkcs8 -v2 that are in use: AES and
// triple DES in CBC mode. The size is that of the key.
func cipherFor(oid asn1.ObjectIdentifier) (block func([]byte) (cipher.Block, error), size int, err error) {
	switch oid.String() {
	case "2.16.840.1.101.3.4.1.2":
		return aes.NewCipher, 16, nil
	case "2.16.840.1.101.3.4.1.22":
		return aes.NewCipher, 24, nil
	case "2.16.840.1.101.3.4.1.42":
		return aes.NewCipher, 32, nil
	case "1.2.840.113549.3.7":
		return des.NewTripleDESCipher, 24, nil
	}
	return nil, 0, fmt.Errorf("it is encrypted with the unknown cipher %v", oid)
}

// derive makes a key of size bytes.
func derive(a pkix.AlgorithmIdentifier, passphrase string, size int) ([]byte, error) {
	switch a.Algorithm.String() {
	case "1.2.840.113549.1.5.12":
		var p pbkdf2Parameters
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		prf, err := prfFor(p.PRF.Algorithm)
		if err != nil {
			return nil, err
		}
		if p.Iterations < 1 || p.Iterations > maxIterations {
			return nil, fmt.Errorf("it wants %d iterations of PBKDF2", p.Iterations)
		}
		return pbkdf2.Key(prf, passphrase, p.Salt, p.Iterations, size)
	case "1.3.6.1.4.1.11591.4.11":
		var p scryptParameters
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		if p.N < 2 || p.R < 1 || p.P < 1 || p.R > 1<<10 || p.P > 1<<4 || p.N > maxScryptMemory/(128*p.R) {
			return nil, fmt.Errorf("it wants scrypt with N=%d, r=%d, p=%d", p.N, p.R, p.P)
		}
		return scrypt.Key([]byte(passphrase), p.Salt, p.N, p.R, p.P, size)
	}
	return nil, fmt.Errorf("its key is derived by the unknown function %v", a.Algorithm)
}

// prfFor knows the functions that PBKDF2 may use; SHA-1 is meant when none is named.
func prfFor(oid asn1.ObjectIdentifier) (func() hash.Hash, error) {
	switch oid.String() {
	case "", "1.2.840.113549.2.7":
		return sha1.New, nil
	case "1.2.840.113549.2.8":
		return sha256.New224, nil
	case "1.2.840.113549.2.9":
		return sha256.New, nil
	case "1.2.840.113549.2.10":
		return sha512.New384, nil
	case "1.2.840.113549.2.11":
		return sha512.New, nil
	}
	return nil, fmt.Errorf("its key is derived with the unknown function %v", oid)
}

// unmarshal parses DER that is one value and nothing more.
func unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("it has something behind its end")
	}
	return err
}
