package sign_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
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
)

// complete is a root in which modules are signed without further ado.
func complete() map[string]string {
	return map[string]string{
		"config":                "CONFIG_MODULE_SIG_HASH=sha512\n",
		debianSignFile:          "",
		"/var/lib/dkms/mok.key": "key",
		"/var/lib/dkms/mok.pub": "cert",
	}
}

// edited returns complete() with some files added, replaced or (with "-") gone.
func edited(changes map[string]string) map[string]string {
	files := complete()
	maps.Copy(files, changes)
	maps.DeleteFunc(files, func(_, content string) bool { return content == "-" })
	return files
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	ready := []sign.Message{
		sign.SignCommand{Path: debianSignFile},
		sign.Key{Path: "/var/lib/dkms/mok.key"},
		sign.Certificate{Path: "/var/lib/dkms/mok.pub"},
	}
	inChroot := func(r *sign.Request) { r.InChroot = func() bool { return true } }
	for _, test := range []struct {
		name  string
		files map[string]string
		edit  func(r *sign.Request)
		signs bool
		want  []sign.Message
	}{
		{"all there", complete(), nil, true, ready},
		{"disabled", complete(), func(r *sign.Request) { r.TrySignModules = "false" }, false, []sign.Message{sign.Disabled{}}},
		{"chroot", complete(), inChroot, false, []sign.Message{sign.InChroot{}}},
		{
			"chroot, any other value", complete(), func(r *sign.Request) { inChroot(r); r.TrySignModules = "not_in_chroot" }, false,
			[]sign.Message{sign.InChroot{}},
		},
		{"chroot, but told to", complete(), func(r *sign.Request) { inChroot(r); r.TrySignModules = "true" }, true, ready},
		{"no configuration", edited(map[string]string{"config": "-"}), nil, false, []sign.Message{sign.ConfigNotFound{Path: "/config"}}},
		{"no facility", edited(map[string]string{"config": "CONFIG_MODULES=y\n"}), nil, false, []sign.Message{sign.NoFacility{}}},
		{
			"no sign-file", edited(map[string]string{debianSignFile: "-"}), nil, false,
			[]sign.Message{sign.SignCommand{Path: headerSignFile}, sign.BinaryNotFound{Path: headerSignFile}},
		},
		{
			"sign-file of the headers", edited(map[string]string{debianSignFile: "-", headerSignFile: ""}), nil, true,
			[]sign.Message{sign.SignCommand{Path: headerSignFile}, ready[1], ready[2]},
		},
		{
			"sign_file set, missing", complete(), func(r *sign.Request) { r.SignFile = "/opt/signer" }, false,
			[]sign.Message{sign.SignCommand{Path: "/opt/signer"}, sign.BinaryNotFound{Path: "/opt/signer"}},
		},
		{
			"sign_file set, not executable", complete(), func(r *sign.Request) { r.SignFile = "/config" }, false,
			[]sign.Message{sign.SignCommand{Path: "/config"}, sign.BinaryNotFound{Path: "/config"}},
		},
		{
			"sign_file set", edited(map[string]string{"/opt/bin/signer": ""}), func(r *sign.Request) { r.SignFile = "/opt/bin/signer" }, true,
			[]sign.Message{sign.SignCommand{Path: "/opt/bin/signer"}, ready[1], ready[2]},
		},
		{
			"a class without a place of its own", edited(map[string]string{headerSignFile: ""}),
			func(r *sign.Request) { r.Distribution = "rhel centos fedora" }, true,
			[]sign.Message{sign.SignCommand{Path: headerSignFile}, ready[1], ready[2]},
		},
		{
			"gentoo", edited(map[string]string{"/usr/src/linux-6.1.0-9-amd64/scripts/sign-file": ""}),
			func(r *sign.Request) { r.Distribution = "gentoo" }, true,
			[]sign.Message{
				sign.SignCommand{Path: "/usr/src/linux-6.1.0-9-amd64/scripts/sign-file"},
				ready[1], ready[2],
			},
		},
		{
			"ubuntu, kmodsign", edited(map[string]string{"/usr/bin/kmodsign": "", ubuntuKey: "k", ubuntuCert: "c"}),
			func(r *sign.Request) { r.Distribution = "ubuntu" }, true,
			[]sign.Message{sign.SignCommand{Path: "/usr/bin/kmodsign"}, sign.Key{Path: ubuntuKey}, sign.Certificate{Path: ubuntuCert}},
		},
		{
			"ubuntu, headers", edited(map[string]string{"/usr/src/linux-headers-6.1.0-9-amd64/scripts/sign-file": "", ubuntuKey: "k", ubuntuCert: "c"}),
			func(r *sign.Request) { r.Distribution = "ubuntu" }, true,
			[]sign.Message{sign.SignCommand{Path: "/usr/src/linux-headers-6.1.0-9-amd64/scripts/sign-file"}, sign.Key{Path: ubuntuKey}, sign.Certificate{Path: ubuntuCert}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.files)
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

// The sign command is found by the part of the release before the last dot,
// as ${kernelver%.*} gives it.
func TestDebianSignFile(t *testing.T) {
	t.Parallel()
	for release, version := range map[string]string{
		"6.1.0-56-amd64":       "6.1",
		"6.12.107+deb13-amd64": "6.12",
		"7.3.4+deb13.1-amd64":  "7.3.4+deb13",
		"custom":               "custom",
	} {
		path := "/usr/lib/linux-kbuild-" + version + "/scripts/sign-file"
		b := newBench(t, edited(map[string]string{debianSignFile: "-", path: ""}))
		r := b.request(nil)
		r.Release = release
		signer, err := sign.Prepare(t.Context(), r)
		if err != nil || signer == nil || signer.Command != path {
			t.Errorf("Prepare(%q) = %+v, %v, want command %q", release, signer, err, path)
		}
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	b := newBench(t, complete())
	refuse := false
	r := b.request(func([]string) error { return nil })
	run := r.Runner
	r.Runner = func(ctx context.Context, argv []string, out io.Writer) error {
		if refuse {
			_, _ = io.WriteString(out, "at main.c:1\nno such key\n\n")
			return os.ErrPermission
		}
		return run(ctx, argv, out)
	}
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
	b := newBench(t, edited(map[string]string{"/var/lib/dkms/mok.key": "-", "/var/lib/dkms/mok.pub": "-"}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if signer, err := sign.Prepare(ctx, b.request(nil)); signer != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare = %v, %v, want %v", signer, err, context.Canceled)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "var/lib/dkms/mok.key")); !os.IsNotExist(err) {
		t.Errorf("a key was made: %v", err)
	}
}
