package main

import (
	"context"
	"fmt"
	"os"

	"dkms-go/build"
	"dkms-go/dkms"
)

func keyVerb() verb {
	return verb{
		name: "key", about: "tell of the signing key, have it trusted, verify signatures",
		usage: "key status | enroll | verify FILE|MODULE... [OPTION]...",
		options: []string{
			"kernelver", "arch", "signing-key", "certificate", "password-hash-file", "json", "config",
		},
		run: func(ctx context.Context, s *session) error { return s.key(ctx) },
	}
}

// key is the verb for everything about the key but making it.
func (s *session) key(ctx context.Context) error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	what := ""
	if len(s.operands) > 0 {
		what = s.operands[0]
	}
	words := max(len(s.operands)-1, 0)
	if s.json && what == "enroll" || what == "verify" && words == 0 || what != "verify" && words > 0 {
		what = ""
	}
	status, err := s.KeyStatus(ctx, s.keyTarget(), s.keyPair())
	if err != nil {
		return err
	}
	switch what {
	case "status":
		return s.keyStatus(status)
	case "enroll":
		return s.enroll(ctx, status)
	case "verify":
		return s.verify(status, s.operands[1:])
	}
	return &dkms.Error{Kind: dkms.BadUsage, Subject: keyVerb().usage}
}

// enroll has the machine asked to trust the certificate, and says what is going to happen.
func (s *session) enroll(ctx context.Context, status *build.KeyStatus) error {
	if s.uid != 0 {
		return &dkms.Error{Kind: dkms.NotRoot, Subject: s.verb}
	}
	done, err := s.Enroll(ctx, status, s.optional(s.hashFile), os.Stdin)
	if err != nil {
		return err
	}
	switch done {
	case build.Enrolled:
		s.say("%s is enrolled already.", status.Pair.Certificate)
		return nil
	case build.Waiting:
		s.say("%s waits already for the next boot.", status.Pair.Certificate)
	case build.Requested:
		s.say("%s is to be enrolled.", status.Pair.Certificate)
	}
	s.say("The next boot stops at a blue screen, \"Perform MOK management\", for about ten seconds. There:\n"+
		"  press a key, choose \"Enroll MOK\", then \"View key 0\" and compare with\n"+
		"  SHA1 %s;\n"+
		"  then choose \"Continue\" and \"Yes\", type the password given now, and choose \"Reboot\".\n"+
		"Whoever misses it types \"dkms key enroll\" again.", status.Description.SHA1)
	return nil
}

// verifyList is what "dkms key verify --json" prints. Fields are added, never changed or taken away.
type verifyList struct {
	Certificate string        `json:"certificate"`
	Files       []verifyEntry `json:"files"`
}

type verifyEntry struct {
	File    string `json:"file"`
	Finding string `json:"finding"` // intact, unsigned, damaged, other-signer, tampered or error
	Signer  string `json:"signer,omitempty"`
	KeyID   string `json:"key_id,omitempty"`
	Hash    string `json:"hash,omitempty"`
	Error   string `json:"error,omitempty"`
}

// verify checks files, or the files of modules, against the certificate. The status is that of the first that is not intact.
func (s *session) verify(status *build.KeyStatus, words []string) error {
	list := verifyList{Certificate: status.Pair.Certificate}
	var first error
	for _, w := range words {
		found, err := s.verifyWord(status, w)
		if err != nil {
			return err
		}
		for _, v := range found {
			e := verified(v)
			list.Files = append(list.Files, e)
			if !s.json {
				s.say("%s: %s", e.File, e.sentence(list.Certificate))
			}
			if e.Finding != intact && first == nil {
				first = reportedError{&dkms.Error{Kind: dkms.NotVerified, Subject: v.File, Err: v.Err}}
			}
		}
	}
	if s.json {
		if err := s.printJSON(list); err != nil {
			return err
		}
	}
	return first
}

const intact = "intact"

// verifyWord verifies what a word stands for: a file of the machine that the command runs on, or modules of the root.
func (s *session) verifyWord(status *build.KeyStatus, w string) ([]build.Verified, error) {
	if s.IsFile(w) {
		return []build.Verified{s.VerifyFile(s.host, s.abs(w), status)}, nil
	}
	f := dkms.Filter{Name: w}
	if m := moduleWord.FindStringSubmatch(w); m != nil {
		f.Name, f.Version = m[1], m[2]
	}
	if len(s.kernels) > 0 {
		f.Kernel = s.kernels[0]
	}
	files, err := s.ModuleFiles(f, s.keyTarget())
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, &dkms.Error{Kind: dkms.NotVerified, Subject: w, Detail: []string{"There is no such file, and no such module."}}
	}
	found := make([]build.Verified, len(files))
	for n, file := range files {
		found[n] = s.VerifyFile(s.root, file, status)
	}
	return found, nil
}

func verified(v build.Verified) verifyEntry {
	e := verifyEntry{File: v.File, Finding: string(v.Finding), Signer: v.Signer, KeyID: v.KeyID, Hash: v.Hash}
	if v.Err != nil {
		e.Finding, e.Error = "error", v.Err.Error()
	}
	return e
}

// sentence says what was found.
func (e verifyEntry) sentence(certificate string) string {
	by := fmt.Sprintf("%q, key %s, %s", e.Signer, e.KeyID, e.Hash)
	switch e.Finding {
	case intact:
		return "intact, signed by " + by
	case "unsigned":
		return "not signed"
	case "damaged":
		return "what is at its end is no signature that kernels take"
	case "tampered":
		return "tampered with, or signed by somebody else in the name of " + by
	case "other-signer":
		return fmt.Sprintf("signed by %s, which is not %s", by, certificate)
	}
	return e.Error
}
