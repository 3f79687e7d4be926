package sign

import (
	"context"
	"fmt"

	"dkms-go/conf/sysroot"
)

// Signer signs the module files of one kernel. Several files may be signed at
// once.
type Signer struct {
	Command string // the program that signs, or "built-in"
	Hash    string // as the kernel's configuration has it: "sha256"
	method  method
}

// method is a way to sign a file in place. The output is what an administrator
// is told when it fails.
type method interface {
	sign(ctx context.Context, abs string) (output string, err error)
}

// FailedError says that a module file could not be signed.
type FailedError struct {
	File string
	// Output is what there is to tell about it: what the sign command printed,
	// without final newlines, or the reason when signing in process.
	Output string
	Err    error
}

func (e *FailedError) Error() string {
	text := fmt.Sprintf("sign %q: %v", e.File, e.Err)
	if e.Output != "" && e.Output != e.Err.Error() {
		text += ": " + e.Output
	}
	return text
}

func (e *FailedError) Unwrap() error { return e.Err }

// Durable returns a signer that makes what it signs durable, which the one of
// Prepare does not do: that is for files in build directories. Programs do as
// they like.
func (s *Signer) Durable() *Signer {
	p, ok := s.method.(*inProcess)
	if !ok {
		return s
	}
	durable := *p
	durable.replace = p.root.Replace
	return &Signer{Command: s.Command, Hash: s.Hash, method: &durable}
}

// Elsewhere returns a durable signer for files of another root. Programs still
// look for files in theirs.
func (s *Signer) Elsewhere(root *sysroot.Root) *Signer {
	p, ok := s.method.(*inProcess)
	if !ok {
		return s
	}
	there := *p
	there.root, there.replace = root, root.Replace
	return &Signer{Command: s.Command, Hash: s.Hash, method: &there}
}

// Inside returns a signer for files of a build directory that may lie elsewhere:
// run runs programs where they see the files, and outside returns where a file
// is for everybody else.
func (s *Signer) Inside(run Runner, outside func(abs string) string) *Signer {
	inside := &Signer{Command: s.Command, Hash: s.Hash, method: elsewhere{s.method, outside}}
	if p, ok := s.method.(*program); ok {
		there := *p
		there.run = run
		inside.method = &there
	}
	return inside
}

// elsewhere signs files that lie elsewhere.
type elsewhere struct {
	method
	outside func(abs string) string
}

func (e elsewhere) sign(ctx context.Context, abs string) (output string, err error) {
	return e.method.sign(ctx, e.outside(abs))
}

// Sign appends a signature to the module file at abs, in place. The error is a
// *FailedError.
func (s *Signer) Sign(ctx context.Context, abs string) error {
	if output, err := s.method.sign(ctx, abs); err != nil {
		return &FailedError{File: abs, Output: output, Err: err}
	}
	return nil
}
