package sign_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/sign"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kmod"
)

func hashes() []string { return []string{"sha1", "sha224", "sha256", "sha384", "sha512"} }

// signFiles are the kernels' own signers that are installed here.
func signFiles(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob("/lib/modules/*/build/scripts/sign-file")
	if err != nil || len(found) == 0 {
		t.Fatal("no sign-file at /lib/modules/*/build/scripts: install linux-headers-amd64 (Debian) or your kernel's headers")
	}
	return found
}

// release is the kernel that a sign-file belongs to.
func release(signFile string) string { return strings.Split(signFile, "/")[3] }

// newSigner makes a signer that runs no program.
func newSigner(t testing.TB, root *sysroot.Root, hash, key, certificate string) *sign.Signer {
	t.Helper()
	k, err := sign.ParseKey([]byte(key), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sign.ParseCertificate([]byte(certificate))
	if err != nil {
		t.Fatal(err)
	}
	return sign.New(root, hash, k, c)
}

func readFile(t testing.TB, host string) []byte {
	t.Helper()
	data, err := os.ReadFile(host)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bytesToSign is content of no meaning: the signer does not look at it.
func bytesToSign(size int) string {
	return strings.Repeat("All is quiet on the lantern deck. ", size/34+1)[:size]
}

// What is signed in process is compared with what the kernels' sign-file makes
// of the same file with the same key.
//
// difference: signing in process
func TestSameBytesAsSignFile(t *testing.T) {
	t.Parallel()
	signers := map[string]identity{
		"PrintableString": rsaIdentity(t),
		"UTF8String":      newIdentity(t, "", "-config", "testdata/utf8.cnf", "-utf8", "-subj", "/CN=Lanterne d’été/O=Ünïcode", "-set_serial", "1"),
		"RSA 4096":        newIdentity(t, "", "-newkey", "rsa:4096", "-subj", "/CN=DKMS module signing key"),
		"20 octets":       newIdentity(t, "", "-set_serial", "0x7fffffffffffffffffffffffffffffffffffff00"),
		"21 octets":       newIdentity(t, "", "-set_serial", "0xffffffffffffffffffffffffffffffffffffffff"),
		"high bit":        newIdentity(t, "", "-set_serial", "0x80"),
	}
	for name, id := range signers {
		for _, file := range []struct{ form, key, certificate string }{
			{"PKCS #8 and DER", id.key, id.der},
			{"PKCS #1 and PEM", id.keys["traditional"], id.pem},
			{"one PEM file", id.key + id.pem, id.key + id.pem},
		} {
			t.Run(name+"/"+file.form, func(t *testing.T) {
				t.Parallel()
				for _, signFile := range signFiles(t) {
					for n, hash := range hashes() {
						b := newBench(t, map[string]string{"key": file.key, "cert": file.certificate, "theirs.ko": bytesToSign(1000 * n), "ours.ko": bytesToSign(1000 * n)})
						tool(t, signFile, hash, b.root.Path("/key"), b.root.Path("/cert"), b.root.Path("/theirs.ko"))
						if err := newSigner(t, b.root, hash, file.key, file.certificate).Sign(t.Context(), "/ours.ko"); err != nil {
							t.Fatalf("Sign with %s = %v", hash, err)
						}
						if want, got := readFile(t, b.root.Path("/theirs.ko")), readFile(t, b.root.Path("/ours.ko")); !bytes.Equal(want, got) {
							t.Errorf("%s of %s: signed file is\n%q, want\n%q", hash, release(signFile), got, want)
						}
					}
				}
			})
		}
	}
}

// replay is a key of which the signature is known already.
type replay struct {
	crypto.Signer
	signature []byte
	err       error
}

func (r replay) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return r.signature, r.err }

// A signature of ECDSA has a random part. With that of sign-file put in, the rest
// must be the same; with one of our own, openssl must find it valid.
func TestECDSA(t *testing.T) {
	t.Parallel()
	for _, curve := range []string{"P-256", "P-384"} {
		t.Run(curve, func(t *testing.T) {
			t.Parallel()
			id := newIdentity(t, curve)
			for _, signFile := range signFiles(t) {
				for _, hash := range hashes() {
					b := newBench(t, map[string]string{"key": id.keys["traditional"], "cert": id.der, "theirs.ko": bytesToSign(999), "same.ko": bytesToSign(999), "ours.ko": bytesToSign(999)})
					tool(t, signFile, hash, b.root.Path("/key"), b.root.Path("/cert"), b.root.Path("/theirs.ko"))
					want := readFile(t, b.root.Path("/theirs.ko"))
					_, theirs, err := kmod.SplitSignature(want)
					if err != nil || theirs == nil {
						t.Fatalf("SplitSignature of what %s made = %v, %v", signFile, theirs, err)
					}
					key, err := sign.ParseKey([]byte(id.key), nil)
					if err != nil {
						t.Fatal(err)
					}
					certificate, err := sign.ParseCertificate([]byte(id.pem))
					if err != nil {
						t.Fatal(err)
					}
					if err := sign.New(b.root, hash, replay{Signer: key, signature: theirs.Value}, certificate).Sign(t.Context(), "/same.ko"); err != nil {
						t.Fatal(err)
					}
					if got := readFile(t, b.root.Path("/same.ko")); !bytes.Equal(want, got) {
						t.Errorf("%s of %s: signed file is\n%q, want\n%q", hash, release(signFile), got, want)
					}
					if err := sign.New(b.root, hash, key, certificate).Sign(t.Context(), "/ours.ko"); err != nil {
						t.Fatal(err)
					}
					verify(t, b.root.Path("/ours.ko"), b.root.Path("/cert"))
				}
			}
		})
	}
}

// A module is built with every kernel's headers found here, signed with a new
// pair, in process and by that kernel's own sign-file, and read back with modinfo.
func TestModinfoReadsSignature(t *testing.T) {
	t.Parallel()
	keyFile, certFile := newPair(t, time.Now())
	for _, signFile := range signFiles(t) {
		t.Run(release(signFile), func(t *testing.T) {
			t.Parallel()
			module := buildModule(t, strings.TrimSuffix(signFile, "/scripts/sign-file"))
			unsigned := readFile(t, module)
			for command, setting := range map[string]string{"built-in": "", signFile: signFile} {
				write(t, module, string(unsigned))
				root, err := sysroot.Open("/")
				if err != nil {
					t.Fatal(err)
				}
				signer, err := sign.Prepare(t.Context(), sign.Request{
					Root:           root,
					Release:        release(signFile),
					InstallTree:    "/lib/modules",
					Config:         certFile, // any file that exists
					ConfigValue:    func(string) (string, bool) { return "sha384", true },
					TrySignModules: "true",
					SignFile:       setting,
					SigningKey:     keyFile,
					Certificate:    certFile,
					Now:            time.Now,
					Runner: func(ctx context.Context, argv, _ []string, out io.Writer) error {
						cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
						cmd.Stdout, cmd.Stderr = out, out
						return cmd.Run()
					},
				})
				if err != nil || signer == nil || signer.Command != command {
					t.Fatalf("Prepare = %+v, %v; want %s", signer, err, command)
				}
				if err := signer.Sign(t.Context(), module); err != nil {
					t.Fatalf("Sign = %v", err)
				}
				field := func(name string) string {
					return strings.TrimSpace(tool(t, "modinfo", "-F", name, module))
				}
				got := map[string]string{
					"signer":       field("signer"),
					"sig_key":      strings.ReplaceAll(field("sig_key"), ":", ""),
					"sig_hashalgo": field("sig_hashalgo"),
				}
				want := map[string]string{"signer": "DKMS module signing key", "sig_key": serial(t, certFile), "sig_hashalgo": "sha384"}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: modinfo (-want +got):\n%s", command, diff)
				}
				verify(t, module, certFile)
			}
		})
	}
}

// A file that is signed already gets a new signature instead of the old one,
// whatever made that; mode and neighbours stay as they are.
func TestSignAgain(t *testing.T) {
	t.Parallel()
	id, other := rsaIdentity(t), otherIdentity(t)
	for _, size := range []int{0, 1, 40, 64<<10 - 500, 64 << 10, 200_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			for _, perm := range []os.FileMode{0o600, 0o755} {
				b := newBench(t, map[string]string{"once.ko": bytesToSign(size), "twice.ko": bytesToSign(size), "okey": other.key, "ocert": other.der})
				tool(t, signFiles(t)[0], "sha512", b.root.Path("/okey"), b.root.Path("/ocert"), b.root.Path("/twice.ko"))
				if err := os.Chmod(b.root.Path("/twice.ko"), perm); err != nil {
					t.Fatal(err)
				}
				before := b.files(t)
				signer := newSigner(t, b.root, "sha256", id.key, id.der)
				for _, file := range []string{"/once.ko", "/twice.ko"} {
					if err := signer.Sign(t.Context(), file); err != nil {
						t.Fatalf("Sign(%s) = %v", file, err)
					}
				}
				after := b.files(t)
				_, once, _ := strings.Cut(after["/once.ko"], " ")
				mode, twice, _ := strings.Cut(after["/twice.ko"], " ")
				if once != twice {
					t.Errorf("signed anew the file has %d bytes, signed once %d", len(twice), len(once))
				}
				if mode != perm.String() {
					t.Errorf("mode is %s, want %s", mode, perm)
				}
				if len(before) != len(after) {
					t.Errorf("%d files became %d", len(before), len(after))
				}
			}
		})
	}
}

func TestSignFails(t *testing.T) {
	t.Parallel()
	id := rsaIdentity(t)
	key, err := sign.ParseKey([]byte(id.key), nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := sign.ParseCertificate([]byte(id.der))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("token is gone")
	const noHash = "the built-in signer has no hash %q, that takes a program: see sign_file in framework.conf"
	for _, test := range []struct {
		name, hash, file string
		key              crypto.Signer
		want             string
	}{
		{"sha3", "sha3-256", "/m.ko", key, fmt.Sprintf(noHash, "sha3-256")},
		{"no hash", "", "/m.ko", key, fmt.Sprintf(noHash, "")},
		{"key", "sha256", "/m.ko", replay{Signer: key, err: broken}, "token is gone"},
		{"damaged trailer", "sha256", "/damaged.ko", key, kmod.ErrSignature.Error()},
		{"no file", "sha256", "/none.ko", key, "no such file or directory"},
		{"directory", "sha256", "/dir", key, `"/dir" is no regular file`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, map[string]string{"m.ko": "module", "damaged.ko": "module" + strings.Repeat("\xff", 12) + kmod.SignatureMagic, "dir/x": ""})
			before := b.files(t)
			err := sign.New(b.root, test.hash, test.key, certificate).Sign(t.Context(), test.file)
			var failed *sign.FailedError
			if !errors.As(err, &failed) || !strings.HasSuffix(failed.Output, test.want) || failed.File != test.file {
				t.Fatalf("Sign = %v, want a *FailedError that ends in %q", err, test.want)
			}
			if want := fmt.Sprintf("sign %q: %s", test.file, failed.Output); err.Error() != want {
				t.Errorf("Error() = %q, want %q", err, want)
			}
			if diff := cmp.Diff(before, b.files(t)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := newBench(t, map[string]string{"m.ko": "module"})
	if err := sign.New(b.root, "sha256", key, certificate).Sign(ctx, "/m.ko"); !errors.Is(err, context.Canceled) {
		t.Errorf("Sign when cancelled = %v, want %v", err, context.Canceled)
	}
}

// BenchmarkSign signs 200 copies of a module of 100 kB each, in process and by
// runs of sign-file.
func BenchmarkSign(b *testing.B) {
	const copies = 200
	id := rsaIdentity(b)
	lay := func(b *testing.B) *sysroot.Root {
		files := map[string]string{"key": id.key, "cert": id.der}
		for n := range copies {
			files[fmt.Sprintf("%d.ko", n)] = bytesToSign(100_000)
		}
		return newBench(b, files).root
	}
	b.Run("in process", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			root := lay(b)
			b.StartTimer()
			signer := newSigner(b, root, "sha256", id.key, id.der)
			for n := range copies {
				if err := signer.Sign(b.Context(), fmt.Sprintf("/%d.ko", n)); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("sign-file", func(b *testing.B) {
		signFile := signFiles(b)[0]
		for b.Loop() {
			b.StopTimer()
			root := lay(b)
			b.StartTimer()
			for n := range copies {
				tool(b, signFile, "sha256", root.Path("/key"), root.Path("/cert"), root.Path(fmt.Sprintf("/%d.ko", n)))
			}
		}
	})
}
