package main

import (
	"context"
	"errors"

	"dkms-go/build"
	"dkms-go/build/sign"
	"dkms-go/dkms"
)

func signVerb() verb {
	return verb{
		name: "sign", about: "sign module files in place", usage: "sign FILE... [OPTION]...",
		options: []string{"kernelver", "arch", "signing-key", "certificate", "config"},
		run:     func(ctx context.Context, s *session) error { return s.sign(ctx) },
	}
}

// sign signs files of the machine that the command runs on, with the key that signs builds.
func (s *session) sign(ctx context.Context) error {
	if len(s.operands) == 0 {
		return &dkms.Error{Kind: dkms.BadUsage, Subject: signVerb().usage}
	}
	files := make([]string, len(s.operands))
	for n, f := range s.operands {
		files[n] = s.abs(f)
	}
	errs, err := s.SignFiles(ctx, files, s.keyTarget(), s.keyPair())
	var unusable *dkms.Error
	if errors.As(err, &unusable) && unusable.Kind == dkms.SigningKeyUnusable {
		return reportedError{err} // the messages have said why
	}
	if err != nil {
		return err
	}
	var first error
	for n, f := range files {
		if errs[n] == nil {
			s.say("Signed %s", f)
			continue
		}
		failure := &dkms.Error{Kind: dkms.SignFailed, Subject: f, Detail: []string{signOutput(errs[n])}, Err: errs[n]}
		s.report(failure)
		if first == nil {
			first = reportedError{failure}
		}
	}
	return first
}

// signOutput is what there is to tell about a failure to sign.
func signOutput(err error) string {
	if failed, ok := err.(*sign.FailedError); ok { //nolint:errorlint // build wraps nothing around it
		return failed.Output
	}
	return err.Error()
}

// keyTarget is the kernel that verbs about keys are for.
func (s *session) keyTarget() build.Target {
	t := build.Target{Kernel: s.defaultKernel(s.Tree.Options().InstallTree), Arch: s.arch()}
	if len(s.kernels) > 0 {
		t.Kernel = s.kernels[0]
	}
	if len(s.arches) > 0 {
		t.Arch = s.arches[0]
	}
	return t
}

// keyPair is what the options say of the pair.
func (s *session) keyPair() sign.Pair {
	return sign.Pair{Key: s.optional(s.signingKey), Certificate: s.optional(s.certificate)}
}
