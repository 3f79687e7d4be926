package sign

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io/fs"
	"path"
	"strings"
)

// Pair is where a signing key and its certificate are.
type Pair struct {
	Key         string // or a pkcs11: URI
	Certificate string
}

// onToken reports whether the key is no file.
func (p Pair) onToken() bool { return strings.HasPrefix(p.Key, "pkcs11:") }

// Where upstream keeps the pair it makes itself, whatever the DKMS tree is.
const (
	defaultKey         = "/var/lib/dkms/mok.key"
	defaultCertificate = "/var/lib/dkms/mok.pub"
)

// Where Ubuntu's update-secureboot-policy keeps the machine owner key.
const (
	ubuntuKey         = "/var/lib/shim-signed/mok/MOK.priv"
	ubuntuCertificate = "/var/lib/shim-signed/mok/MOK.der"
	ubuntuPolicy      = "update-secureboot-policy"
)

// PrepareKeys finds the key pair and makes a new one when neither half of it
// exists (prepare_mok; all of generate_mok). It returns nil when there is no
// usable pair; the last message reported is the reason. The error is ctx's,
// or nil. Of the request it needs no kernel except on Gentoo.
//
// When several processes do this at once, one of them makes the pair and the
// others find it.
func PrepareKeys(ctx context.Context, r Request) (*Pair, error) {
	pair := r.names()
	if r.keysByUbuntu() {
		if ok, err := r.ubuntuKeys(ctx, pair); err != nil || !ok {
			return nil, err
		}
	}
	r.report(Key{Path: pair.Key})
	r.report(Certificate{Path: pair.Certificate})

	if !pair.onToken() {
		ok, err := r.ensure(ctx, pair)
		if err != nil || !ok {
			return nil, err
		}
	}
	if !r.isRegular(pair.Certificate) {
		r.report(CertNotGenerated{Path: pair.Certificate})
		return nil, nil
	}
	return &pair, nil
}

// names tells where the pair is, or would be.
func (r *Request) names() Pair {
	pair := Pair{Key: r.SigningKey, Certificate: r.Certificate}
	if pair.Key == "" {
		switch {
		case r.keysByUbuntu():
			return Pair{Key: ubuntuKey, Certificate: ubuntuCertificate}
		case strings.HasPrefix(r.Distribution, "gentoo"):
			pair = r.gentooKeys()
		}
	}
	return Pair{Key: cmp.Or(pair.Key, defaultKey), Certificate: cmp.Or(pair.Certificate, defaultCertificate)}
}

// keysByUbuntu reports whether the pair is in the care of Ubuntu's program.
func (r *Request) keysByUbuntu() bool {
	return r.SigningKey == "" && strings.HasPrefix(r.Distribution, "ubuntu")
}

// ensure makes the pair unless it exists. Half a pair stays as it is.
func (r *Request) ensure(ctx context.Context, pair Pair) (bool, error) {
	if complete, _ := r.look(pair); !complete || r.isRegular(pending(pair)) {
		// Whoever else makes this pair now does it alone. Where the directory is
		// missing or not to be read, making the pair fails on its own.
		unlock, err := r.Root.Flock(ctx, path.Dir(pair.Key))
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil:
			defer unlock()
			r.resume(pair)
		}
	}
	complete, half := r.look(pair)
	switch {
	case complete && !r.isRegular(pair.Key):
		r.report(KeyNotGenerated{Path: pair.Key})
		return false, nil
	case complete:
		return true, nil
	case half != nil && !r.orphan(*half, pair):
		r.report(*half)
		return false, nil
	case pair.Key == pair.Certificate:
		// Gentoo's single file: the kernel's own build makes it.
		r.report(KeyNotGenerated{Path: pair.Key})
		return false, nil
	case r.Image:
		r.report(NotInImage{Path: pair.Key})
		return false, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	r.report(Generating{})
	if problem := r.create(pair); problem != nil {
		r.report(problem)
		return false, nil
	}
	return true, nil
}

// A pair is two files and can only be made in two steps. The certificate is
// written first, under another name, then the key, and then the certificate gets
// its own. After a crash between the last two the certificate under the other
// name belongs to the key, which nobody else can have brought about, and the pair
// is completed. Before that there is no key, and nothing to be lost.

// pending is the name of a certificate whose key may be there already.
func pending(pair Pair) string {
	return path.Join(path.Dir(pair.Certificate), "."+path.Base(pair.Certificate)+".new")
}

// create makes a new pair. The message is why it could not, or nil. No half of a
// pair stays behind: a new key has signed nothing yet.
func (r *Request) create(pair Pair) Message {
	key, certificate, err := generate(r.Now(), cmp.Or(r.bits, keyBits))
	if err != nil {
		return KeyNotGenerated{Path: pair.Key, Err: err}
	}
	if err := r.Root.WriteFile(pending(pair), certificate, 0o644); err != nil {
		if _, missing := r.Root.Stat(path.Dir(pair.Key)); missing != nil {
			return KeyNotGenerated{Path: pair.Key, Err: missing}
		}
		return CertNotGenerated{Path: pair.Certificate, Err: r.undo(err, pending(pair), certificate)}
	}
	if err := r.Root.WriteNew(pair.Key, key, 0o600); err != nil {
		err = r.undo(r.undo(err, pair.Key, key), pending(pair), certificate)
		return KeyNotGenerated{Path: pair.Key, Err: err}
	}
	if err := r.setAside(pair); err != nil {
		err = r.undo(r.undo(r.undo(err, pair.Key, key), pending(pair), certificate), pair.Certificate, certificate)
		return CertNotGenerated{Path: pair.Certificate, Err: err}
	}
	return nil
}

// undo removes a file that holds what was just written: not all that has failed
// has had no effect. It adds its own failure to err.
func (r *Request) undo(err error, abs string, content []byte) error {
	if now, readErr := r.Root.ReadFile(abs); readErr != nil || !bytes.Equal(now, content) {
		return err
	}
	return errors.Join(err, r.Root.Remove(abs))
}

// resume completes a pair that a crash has left half made.
func (r *Request) resume(pair Pair) {
	made, _, err := load(r.Root, pending(pair), ParseCertificate)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	key, _, keyErr := load(r.Root, pair.Key, func(data []byte) (crypto.Signer, error) { return ParseKey(data, nil) })
	theirs, _, theirErr := load(r.Root, pair.Certificate, ParseCertificate)
	if err == nil && keyErr == nil && belongs(key, made) && (theirErr != nil || !belongs(key, theirs)) {
		_ = r.setAside(pair) // if it fails, half a pair is what there is, and is told of
		return
	}
	_ = r.Root.Remove(pending(pair)) // it belongs to nothing
}

// orphan reports whether half a pair is a certificate that was made by dkms or by this program, without its key. It is of
// no use any more: the pair is made anew, and the certificate is kept beside the new one. A certificate of any other origin
// has its key somewhere else, so a name must be wrong.
func (r *Request) orphan(half HalfPair, pair Pair) bool {
	if half.Have != pair.Certificate {
		return false
	}
	der, err := r.Root.ReadFile(half.Have)
	if err != nil {
		return false
	}
	cert, err := x509.ParseCertificate(der)
	return err == nil && cert.Subject.CommonName == commonName && bytes.Equal(cert.RawIssuer, cert.RawSubject)
}

// setAside gives the pending certificate its name; one that has it already is
// renamed to NAME.old.
func (r *Request) setAside(pair Pair) error {
	if _, err := r.Root.Lstat(pair.Certificate); err == nil {
		if err := r.Root.Rename(pair.Certificate, pair.Certificate+".old"); err != nil {
			return err
		}
	}
	return r.Root.Rename(pending(pair), pair.Certificate)
}

// look tells whether both halves of a pair exist, or only one. A name that is
// taken by anything, a directory or a dangling link, counts as existing: it
// must not be written over.
func (r *Request) look(pair Pair) (complete bool, half *HalfPair) {
	_, keyErr := r.Root.Lstat(pair.Key)
	_, certErr := r.Root.Lstat(pair.Certificate)
	switch {
	case keyErr != nil && certErr == nil:
		return false, &HalfPair{Have: pair.Certificate, Missing: pair.Key}
	case keyErr == nil && certErr != nil:
		return false, &HalfPair{Have: pair.Key, Missing: pair.Certificate}
	case keyErr != nil:
		return false, nil
	}
	return true, nil
}

// ubuntuKeys has Ubuntu's own program make a machine owner key and enroll it
// when there is none. What the program thinks of it is not asked; the caller
// looks for the files.
func (r *Request) ubuntuKeys(ctx context.Context, pair Pair) (bool, error) {
	complete, half := r.look(pair)
	if complete {
		return true, nil
	}
	if half != nil {
		r.report(*half)
		return false, nil
	}
	if _, ok := r.LookPath(ubuntuPolicy); !ok {
		r.report(BinaryNotFound{Path: ubuntuPolicy})
		return false, nil
	}
	r.report(Generating{Program: ubuntuPolicy})
	_ = r.Runner(ctx, []string{"env", "SHIM_NOTRIGGER=y", ubuntuPolicy, "--new-key"}, nil, nil)
	_ = r.Runner(ctx, []string{ubuntuPolicy, "--enroll-key"}, nil, r.Output)
	return true, ctx.Err()
}

// gentooKeys is the pair portage signs kernels with: from the environment,
// from make.conf, or the one file the kernel was configured with.
func (r *Request) gentooKeys() Pair {
	pair := Pair{
		Key:         lastSetting(r.Env, "MODULES_SIGN_KEY"),
		Certificate: lastSetting(r.Env, "MODULES_SIGN_CERT"),
	}
	text, _ := r.Root.ReadFile("/etc/portage/make.conf")
	lines := strings.Split(strings.ReplaceAll(string(text), `"`, ""), "\n")
	if pair.Key == "" {
		pair.Key = lastSetting(lines, "MODULES_SIGN_KEY")
	}
	if pair.Certificate == "" {
		pair.Certificate = lastSetting(lines, "MODULES_SIGN_CERT")
	}
	if pair.Key == "" && r.isRegular(r.Config) {
		key, _ := r.ConfigValue("CONFIG_MODULE_SIG_KEY")
		pair.Key = r.canonical(key)
		pair.Certificate = pair.Key // a PEM file that holds both
	}
	return pair
}

// canonical is readlink -f with the headers as working directory: everything
// but the last element must exist, or there is no answer.
func (r *Request) canonical(name string) string {
	if name == "" {
		return ""
	}
	if !path.IsAbs(name) {
		name = path.Join(r.Headers, name)
	}
	if abs, err := r.Root.Follow(name); err == nil {
		return abs
	}
	dir, err := r.Root.Follow(path.Dir(name))
	if err != nil {
		return ""
	}
	return path.Join(dir, path.Base(name))
}

// lastSetting returns the value of the last NAME=value in settings, or "".
func lastSetting(settings []string, name string) string {
	var last string
	for _, s := range settings {
		if value, ok := strings.CutPrefix(s, name+"="); ok {
			last = value
		}
	}
	return last
}
