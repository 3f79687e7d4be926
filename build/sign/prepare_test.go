package sign_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dkms-go/build/sign"
)

// messagesEqual compares reports; of errors only whether there is one counts.
var messagesEqual = cmp.Options{
	cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) }),
	cmpopts.EquateEmpty(),
}

const (
	debianSignFile = "/usr/lib/linux-kbuild-6.1/scripts/sign-file"
	headerSignFile = "/lib/modules/6.1.0-9-amd64/build/scripts/sign-file"
	ubuntuSignFile = "/usr/src/linux-headers-6.1.0-9-amd64/scripts/sign-file"
	gentooSignFile = "/usr/src/linux-6.1.0-9-amd64/scripts/sign-file"
)

// complete is a root in which modules are signed without further ado.
func complete(t *testing.T) map[string]string {
	t.Helper()
	id := rsaIdentity(t)
	return map[string]string{
		"config":                "CONFIG_MODULE_SIG_HASH=sha512\n",
		debianSignFile:          "",
		"/var/lib/dkms/mok.key": id.key,
		"/var/lib/dkms/mok.pub": id.der,
	}
}

// edited returns complete with some files added, replaced or (with "-") gone.
func edited(t *testing.T, changes map[string]string) map[string]string {
	t.Helper()
	files := complete(t)
	maps.Copy(files, changes)
	maps.DeleteFunc(files, func(_, content string) bool { return content == "-" })
	return files
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	id, other, ec := rsaIdentity(t), otherIdentity(t), ecIdentity(t)
	decided := names(key, cert)
	ready := append([]sign.Message{sign.SignCommand{Path: "built-in"}}, decided...)
	inChroot := func(r *sign.Request) { r.InChroot = func() bool { return true } }
	signFile := func(path string) func(*sign.Request) { return func(r *sign.Request) { r.SignFile = path } }
	unusable := errors.New("unusable")
	for _, test := range []struct {
		name  string
		files map[string]string // changes to complete
		edit  func(r *sign.Request)
		signs bool
		want  []sign.Message
	}{
		{"all there", nil, nil, true, ready},
		{"disabled", nil, func(r *sign.Request) { r.TrySignModules = "false" }, false, []sign.Message{sign.Disabled{}}},
		{"chroot", nil, inChroot, false, []sign.Message{sign.InChroot{}}},
		{
			"chroot, any other value", nil, func(r *sign.Request) { inChroot(r); r.TrySignModules = "not_in_chroot" }, false,
			[]sign.Message{sign.InChroot{}},
		},
		{"chroot, but told to", nil, func(r *sign.Request) { inChroot(r); r.TrySignModules = "true" }, true, ready},
		{"no configuration", map[string]string{"config": "-"}, nil, false, []sign.Message{sign.ConfigNotFound{Path: "/config"}}},
		{"no facility", map[string]string{"config": "CONFIG_MODULES=y\n"}, nil, false, []sign.Message{sign.NoFacility{}}},
		{"no sign-file needed", map[string]string{debianSignFile: "-"}, nil, true, ready},
		{
			"sign_file set, missing", nil, signFile("/opt/signer"), false,
			[]sign.Message{sign.SignCommand{Path: "/opt/signer"}, sign.BinaryNotFound{Path: "/opt/signer"}},
		},
		{
			"sign_file set, not executable", nil, signFile("/config"), false,
			[]sign.Message{sign.SignCommand{Path: "/config"}, sign.BinaryNotFound{Path: "/config"}},
		},
		{
			"sign_file set: what it can read is its business",
			map[string]string{"/opt/bin/signer": "", key: id.keys["encrypted"], cert: "x"},
			signFile("/opt/bin/signer"), true,
			append([]sign.Message{sign.SignCommand{Path: "/opt/bin/signer"}}, decided...),
		},
		{"key of EC", map[string]string{key: ec.keys["traditional"], cert: ec.pem}, nil, true, ready},
		{
			"one file for both",
			map[string]string{"/both.pem": id.key + id.pem},
			func(r *sign.Request) { r.SigningKey, r.Certificate = "/both.pem", "/both.pem" }, true,
			append([]sign.Message{ready[0]}, names("/both.pem", "/both.pem")...),
		},
		{"certificate of another key", map[string]string{cert: other.der}, nil, false, append(slices.Clone(ready), sign.KeyMismatch{Key: key, Certificate: cert})},
		{"certificate of another kind", map[string]string{cert: ec.der}, nil, false, append(slices.Clone(ready), sign.KeyMismatch{Key: key, Certificate: cert})},
		{"encrypted key", map[string]string{key: id.keys["encrypted"]}, nil, false, append(slices.Clone(ready), sign.KeyUnreadable{Path: key, Err: unusable})},
		{"no key", map[string]string{key: "x"}, nil, false, append(slices.Clone(ready), sign.KeyUnreadable{Path: key, Err: unusable})},
		{"no certificate", map[string]string{cert: "x"}, nil, false, append(slices.Clone(ready), sign.CertificateUnreadable{Path: cert, Err: unusable})},
		{
			"ubuntu",
			map[string]string{"/usr/bin/kmodsign": "", ubuntuKey: id.key, ubuntuCert: id.der},
			func(r *sign.Request) { r.Distribution = "ubuntu" }, true,
			append([]sign.Message{ready[0]}, names(ubuntuKey, ubuntuCert)...),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, edited(t, test.files))
			before := b.files(t)
			r := b.request(nil)
			if test.edit != nil {
				test.edit(&r)
			}
			signer, err := sign.Prepare(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := signer != nil; got != test.signs {
				t.Errorf("Prepare returned a signer: %v, want %v", got, test.signs)
			}
			if signer != nil && signer.Hash != "sha512" {
				t.Errorf("Hash = %q, want sha512", signer.Hash)
			}
			if diff := cmp.Diff(test.want, b.messages, messagesEqual); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, b.files(t)); diff != "" {
				t.Errorf("Prepare changed files (-before +after):\n%s", diff)
			}
		})
	}
}

// A key that is no file takes a program: the kernel's own, wherever the
// distribution keeps it.
func TestSignCommandForTokens(t *testing.T) {
	t.Parallel()
	const token, old = "pkcs11:token=x", "6.1.0-9-amd64"
	kbuild := func(version string) string { return "/usr/lib/linux-kbuild-" + version + "/scripts/sign-file" }
	makeConf := map[string]string{gentooSignFile: "", "/etc/portage/make.conf": "MODULES_SIGN_KEY=" + token + "\nMODULES_SIGN_CERT=" + cert + "\n"}
	only := func(path string) map[string]string { return map[string]string{path: ""} }
	for _, test := range []struct {
		name, distribution, release, key string
		files                            map[string]string
		want                             string
		missing                          bool
	}{
		{"none", "debian", old, token, nil, headerSignFile, true},
		{"debian", "debian", old, token, only(debianSignFile), debianSignFile, false},
		{"headers", "debian", old, token, only(headerSignFile), headerSignFile, false},
		{"a class without a place of its own", "rhel centos fedora", old, token, only(headerSignFile), headerSignFile, false},
		{"ubuntu, kmodsign", "ubuntu", old, token, only("/usr/bin/kmodsign"), "/usr/bin/kmodsign", false},
		{"ubuntu, headers", "ubuntu", old, token, only(ubuntuSignFile), ubuntuSignFile, false},
		{"gentoo", "gentoo", old, token, only(gentooSignFile), gentooSignFile, false},
		{"gentoo, key of make.conf", "gentoo", old, "", makeConf, gentooSignFile, false},
		// ${kernelver%.*}: the part of the release before the last dot
		{"two parts", "debian", "6.12.107+deb13-amd64", token, only(kbuild("6.12")), kbuild("6.12"), false},
		{"three parts", "debian", "7.3.4+deb13.1-amd64", token, only(kbuild("7.3.4+deb13")), kbuild("7.3.4+deb13"), false},
		{"one part", "debian", "custom", token, only(kbuild("custom")), kbuild("custom"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"config": "CONFIG_MODULE_SIG_HASH=sha512\n", cert: "c"}
			maps.Copy(files, test.files)
			b := newBench(t, files)
			r := b.request(func([]string) error { return nil })
			r.Distribution, r.Release, r.SigningKey = test.distribution, test.release, test.key
			signer, err := sign.Prepare(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			says := append([]sign.Message{sign.SignCommand{Path: test.want}}, names(token, cert)...)
			if test.missing {
				says = []sign.Message{says[0], sign.BinaryNotFound{Path: test.want}}
			}
			if diff := cmp.Diff(says, b.messages); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if got := signer == nil; got != test.missing {
				t.Fatalf("Prepare = %+v, want none: %v", signer, test.missing)
			}
			if signer == nil {
				return
			}
			if err := signer.Sign(t.Context(), "/a.ko"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.want + " sha512 " + token + " " + cert + " /a.ko"}, b.ran); diff != "" {
				t.Errorf("programs run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSignByProgram(t *testing.T) {
	t.Parallel()
	b := newBench(t, complete(t))
	refuse := false
	r := b.request(func([]string) error { return nil })
	run := r.Runner
	r.Runner = func(ctx context.Context, argv, extra []string, out io.Writer) error {
		if refuse {
			_, _ = io.WriteString(out, "at main.c:1\nno such key\n\n")
			return os.ErrPermission
		}
		return run(ctx, argv, extra, out)
	}
	r.SignFile = debianSignFile
	signer, err := sign.Prepare(t.Context(), r)
	if err != nil || signer == nil {
		t.Fatalf("Prepare = %v, %v", signer, err)
	}
	if err := signer.Sign(t.Context(), "/t/build/a.ko"); err != nil {
		t.Errorf("Sign = %v, want nil", err)
	}
	want := []string{debianSignFile + " sha512 /var/lib/dkms/mok.key /var/lib/dkms/mok.pub /t/build/a.ko"}
	if diff := cmp.Diff(want, b.ran); diff != "" {
		t.Errorf("programs run (-want +got):\n%s", diff)
	}
	refuse = true
	var failed *sign.FailedError
	if err := signer.Sign(t.Context(), "/t/build/a.ko"); !errors.As(err, &failed) || !errors.Is(err, os.ErrPermission) {
		t.Fatalf("Sign = %v, want a *FailedError", err)
	}
	if failed.File != "/t/build/a.ko" || failed.Output != "at main.c:1\nno such key" {
		t.Errorf("Sign = %+v", failed)
	}
}

func TestPrepareCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t, edited(t, map[string]string{"/var/lib/dkms/mok.key": "-", "/var/lib/dkms/mok.pub": "-"}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if signer, err := sign.Prepare(ctx, b.request(nil)); signer != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare = %v, %v, want %v", signer, err, context.Canceled)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "var/lib/dkms/mok.key")); !os.IsNotExist(err) {
		t.Errorf("a key was made: %v", err)
	}
}
