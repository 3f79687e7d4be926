package sign

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"dkms-go/conf/sysroot"
)

// StandIn is one run of what the kernel's scripts/sign-file does. Paths are
// inside Root.
type StandIn struct {
	Root             *sysroot.Root
	Hash             string
	Key, Certificate string
	File             string
	Dest             string // "" for File itself
	Save             bool   // -p: the message goes to FILE.p7s as well
	Detach           bool   // -d: it goes there only
	Passphrase       Passphrase
}

// Run signs the file. Unlike Signer it takes what it is told to take: expiry,
// usage and permissions of the pair are the caller's business, as they are for
// the kernel's program. A signature that is there is replaced.
func (s StandIn) Run() error {
	d, err := digestFor(s.Hash)
	if err != nil {
		return err
	}
	if (Pair{Key: s.Key}).onToken() {
		return errors.New("a key on a token takes the kernel's own sign-file")
	}
	key, _, err := load(s.Root, s.Key, func(data []byte) (crypto.Signer, error) { return ParseKey(data, s.Passphrase) })
	if err != nil {
		return fmt.Errorf("key %s: %w", s.Key, err)
	}
	certificate, _, err := load(s.Root, s.Certificate, ParseCertificate)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", s.Certificate, err)
	}
	if !belongs(key, certificate) {
		return fmt.Errorf("key %s does not belong to certificate %s", s.Key, s.Certificate)
	}
	f, err := s.Root.Open(s.File)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size, err := unsignedSize(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	message, err := detached(key, certificate, d, io.NewSectionReader(f, 0, size))
	if err != nil {
		return err
	}
	if s.Save || s.Detach {
		if err := s.Root.WriteFile(s.File+".p7s", message, 0o644); err != nil {
			return err
		}
	}
	if s.Detach {
		return nil
	}
	dest := s.Dest
	if dest == "" {
		dest = s.File
	}
	return s.Root.Replace(dest, info.Mode().Perm(), func(w io.Writer) error {
		if _, err := io.Copy(w, io.NewSectionReader(f, 0, size)); err != nil {
			return err
		}
		_, err := w.Write(append(message, trailer(message)...))
		return err
	})
}
