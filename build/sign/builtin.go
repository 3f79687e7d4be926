package sign

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kmod"
)

// builtIn stands for the sign command when there is none.
const builtIn = "built-in"

// New returns a signer that runs no program: it appends to modules inside root
// what the kernel's sign-file appends, atomically and durably. The key may be of
// RSA or ECDSA and be kept anywhere; the certificate is the one it belongs to. A
// hash that is not known is an error of Sign.
func New(root *sysroot.Root, hash string, key crypto.Signer, certificate *x509.Certificate) *Signer {
	return &Signer{Command: builtIn, Hash: hash, method: &inProcess{root, hash, key, certificate, root.Replace}}
}

// inProcess signs without a program.
type inProcess struct {
	root        *sysroot.Root
	hash        string
	key         crypto.Signer
	certificate *x509.Certificate
	replace     func(abs string, perm fs.FileMode, fill func(io.Writer) error) error
}

func (p *inProcess) sign(ctx context.Context, abs string) (output string, err error) {
	if err = ctx.Err(); err == nil {
		err = p.signFile(abs)
	}
	if err != nil {
		output = err.Error()
	}
	return output, err
}

// signFile replaces the file at abs by a signed one of the same mode. One that
// is signed already gets a new signature in place of the old one; sign-file
// would add a second one, which nobody looks behind.
func (p *inProcess) signFile(abs string) error {
	d, err := digestFor(p.hash)
	if err != nil {
		return err
	}
	f, err := p.root.Open(abs)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is no regular file", abs)
	}
	size, err := unsignedSize(f, info.Size())
	if err != nil {
		return err
	}
	return p.replace(abs, info.Mode().Perm(), func(w io.Writer) error {
		message, err := detached(p.key, p.certificate, d, io.TeeReader(io.NewSectionReader(f, 0, size), w))
		if err != nil {
			return err
		}
		_, err = w.Write(append(message, trailer(message)...))
		return err
	})
}

// detached makes the CMS message for all of module.
func detached(key crypto.Signer, certificate *x509.Certificate, d digest, module io.Reader) ([]byte, error) {
	h := d.begin()
	if _, err := io.Copy(h, module); err != nil {
		return nil, err
	}
	return signature(key, certificate, d, h.Sum(nil))
}

// unsignedSize is the length of a module without the signature it may have. Only
// the end of the file is read: no signature comes near 64 KiB.
func unsignedSize(f io.ReaderAt, size int64) (int64, error) {
	end := make([]byte, min(size, 64<<10))
	if _, err := f.ReadAt(end, size-int64(len(end))); err != nil {
		return 0, err
	}
	_, old, err := kmod.SplitSignature(end)
	if err != nil || old == nil {
		return size, err
	}
	return size - int64(len(end)) + old.PayloadSize, nil
}
