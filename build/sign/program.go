package sign

import (
	"bytes"
	"context"
	"path"
	"strings"
)

// program signs by running a sign command.
type program struct {
	run     Runner
	command string // sign-file, kmodsign or what the administrator chose
	hash    string
	pair    Pair
	extra   []string // KBUILD_SIGN_PIN, if a passphrase is known
}

func (p *program) sign(ctx context.Context, abs string) (output string, err error) {
	var out bytes.Buffer
	err = p.run(ctx, []string{p.command, p.hash, p.pair.Key, p.pair.Certificate, abs}, p.extra, &out)
	return strings.TrimRight(out.String(), "\n"), err
}

// signCommand is sign_file, or where the distribution keeps the program.
func (r *Request) signCommand() string {
	if r.SignFile != "" {
		return r.SignFile
	}
	var command string
	switch {
	case strings.HasPrefix(r.Distribution, "debian"):
		version := r.Release
		if dot := strings.LastIndexByte(version, '.'); dot >= 0 {
			version = version[:dot]
		}
		command = "/usr/lib/linux-kbuild-" + version + "/scripts/sign-file"
	case strings.HasPrefix(r.Distribution, "ubuntu"):
		command = "/usr/src/linux-headers-" + r.Release + "/scripts/sign-file"
		if kmodsign, ok := r.LookPath("kmodsign"); ok {
			command = kmodsign
		}
	case strings.HasPrefix(r.Distribution, "gentoo"):
		command = "/usr/src/linux-" + r.Release + "/scripts/sign-file"
	}
	if command == "" || !r.isRegular(command) {
		command = path.Join(r.InstallTree, r.Release, "build/scripts/sign-file")
	}
	return command
}
