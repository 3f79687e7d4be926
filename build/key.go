package build

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"dkms-go/build/sign"
	"dkms-go/build/sign/trust"
	"dkms-go/dkms"
	"dkms-go/dkms/proc"
)

// KeyStatus is what there is to know of the key that signs, and of what the machine thinks of it.
type KeyStatus struct {
	sign.Inspection
	Description *sign.Description // of the certificate; nil when there is none
	Machine     trust.Machine
	Reason      trust.Reason // why the machine's kernel takes signed modules only
	Places      trust.Places
	PlacesErr   error          // what could not be read of the places
	Standing    trust.Standing // "" without certificate
}

// KeyStatus looks at the key that would sign for a kernel. It changes nothing.
func (b *Builder) KeyStatus(ctx context.Context, t Target, pair sign.Pair) (*KeyStatus, error) {
	req, err := b.signRequestFor(ctx, t, pair)
	if err != nil {
		return nil, err
	}
	s := &KeyStatus{Inspection: sign.Inspect(req), Machine: b.Machine()}
	if s.Reason, err = b.Enforces(t); err != nil {
		return nil, err
	}
	if s.Certificate == nil {
		return s, nil
	}
	d := sign.Describe(s.Certificate)
	s.Description = &d
	if s.Machine.Release != "" || s.Machine.EFI {
		s.Places, s.PlacesErr = trust.Find(b.Root, s.Certificate)
	}
	s.Standing = s.Machine.Stands(s.Places, s.Reason)
	return s, nil
}

// signRequestFor is signRequest with another pair, of which either half may be left out.
func (b *Builder) signRequestFor(ctx context.Context, t Target, pair sign.Pair) (sign.Request, error) {
	k, err := b.kernel(t)
	if err != nil {
		return sign.Request{}, err
	}
	req, err := b.signRequest(ctx, k, b.Emit, b.Stdout)
	if pair.Key != "" {
		req.SigningKey = pair.Key
	}
	if pair.Certificate != "" {
		req.Certificate = pair.Certificate
	}
	return req, err
}

// Enrollment is what came of enrolling a certificate.
type Enrollment int

// What may come of it.
const (
	Requested Enrollment = iota // the next boot asks
	Waiting                     // it did already
	Enrolled                    // the machine has the certificate
)

// Enroll has mokutil ask for the certificate to be enrolled at the next boot. The password for that is read from stdin by
// mokutil itself, or its hash from a file inside the root. What is enrolled, or asked for, is left alone. The error is of kind
// NotEnrolled.
func (b *Builder) Enroll(ctx context.Context, s *KeyStatus, hashFile string, stdin io.Reader) (Enrollment, error) {
	refuse := func(err error, why ...string) (Enrollment, error) {
		return 0, &dkms.Error{Kind: dkms.NotEnrolled, Subject: s.Pair.Certificate, Detail: why, Err: err}
	}
	switch {
	case s.Certificate == nil:
		return refuse(nil, "There is no certificate.")
	case s.Places.Revoked:
		return refuse(nil, "It is revoked: no machine with this list of revoked certificates trusts it again.")
	case s.Places.MOK || s.Places.DB || s.Standing == trust.Trusted:
		return Enrolled, nil
	case s.Places.Pending:
		return Waiting, nil
	case !s.Machine.EFI:
		return refuse(nil, "The machine was not started by UEFI, so there is no place for it.")
	case !s.Machine.Variables:
		return refuse(nil, "The variables of the firmware cannot be seen.")
	}
	if _, err := proc.LookPath(b.Root.Dir(), b.Env, "mokutil"); err != nil {
		return refuse(err, "The program mokutil is not installed.")
	}
	if err := b.mokutil(ctx, s, hashFile, stdin); err != nil {
		return refuse(err, "mokutil has failed.")
	}
	return Requested, nil
}

// mokutil runs mokutil --import on a copy of the certificate in DER, which is all it takes. The copy is public.
func (b *Builder) mokutil(ctx context.Context, s *KeyStatus, hashFile string, stdin io.Reader) (err error) {
	dir, err := b.Root.MkdirTemp("/tmp", "dkms.mok.*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Root.RemoveAll(dir)) }()
	der := path.Join(dir, strings.TrimSuffix(path.Base(s.Pair.Certificate), path.Ext(s.Pair.Certificate))+".der")
	if err := b.Root.WriteFile(der, s.Certificate.Raw, 0o644); err != nil {
		return err
	}
	argv := []string{"mokutil", "--import", der}
	if hashFile != "" {
		argv = append(argv, "--hash-file", hashFile)
	}
	return b.Runner.Run(ctx, proc.Cmd{
		Args: argv, Dir: "/", Env: b.Env, Root: b.Root.Dir(), Stdin: stdin, Stdout: b.Stdout, Stderr: b.Stderr, Terminal: stdin != nil,
	})
}
