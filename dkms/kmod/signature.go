package kmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// SignatureMagic is the end of a signed module (MODULE_SIG_STRING in
// include/linux/module_signature.h).
const SignatureMagic = "~Module signature appended~\n"

// trailerSize is the size of struct module_signature, which precedes the magic.
const trailerSize = 12

// Signature is what follows a signed module.
type Signature struct {
	// Type is the form of the signature: "PKCS#7", which is all that kernels since
	// 4.3 write and take, or the older "PGP" and "X509". modinfo: sig_id.
	Type string
	// Signer is the common name of the issuer of the signer's certificate; for a
	// self-signed one, its own. modinfo: signer.
	Signer string
	// KeyID is the serial number of the signer's certificate, without leading
	// zeros. modinfo: sig_key.
	KeyID []byte
	// HashAlgo is the digest as the kernel's configuration names it, such as
	// "sha256"; "unknown" when Data cannot be understood. modinfo: sig_hashalgo.
	HashAlgo string
	// Value is the result of the public key operation alone. modinfo: signature.
	Value []byte
	// Data is the signature as it lies in the file: for PKCS#7 the DER message.
	Data []byte
	// PayloadSize is how many bytes of the file, decompressed, are the module
	// without anything that signing added.
	PayloadSize int64
}

// ErrSignature says that a module ends like a signed one, but what precedes the
// end is no signature. The kernel refuses such modules.
var ErrSignature = errors.New("damaged signature trailer")

// Signature is the module's signature, nil when it is not signed. The error is
// [ErrSignature]. Nothing is verified.
func (o *Object) Signature() (*Signature, error) { return o.signature, o.sigErr }

// SplitSignature parts a module's bytes, decompressed, into the module proper
// and its signature, nil when it is not signed. It looks at the end alone, so
// that the rest need not be a module. The error is [ErrSignature].
func SplitSignature(module []byte) (payload []byte, sig *Signature, err error) {
	src := source{r: bytes.NewReader(module), data: module, size: int64(len(module))}
	sig, err = readSignature(src)
	if err != nil || sig == nil {
		return module, nil, err
	}
	return module[:sig.PayloadSize], sig, nil
}

// readSignature follows kmod_module_signature_info in kmod's libkmod-signature.c.
func readSignature(src source) (*Signature, error) {
	const end = trailerSize + len(SignatureMagic)
	if src.size < int64(len(SignatureMagic)) {
		return nil, nil
	}
	size := min(src.size, int64(end))
	tail, err := src.bytes("signature", uint64(src.size-size), uint64(size))
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(tail, []byte(SignatureMagic)) {
		return nil, nil
	}
	if len(tail) < end {
		return nil, ErrSignature
	}
	// algo, hash, id_type, signer_len, key_id_len, three bytes of padding, sig_len
	hash, idType := hashName(tail[1]), typeName(tail[2])
	signer, keyID, length := int64(tail[3]), int64(tail[4]), int64(binary.BigEndian.Uint32(tail[8:]))
	payload := src.size - int64(end) - length - keyID - signer
	if tail[0] > 1 || hash == "" || idType == "" || length == 0 || payload < 0 {
		return nil, ErrSignature
	}
	block, err := src.bytes("signature", uint64(payload), uint64(signer+keyID+length))
	if err != nil {
		return nil, err
	}
	block = bytes.Clone(block)
	sig := &Signature{Type: idType, Data: block[signer+keyID:], PayloadSize: payload}
	if idType == typePKCS7 {
		sig.fillPKCS7()
		return sig, nil
	}
	sig.Signer = string(cString(block[:signer]))
	sig.KeyID = block[signer : signer+keyID]
	sig.HashAlgo = hash
	sig.Value = sig.Data
	return sig, nil
}

const typePKCS7 = "PKCS#7"

// typeName is kmod's name for a pkey_id_type.
func typeName(t byte) string {
	switch t {
	case 0:
		return "PGP"
	case 1:
		return "X509"
	case 2:
		return typePKCS7
	}
	return ""
}

// hashName is kmod's name for the hash in the trailer, which means something in
// the older types only; PKCS#7 has its own inside, and 0 here.
func hashName(h byte) string {
	names := []string{"md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3"}
	if int(h) < len(names) {
		return names[h]
	}
	return ""
}

// ReadSignature is the signature of the module file r, nil when it is not signed.
// Of a file that is not compressed only the end is read. The error may be
// [ErrSignature].
func ReadSignature(r io.ReadSeeker) (*Signature, error) {
	start, err := peek(r, 0, magicSize)
	if err != nil {
		return nil, err
	}
	from := int64(0)
	if Detect(start) == None {
		size, err := r.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, err
		}
		from = max(0, size-signatureEnd)
	}
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxSize))
	if err != nil {
		return nil, err
	}
	if from == 0 {
		if data, err = Decompress(data); err != nil {
			return nil, err
		}
	}
	_, sig, err := SplitSignature(data)
	if sig != nil {
		sig.PayloadSize += from
	}
	return sig, err
}

// signatureEnd is how far from the end of a file a signature may begin: no
// message comes near 64 KiB.
const signatureEnd = 64 << 10
