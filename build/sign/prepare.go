package sign

import "context"

// Prepare decides whether modules are signed and gets everything ready for it,
// making a key pair where there is none (prepare_signing, prepare_mok). It
// returns nil when modules won't be signed; the last message reported is the
// reason. The error is ctx's, or nil.
//
// A program signs when the administrator has set one, and with keys that are no
// files; everything else is signed in process.
func Prepare(ctx context.Context, r Request) (*Signer, error) {
	hash, ok := r.hash()
	if !ok {
		return nil, nil
	}
	return PrepareHash(ctx, r, hash)
}

// PrepareHash is Prepare for somebody who has decided to sign, with this hash. Of
// the request it needs no kernel but for tokens and on Gentoo.
func PrepareHash(ctx context.Context, r Request, hash string) (*Signer, error) {
	if r.SignFile != "" || r.names().onToken() {
		return r.prepareProgram(ctx, hash)
	}
	r.report(SignCommand{Path: builtIn})
	pair, err := PrepareKeys(ctx, r)
	if err != nil || pair == nil {
		return nil, err
	}
	key, certificate, ok := r.identity(*pair)
	if !ok {
		return nil, nil
	}
	// What is built is copied elsewhere and synced there.
	return &Signer{Command: builtIn, Hash: hash, method: &inProcess{r.Root, hash, key, certificate, r.Root.Rewrite}}, nil
}

// prepareProgram is Prepare when a program signs.
func (r *Request) prepareProgram(ctx context.Context, hash string) (*Signer, error) {
	command := r.signCommand()
	r.report(SignCommand{Path: command})
	if info, err := r.Root.Stat(command); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		r.report(BinaryNotFound{Path: command})
		return nil, nil //nolint:nilerr // the message tells
	}
	pair, err := PrepareKeys(ctx, *r)
	if err != nil || pair == nil {
		return nil, err
	}
	if problem := r.examineForProgram(*pair); problem != nil {
		r.report(problem)
		return nil, nil
	}
	var extra []string
	if r.Passphrase != nil {
		text, err := r.Passphrase()
		if err != nil {
			r.report(KeyUnreadable{Path: pair.Key, Err: err})
			return nil, nil //nolint:nilerr // the message carries it
		}
		if text != "" {
			extra = []string{"KBUILD_SIGN_PIN=" + text}
		}
	}
	return &Signer{Command: command, Hash: hash, method: &program{r.Runner, command, hash, *pair, extra}}, nil
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
