package sign

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// Signer signs module files for one kernel by running its sign command.
type Signer struct {
	run     Runner
	Command string // sign-file, kmodsign or what the administrator chose
	Hash    string // as sign-file takes it: "sha256"
	Pair    Pair
}

// FailedError says that a module file could not be signed.
type FailedError struct {
	File   string
	Output string // what the sign command printed, without final newlines
	Err    error
}

func (e *FailedError) Error() string {
	text := fmt.Sprintf("sign %q: %v", e.File, e.Err)
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

func (e *FailedError) Unwrap() error { return e.Err }

// Sign appends a signature to the module file at abs, in place. The error is a
// *FailedError.
func (s *Signer) Sign(ctx context.Context, abs string) error {
	var out bytes.Buffer
	err := s.run(ctx, []string{s.Command, s.Hash, s.Pair.Key, s.Pair.Certificate, abs}, &out)
	if err != nil {
		return &FailedError{File: abs, Output: strings.TrimRight(out.String(), "\n"), Err: err}
	}
	return nil
}
