package main

import (
	"errors"
	"os"
	"strings"

	"dkms-go/build/sign"
	"dkms-go/conf/sysroot"
)

func signFileVerb() verb {
	return verb{
		name: "sign-file", about: "stand in for the kernel's scripts/sign-file", usage: signFileUsage,
		bare: true,
	}
}

const signFileUsage = "sign-file [-dp] HASH KEY CERTIFICATE FILE [DEST]"

// signFile is the kernel's scripts/sign-file with its arguments, its environment and its statuses: 2 for a usage that is wrong,
// 1 for what fails. The options of dkms are not among them.
func signFile(args []string, p *printer) int {
	s, help, ok := signFileArguments(args)
	if help {
		verbUsage(p.out, "sign-file")
		return 0
	}
	if !ok {
		p.complain("Usage: %s", signFileUsage)
		return 2
	}
	s.Passphrase = func() (string, error) { return os.Getenv("KBUILD_SIGN_PIN"), nil }
	dir, err := os.Getwd()
	if err == nil {
		s.Root, err = sysroot.Open("/")
	}
	if err == nil {
		m := &machine{dir: dir}
		for _, name := range []*string{&s.Certificate, &s.File, &s.Dest} {
			*name = m.optional(*name)
		}
		if !strings.HasPrefix(s.Key, "pkcs11:") {
			s.Key = m.abs(s.Key)
		}
		err = s.Run()
	}
	if err != nil {
		if errors.Is(err, sign.ErrEncrypted) {
			err = errors.New(err.Error() + ": set KBUILD_SIGN_PIN")
		}
		p.complain("sign-file: %v", err)
		return 1
	}
	return 0
}

// signFileArguments parses arguments as getopt(3) does: options may come anywhere before "--".
func signFileArguments(args []string) (s sign.StandIn, help, ok bool) {
	var words []string
	for n, a := range args {
		switch {
		case a == "--":
			words = append(words, args[n+1:]...)
		case a == "--help" || a == "-h":
			return s, true, true
		case len(a) < 2 || a[0] != '-':
			words = append(words, a)
			continue
		case strings.Trim(a[1:], "dp") != "":
			return s, false, false
		default:
			s.Detach = s.Detach || strings.Contains(a, "d")
			s.Save = s.Save || strings.Contains(a, "p")
			continue
		}
		break
	}
	if len(words) < 4 || len(words) > 5 {
		return s, false, false
	}
	s.Hash, s.Key, s.Certificate, s.File = words[0], words[1], words[2], words[3]
	if len(words) == 5 {
		s.Dest = words[4]
	}
	return s, false, true
}
