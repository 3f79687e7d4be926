package main

import (
	"context"

	"dkms-go/build"
	"dkms-go/dkms"
)

func generateMOKVerb() verb {
	return verb{
		name: "generate_mok", about: "make the key and certificate that modules are signed with",
		usage: "generate_mok [OPTION]...",
		run: func(ctx context.Context, s *session) error {
			pair, err := s.GenerateKeys(ctx, build.Target{Kernel: s.release(), Arch: s.arch()})
			if err == nil && pair == nil {
				// The messages have said why.
				err = reportedError{&dkms.Error{Kind: dkms.SigningKeyUnusable}}
			}
			return err
		},
	}
}
