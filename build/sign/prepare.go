package sign

import (
	"context"
	"path"
	"strings"
)

// Prepare decides whether modules are signed and gets everything ready for it,
// making a key pair where there is none (prepare_signing, prepare_mok). It
// returns nil when modules won't be signed; the last message reported is the
// reason. The error is ctx's, or nil.
func Prepare(ctx context.Context, r Request) (*Signer, error) {
	hash, ok := r.hash()
	if !ok {
		return nil, nil
	}
	command := r.signCommand()
	r.report(SignCommand{Path: command})
	if info, err := r.Root.Stat(command); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		r.report(BinaryNotFound{Path: command})
		return nil, nil //nolint:nilerr // the message tells
	}
	pair, err := PrepareKeys(ctx, r)
	if err != nil || pair == nil {
		return nil, err
	}
	return &Signer{run: r.Runner, Command: command, Hash: hash, Pair: *pair}, nil
}

// hash is the digest to sign with; false when policy, surroundings or kernel
// say that modules are not signed.
func (r *Request) hash() (string, bool) {
	switch {
	case r.TrySignModules == "false":
		r.report(Disabled{})
		return "", false
	case r.TrySignModules != "true" && r.InChroot():
		r.report(InChroot{})
		return "", false
	case !r.isRegular(r.Config):
		r.report(ConfigNotFound{Path: r.Config})
		return "", false
	}
	hash, ok := r.ConfigValue("CONFIG_MODULE_SIG_HASH")
	if !ok {
		r.report(NoFacility{})
	}
	return hash, ok
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
