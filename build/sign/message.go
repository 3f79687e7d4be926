package sign

import (
	"io/fs"
	"time"
)

// Message is something an administrator is told while signing is prepared.
// Those marked "final" are the reason why modules won't be signed.
type Message interface{ message() }

type (
	// Disabled (final): try_sign_modules is "false".
	Disabled struct{}
	// InChroot (final): running in a chroot, and try_sign_modules is not "true".
	InChroot struct{}
	// ConfigNotFound (final): the kernel has no configuration file.
	ConfigNotFound struct{ Path string }
	// NoFacility (final): the kernel is built without module signatures.
	NoFacility struct{}
	// SignCommand names the program that signs; "built-in" when it is this one.
	SignCommand struct{ Path string } //nolint:revive // the glossary has it so
	// BinaryNotFound (final): a program is missing or not executable. Path is
	// the sign command, or the bare name update-secureboot-policy.
	BinaryNotFound struct{ Path string }
	// Key names the private key.
	Key struct{ Path string }
	// Certificate names the public certificate.
	Certificate struct{ Path string }
	// Generating says that a new pair is being made, by Program or, when that
	// is empty, here.
	Generating struct{ Program string }
	// HalfPair (final): one file of the pair exists without the other one.
	HalfPair struct{ Have, Missing string }
	// KeyNotGenerated (final): there is no key and none could be made. Err
	// tells why when it was tried here.
	KeyNotGenerated struct {
		Path string
		Err  error
	}
	// CertNotGenerated (final): likewise for the certificate.
	CertNotGenerated struct {
		Path string
		Err  error
	}
	// KeyUnreadable (final): there is a file, but no key to sign with in it.
	KeyUnreadable struct {
		Path string
		Err  error
	}
	// CertificateUnreadable (final): likewise for the certificate.
	CertificateUnreadable struct {
		Path string
		Err  error
	}
	// KeyExposed (final): others than its owner can read the private key. Host
	// is where the machine has the file.
	KeyExposed struct {
		Path, Host string
		Mode       fs.FileMode
	}
	// Expired (final): the certificate is valid no more.
	Expired struct {
		Path     string
		NotAfter time.Time
	}
	// NoCodeSigning (final): the kernel wants certificates that say that their
	// keys sign code, and this one does not.
	NoCodeSigning struct{ Path string }
	// NoPair (final): neither half of the pair exists, and it was not to be made.
	NoPair struct{ Key, Certificate string }
	// NotInImage (final): there is no pair, and a private key is put into an
	// image only by generate_mok.
	NotInImage struct{ Path string }
	// KeyMismatch (final): the certificate is that of another key, so nobody
	// could verify the signatures.
	KeyMismatch struct{ Key, Certificate string }
)

func (Disabled) message()              {}
func (InChroot) message()              {}
func (ConfigNotFound) message()        {}
func (NoFacility) message()            {}
func (SignCommand) message()           {}
func (BinaryNotFound) message()        {}
func (Key) message()                   {}
func (Certificate) message()           {}
func (Generating) message()            {}
func (HalfPair) message()              {}
func (KeyNotGenerated) message()       {}
func (CertNotGenerated) message()      {}
func (KeyUnreadable) message()         {}
func (CertificateUnreadable) message() {}
func (KeyExposed) message()            {}
func (Expired) message()               {}
func (NoCodeSigning) message()         {}
func (NoPair) message()                {}
func (NotInImage) message()            {}
func (KeyMismatch) message()           {}
