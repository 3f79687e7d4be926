package trust

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
)

// List is the content of db, dbx or a MOK list, as far as it is about
// certificates.
type List struct {
	certificates [][]byte // DER
	digests      [][]byte // of the signed part of certificates: SHA-256, SHA-384 or SHA-512
}

// errList says that a variable does not hold EFI_SIGNATURE_LISTs.
var errList = errors.New("damaged list of signatures")

const (
	listHeader = 16 + 4 + 4 + 4 // EFI_SIGNATURE_LIST: SignatureType and three sizes
	ownerSize  = 16             // EFI_SIGNATURE_DATA: SignatureOwner
	timeSize   = 16             // EFI_TIME, behind a digest of a certificate
)

// The types of lists that are about certificates (UEFI specification, 32.4.1), as
// their GUIDs lie in memory.
const (
	certX509       = "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72"
	certX509SHA256 = "\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed"
	certX509SHA384 = "\x6e\x87\x76\x70\xc2\x80\xe6\x4e\xaa\xd2\x28\xb3\x49\xa6\x86\x5b"
	certX509SHA512 = "\x63\xbf\x6d\x44\x02\x25\xda\x4c\xbc\xfa\x24\x65\xd2\xb0\xfe\x9d"
)

// ParseList reads the value of a variable. Lists of other things, such as digests
// of programs, are passed over.
func ParseList(data []byte) (List, error) {
	var l List
	for len(data) > 0 {
		if len(data) < listHeader {
			return List{}, errList
		}
		kind := string(data[:16])
		size := uint64(binary.LittleEndian.Uint32(data[16:]))
		header := uint64(binary.LittleEndian.Uint32(data[20:]))
		entry := uint64(binary.LittleEndian.Uint32(data[24:]))
		if size > uint64(len(data)) || size < listHeader+header {
			return List{}, errList
		}
		entries := data[listHeader+header : size]
		data = data[size:]
		if entry <= ownerSize || uint64(len(entries))%entry != 0 {
			return List{}, errList
		}
		for ; len(entries) > 0; entries = entries[entry:] {
			if err := l.add(kind, entries[ownerSize:entry]); err != nil {
				return List{}, err
			}
		}
	}
	return l, nil
}

func (l *List) add(kind string, value []byte) error {
	length := map[string]int{certX509SHA256: sha256.Size, certX509SHA384: sha512.Size384, certX509SHA512: sha512.Size}[kind]
	switch {
	case kind == certX509:
		l.certificates = append(l.certificates, value)
	case length > 0 && len(value) != length+timeSize:
		return fmt.Errorf("%w: a digest has %d bytes", errList, len(value))
	case length > 0:
		l.digests = append(l.digests, value[:length])
	}
	return nil
}

// Has reports whether the list names a certificate, by itself or by its digest.
func (l List) Has(c *x509.Certificate) bool {
	for _, der := range l.certificates {
		if bytes.Equal(der, c.Raw) {
			return true
		}
	}
	s256, s384, s512 := sha256.Sum256(c.RawTBSCertificate), sha512.Sum384(c.RawTBSCertificate), sha512.Sum512(c.RawTBSCertificate)
	for _, d := range l.digests {
		if bytes.Equal(d, s256[:]) || bytes.Equal(d, s384[:]) || bytes.Equal(d, s512[:]) {
			return true
		}
	}
	return false
}

// join puts two lists together.
func (l List) join(other List) List {
	return List{append(l.certificates, other.certificates...), append(l.digests, other.digests...)}
}
