package sign_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/sign"
)

const (
	key        = "/var/lib/dkms/mok.key"
	cert       = "/var/lib/dkms/mok.pub"
	ubuntuKey  = "/var/lib/shim-signed/mok/MOK.priv"
	ubuntuCert = "/var/lib/shim-signed/mok/MOK.der"
)

func names(k, c string) []sign.Message {
	return []sign.Message{sign.Key{Path: k}, sign.Certificate{Path: c}}
}

func TestPrepareKeysChanging(t *testing.T) {
	t.Parallel()
	generating := sign.Generating{}
	for _, test := range []struct {
		name  string
		files map[string]string
		edit  func(r *sign.Request)
		want  *sign.Pair
		says  []sign.Message
		made  []string // files that were not there before
	}{
		{
			"both missing",
			map[string]string{"/var/lib/dkms/x": ""},
			nil, &sign.Pair{Key: key, Certificate: cert},
			append(names(key, cert), generating),
			[]string{key, cert},
		},
		{"both there", map[string]string{key: "k", cert: "c"}, nil, &sign.Pair{Key: key, Certificate: cert}, names(key, cert), nil},
		{
			"certificate missing",
			map[string]string{key: "k"},
			nil, nil,
			append(names(key, cert), sign.HalfPair{Have: key, Missing: cert}), nil,
		},
		{
			"key missing",
			map[string]string{cert: "c"},
			nil, nil,
			append(names(key, cert), sign.HalfPair{Have: cert, Missing: key}), nil,
		},
		{
			"no directory", nil, nil, nil,
			append(names(key, cert), generating, sign.KeyNotGenerated{Path: key, Err: os.ErrNotExist}), nil,
		},
		{
			"no directory for the certificate",
			map[string]string{"/var/lib/dkms/x": ""},
			func(r *sign.Request) { r.Certificate = "/none/cert" }, nil,
			append(names(key, "/none/cert"), generating, sign.CertNotGenerated{Path: "/none/cert", Err: os.ErrNotExist}),
			nil,
		},
		{
			"own paths",
			map[string]string{"/keys/x": ""},
			func(r *sign.Request) { r.SigningKey, r.Certificate = "/keys/k", "/keys/c" }, &sign.Pair{Key: "/keys/k", Certificate: "/keys/c"},
			append(names("/keys/k", "/keys/c"), generating),
			[]string{"/keys/c", "/keys/k"},
		},
		{
			"pkcs11 needs the certificate only",
			map[string]string{cert: "c"},
			func(r *sign.Request) { r.SigningKey = "pkcs11:token=x" }, &sign.Pair{Key: "pkcs11:token=x", Certificate: cert},
			names("pkcs11:token=x", cert), nil,
		},
		{
			"pkcs11 without certificate",
			map[string]string{"/var/lib/dkms/x": ""},
			func(r *sign.Request) { r.SigningKey = "pkcs11:token=x" }, nil,
			append(names("pkcs11:token=x", cert), sign.CertNotGenerated{Path: cert}), nil,
		},
		{
			"key is a directory",
			map[string]string{key + "/x": "", cert: "c"},
			nil, nil,
			append(names(key, cert), sign.KeyNotGenerated{Path: key}), nil,
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
			pair, err := sign.PrepareKeys(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, pair); diff != "" {
				t.Errorf("PrepareKeys (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.says, b.messages, messagesEqual); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			after := b.files(t)
			for _, name := range test.made {
				perm := map[bool]string{true: "-rw-------", false: "-rw-r--r--"}[strings.HasPrefix(filepath.Base(name), "mok.key") || name == "/keys/k"]
				if !strings.HasPrefix(after[name], perm+" ") {
					t.Errorf("%s is %.10q, want %s", name, after[name], perm)
				}
				delete(after, name)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("other files changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestPrepareKeysOnUbuntu(t *testing.T) {
	t.Parallel()
	const policy = "/usr/bin/update-secureboot-policy"
	for _, test := range []struct {
		name  string
		files map[string]string
		makes bool // the program makes keys
		want  bool
		says  []sign.Message
		ran   []string
	}{
		{"there", map[string]string{ubuntuKey: "k", ubuntuCert: "c"}, false, true, names(ubuntuKey, ubuntuCert), nil},
		{"no program", nil, false, false, []sign.Message{sign.BinaryNotFound{Path: "update-secureboot-policy"}}, nil},
		{
			"made",
			map[string]string{policy: ""},
			true, true,
			append([]sign.Message{sign.Generating{Program: "update-secureboot-policy"}}, names(ubuntuKey, ubuntuCert)...),
			[]string{"env SHIM_NOTRIGGER=y update-secureboot-policy --new-key", "update-secureboot-policy --enroll-key"},
		},
		{
			"half",
			map[string]string{policy: "", ubuntuKey: "k"},
			true, false,
			[]sign.Message{sign.HalfPair{Have: ubuntuKey, Missing: ubuntuCert}},
			nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.files)
			r := b.request(func(argv []string) error {
				if test.makes && argv[len(argv)-1] == "--new-key" {
					write(t, filepath.Join(b.dir, ubuntuKey), "k")
					write(t, filepath.Join(b.dir, ubuntuCert), "c")
				}
				return nil
			})
			r.Distribution = "ubuntu"
			pair, err := sign.PrepareKeys(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := pair != nil; got != test.want {
				t.Errorf("PrepareKeys = %+v, want a pair: %v", pair, test.want)
			}
			if diff := cmp.Diff(test.says, b.messages, messagesEqual); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.ran, b.ran); diff != "" {
				t.Errorf("programs run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrepareKeysOnGentoo(t *testing.T) {
	t.Parallel()
	const build = "/lib/modules/6.1.0-9-amd64/build"
	for _, test := range []struct {
		name  string
		env   []string
		files map[string]string
		want  *sign.Pair
	}{
		{
			"environment",
			[]string{"MODULES_SIGN_KEY=/e/k", "MODULES_SIGN_CERT=/e/c"},
			map[string]string{"/e/k": "", "/e/c": "", "/etc/portage/make.conf": "MODULES_SIGN_KEY=/p/k\n"},
			&sign.Pair{Key: "/e/k", Certificate: "/e/c"},
		},
		{
			"make.conf", nil,
			map[string]string{"/p/k": "", "/p/c": "", "/etc/portage/make.conf": "# x\nMODULES_SIGN_KEY=\"/p/k\"\nMODULES_SIGN_CERT=/p/c\n"},
			&sign.Pair{Key: "/p/k", Certificate: "/p/c"},
		},
		{
			"the kernel's own, relative", nil,
			map[string]string{"config": "CONFIG_MODULE_SIG_KEY=certs/signing_key.pem\n", build + "/certs/signing_key.pem": ""},
			&sign.Pair{Key: build + "/certs/signing_key.pem", Certificate: build + "/certs/signing_key.pem"},
		},
		{
			"the kernel's own, missing", nil,
			map[string]string{"config": "CONFIG_MODULE_SIG_KEY=certs/signing_key.pem\n", build + "/certs/x": ""},
			nil,
		},
		{
			"no directory for it: the default", nil,
			map[string]string{"config": "CONFIG_MODULE_SIG_KEY=certs/signing_key.pem\n", key: "", cert: ""},
			&sign.Pair{Key: key, Certificate: cert},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.files)
			before := b.files(t)
			r := b.request(nil)
			r.Distribution = "gentoo"
			r.Env = test.env
			pair, err := sign.PrepareKeys(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, pair); diff != "" {
				t.Errorf("PrepareKeys (-want +got):\n%s\nmessages: %+v", diff, b.messages)
			}
			if diff := cmp.Diff(before, b.files(t)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
		})
	}
}

// A certificate of our own making whose key is lost is of no use: the pair is made anew, and the old certificate is kept.
func TestPrepareKeysOrphan(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"/var/lib/dkms/x": ""})
	if pair, err := sign.PrepareKeys(t.Context(), b.request(nil)); err != nil || pair == nil {
		t.Fatalf("PrepareKeys = %v, %v; want a pair", pair, err)
	}
	before := b.files(t)
	if err := os.Remove(b.root.Path("/var/lib/dkms/mok.key")); err != nil {
		t.Fatal(err)
	}
	if pair, err := sign.PrepareKeys(t.Context(), b.request(nil)); err != nil || pair == nil {
		t.Fatalf("PrepareKeys without the key = %v, %v; want a pair", pair, err)
	}
	after := b.files(t)
	if after["/var/lib/dkms/mok.pub.old"] != before["/var/lib/dkms/mok.pub"] {
		t.Error("the old certificate is not kept as mok.pub.old")
	}
	if after["/var/lib/dkms/mok.pub"] == before["/var/lib/dkms/mok.pub"] || after["/var/lib/dkms/mok.key"] == "" {
		t.Error("there is no new pair")
	}
}
