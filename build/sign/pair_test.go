package sign_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"dkms-go/build/sign"
	"dkms-go/conf/sysroot"
)

// wantPair fails unless key and certificate are there, belong together, and are
// all there is.
func wantPair(t *testing.T, b *bench, others ...string) {
	t.Helper()
	files := b.files(t)
	for _, name := range append(others, key, cert) {
		if _, ok := files[name]; !ok {
			t.Errorf("%s is missing", name)
		}
		delete(files, name)
	}
	for name := range files {
		t.Errorf("%s is left", name)
	}
	public := tool(t, "openssl", "x509", "-inform", "DER", "-in", b.root.Path(cert), "-noout", "-pubkey")
	if want := tool(t, "openssl", "pkey", "-in", b.root.Path(key), "-pubout"); public != want {
		t.Errorf("the certificate is that of another key")
	}
}

// Many that want a pair at once end with one, whoever makes it.
func TestPairAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"/var/lib/dkms/x": ""})
	made := make([]bool, 8)
	var g errgroup.Group
	for n := range made {
		g.Go(func() error {
			r := b.request(nil)
			r.Report = func(m sign.Message) {
				if _, ok := m.(sign.Generating); ok {
					made[n] = true
				}
			}
			pair, err := sign.PrepareKeys(t.Context(), r)
			if err == nil && pair == nil {
				err = errors.New("no pair")
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	wantPair(t, b, "/var/lib/dkms/x")
	count := 0
	for _, m := range made {
		if m {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d of %d have made a pair, want 1", count, len(made))
	}
}

// Somebody who has the lock is waited for, and an interruption ends that.
func TestPairLocked(t *testing.T) {
	t.Parallel()
	b := newBench(t, map[string]string{"/var/lib/dkms/x": ""})
	holder := exec.Command("flock", b.root.Path("/var/lib/dkms"), "sh", "-c", "echo; cat")
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if pair, err := sign.PrepareKeys(ctx, b.request(nil)); pair != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("PrepareKeys = %v, %v, want %v", pair, err, context.Canceled)
	}
	var g errgroup.Group
	g.Go(func() error { _, err := sign.PrepareKeys(t.Context(), b.request(nil)); return err })
	in.Close()
	if err := errors.Join(holder.Wait(), g.Wait()); err != nil {
		t.Fatal(err)
	}
	wantPair(t, b, "/var/lib/dkms/x")
}

var errPlug = errors.New("the plug is pulled")

// Pulled at any step, the plug leaves a pair, no pair, or what the next run makes
// a pair of: never half of one, and never one that does not belong together.
func TestPairInterrupted(t *testing.T) {
	t.Parallel()
	orphan := string(readFile(t, func() string { _, c := newPair(t, time.Now()); return c }()))
	for name, before := range map[string]map[string]string{
		"new":                     {"/var/lib/dkms/x": ""},
		"in place of an orphan":   {"/var/lib/dkms/x": "", cert: orphan},
		"after another crash":     {"/var/lib/dkms/x": "", "/var/lib/dkms/.mok.pub.new": orphan},
		"after one, with orphans": {"/var/lib/dkms/x": "", cert: orphan, "/var/lib/dkms/.mok.pub.new": orphan},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for pulled := 0; ; pulled++ {
				b := newBench(t, before)
				step, done := 0, true
				r := sign.SmallKeys(b.request(nil))
				r.Root = b.root.Before(func(sysroot.Step) error {
					if step++; step > pulled {
						done = false
						return errPlug
					}
					return nil
				})
				_, err := sign.PrepareKeys(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				left := b.files(t)
				_, hasKey := left[key]
				signer := func(b *bench) bool {
					s, err := sign.Prepare(t.Context(), complete1(sign.SmallKeys(b.request(nil))))
					return err == nil && s != nil
				}
				write(t, b.root.Path("/config"), "CONFIG_MODULE_SIG_HASH=sha512\n")
				if !signer(b) {
					t.Fatalf("after %d steps (key %v) no signatures can be made: %+v", pulled, hasKey, b.messages)
				}
				if hasKey && b.files(t)[key] != left[key] {
					t.Fatalf("after %d steps the key that was there is another one", pulled)
				}
				if done {
					if pulled < 5 {
						t.Errorf("only %d steps: nothing was interrupted", pulled)
					}
					return
				}
			}
		})
	}
}

// complete1 has a request sign with the kernel's hash.
func complete1(r sign.Request) sign.Request { r.TrySignModules = "true"; return r }

// One failed step, as of a full disk, leaves everything as it was.
func TestPairFails(t *testing.T) {
	t.Parallel()
	for failing := 0; ; failing++ {
		b := newBench(t, map[string]string{"/var/lib/dkms/x": ""})
		before := b.files(t)
		step := 0
		r := sign.SmallKeys(b.request(nil))
		r.Root = b.root.Before(func(sysroot.Step) error {
			if step++; step == failing+1 {
				return errPlug
			}
			return nil
		})
		pair, err := sign.PrepareKeys(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if step <= failing {
			if failing < 5 {
				t.Errorf("only %d steps: nothing has failed", failing)
			}
			return
		}
		if pair != nil { // it came after the last step that matters
			wantPair(t, b, "/var/lib/dkms/x")
			continue
		}
		after := b.files(t)
		delete(after, "/var/lib/dkms/.mok.pub.new") // the next run takes it away
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("step %d has failed (-before +after):\n%s", failing, diff)
		}
		last := b.messages[len(b.messages)-1]
		switch last.(type) {
		case sign.KeyNotGenerated, sign.CertNotGenerated:
		default:
			t.Errorf("step %d has failed, and the last message is %+v", failing, last)
		}
	}
}

// A full disk, for real: a tmpfs that holds the certificate and not the key, or
// half of a module.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	id := rsaIdentity(t)
	b := newBench(t, map[string]string{"full/x": ""})
	dir := b.root.Path("/full")
	tool(t, "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir)
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	write(t, filepath.Join(dir, "m.ko"), bytesToSign(40_000))
	before := b.files(t)
	k, err := sign.ParseKey([]byte(id.key), nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := sign.New(b.root, "sha256", k, certificateOf(t, id.der))
	var failed *sign.FailedError
	if err := signer.Sign(t.Context(), "/full/m.ko"); !errors.As(err, &failed) || !strings.Contains(failed.Output, "no space left on device") {
		t.Errorf("Sign = %v, want no space left on device", err)
	}
	if diff := cmp.Diff(before, b.files(t)); diff != "" {
		t.Error("a full disk has changed the files")
	}
	// Nearly full: not even a key goes in.
	f, err := os.Create(filepath.Join(dir, "rest"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(f, strings.NewReader(bytesToSign(64<<10)))
	f.Close()
	r := b.request(nil)
	r.SigningKey, r.Certificate = "/full/mok.key", "/full/mok.pub"
	before = b.files(t)
	pair, err := sign.PrepareKeys(t.Context(), r)
	if pair != nil || err != nil {
		t.Errorf("PrepareKeys = %v, %v, want none", pair, err)
	}
	if diff := cmp.Diff(before, b.files(t)); diff != "" {
		t.Error("a full disk has changed the files")
	}
}
