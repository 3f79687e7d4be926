package sign_test

import (
	"maps"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/sign"
)

// The same arguments leave the same files behind as the kernels' sign-file does.
func TestSignFileLeavesTheSame(t *testing.T) {
	t.Parallel()
	id := rsaIdentity(t)
	for _, signFile := range signFiles(t) {
		for _, test := range []struct {
			name    string
			options []string
			dest    string
			want    sign.StandIn
		}{
			{"in place", nil, "", sign.StandIn{}},
			{"elsewhere", nil, "/other.ko", sign.StandIn{Dest: "/other.ko"}},
			{"the same place", nil, "/m.ko", sign.StandIn{Dest: "/m.ko"}},
			{"saved", []string{"-p"}, "", sign.StandIn{Save: true}},
			{"saved and elsewhere", []string{"-p"}, "/other.ko", sign.StandIn{Save: true, Dest: "/other.ko"}},
			{"detached", []string{"-d"}, "", sign.StandIn{Detach: true}},
			{"both", []string{"-dp"}, "", sign.StandIn{Detach: true, Save: true}},
		} {
			t.Run(release(signFile)+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				files := map[string]string{"key": id.key, "cert": id.der, "m.ko": bytesToSign(5000)}
				theirs, ours := newBench(t, files), newBench(t, files)
				argv := append(append([]string{signFile}, test.options...), "sha512", theirs.root.Path("/key"), theirs.root.Path("/cert"), theirs.root.Path("/m.ko"))
				if test.dest != "" {
					argv = append(argv, theirs.root.Path(test.dest))
				}
				tool(t, argv...)
				s := test.want
				s.Root, s.Hash, s.Key, s.Certificate, s.File = ours.root, "sha512", "/key", "/cert", "/m.ko"
				if err := s.Run(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(contents(theirs.files(t)), contents(ours.files(t))); diff != "" {
					t.Errorf("files (-theirs +ours):\n%s", diff)
				}
			})
		}
	}
}

// contents leaves the modes out, which sign-file takes from the umask.
func contents(files map[string]string) map[string]string {
	files = maps.Clone(files)
	for name, text := range files {
		files[name] = text[len("-rw-r--r-- "):]
	}
	return files
}

func TestSignFileRefuses(t *testing.T) {
	t.Parallel()
	id, other := rsaIdentity(t), otherIdentity(t)
	b := newBench(t, map[string]string{"key": id.key, "locked": id.keys["encrypted"], "cert": id.der, "other": other.der, "m.ko": "module"})
	before := b.files(t)
	for _, test := range []struct {
		hash, key, cert, file string
		want                  string
	}{
		{"md4", "/key", "/cert", "/m.ko", `the built-in signer has no hash "md4", that takes a program: see sign_file in framework.conf`},
		{"sha256", "/none", "/cert", "/m.ko", "key /none: stat ..."},
		{"sha256", "/key", "/other", "/m.ko", "key /key does not belong to certificate /other"},
		{"sha256", "/key", "/key", "/m.ko", "certificate /key: it has no certificate, in DER or PEM"},
		{"sha256", "/locked", "/cert", "/m.ko", "key /locked: it is encrypted, and no passphrase is known"},
		{"sha256", "pkcs11:token=x", "/cert", "/m.ko", "a key on a token takes the kernel's own sign-file"},
		{"sha256", "/key", "/cert", "/none", "open ..."},
	} {
		s := sign.StandIn{Root: b.root, Hash: test.hash, Key: test.key, Certificate: test.cert, File: test.file}
		err := s.Run()
		if err == nil || err.Error() != test.want && !os.IsNotExist(unwrapped(err)) {
			t.Errorf("Run(%s %s %s %s) = %v, want %s", test.hash, test.key, test.cert, test.file, err, test.want)
		}
	}
	if diff := cmp.Diff(before, b.files(t)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}

func unwrapped(err error) error {
	for {
		w, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = w.Unwrap()
	}
}
