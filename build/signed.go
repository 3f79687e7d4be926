package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"dkms-go/build/sign"
	"dkms-go/build/sign/trust"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/kmod"
	"dkms-go/dkms/proc"
)

// Unsigned returns the module files in the build result of an instance that have no signature, by name. One with a damaged
// signature is among them: kernels refuse it.
func (b *Builder) Unsigned(i dkms.Instance) ([]string, error) {
	dir := path.Join(b.Tree.BaseDir(i), "module")
	ents, err := b.Root.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range ents {
		if !kmod.IsModule(e.Name()) {
			continue
		}
		signed, err := b.signed(path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if !signed {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// signed reports whether a module file has a signature, whosever that is.
func (b *Builder) signed(abs string) (bool, error) {
	f, err := b.Root.Open(abs)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sig, err := kmod.ReadSignature(f)
	if errors.Is(err, kmod.ErrSignature) {
		return false, nil
	}
	return sig != nil, err
}

// Enforces tells why a kernel takes signed modules only, if it does: because it was made so, or because the machine has it
// do so. A kernel without signatures cannot.
func (b *Builder) Enforces(t Target) (trust.Reason, error) {
	k, err := b.kernel(t)
	if err != nil {
		return trust.NotEnforced, err
	}
	return b.enforces(k), nil
}

func (b *Builder) enforces(k *kernel.Kernel) trust.Reason {
	if forced, _ := k.ConfigValue("CONFIG_MODULE_SIG_FORCE"); forced == "y" {
		return trust.SigForce
	}
	if k.HasConfig() && k.SigHash() == "" {
		return trust.NotEnforced
	}
	return b.Machine().Enforces(k.Release)
}

// Machine is what the machine below the root says about signatures. An image, also one with the /proc and /sys of the machine
// that works on it, is no machine and says nothing.
func (b *Builder) Machine() trust.Machine {
	if b.image() && (b.sameAsHost("/proc") || b.sameAsHost("/sys")) {
		return trust.Machine{}
	}
	return trust.ReadMachine(b.Root)
}

// image reports whether the root is another one than that of the machine that the program runs on.
func (b *Builder) image() bool { return b.Root.Dir() != b.Host.Root.Dir() }

// sameAsHost reports whether a directory of the root is that of the machine.
func (b *Builder) sameAsHost(abs string) bool {
	theirs, err := b.Root.Stat(abs)
	if err != nil {
		return false
	}
	ours, err := b.Host.Root.Stat(abs)
	return err == nil && sysroot.SameFile(ours, theirs)
}

// checkSigned returns an error of kind Unsigned if the build result of i would be refused by its kernel: it is not signed, and
// the kernel takes signed modules only. A result that was built when there was no key is signed now if there is one. Where the
// administrator has decided that modules are not signed, or by rule they are not, as in a chroot, it is nil.
func (w *work) checkSigned(ctx context.Context, i dkms.Instance, k *kernel.Kernel, trySign string) error {
	if trySign == "false" || trySign != "true" && w.jail().InChroot() {
		return nil
	}
	reason := w.enforces(k)
	if reason == trust.NotEnforced {
		return nil
	}
	names, err := w.Unsigned(i)
	if err != nil || len(names) == 0 {
		return err
	}
	late, err := w.signLate(ctx, i, k, names)
	if err != nil || late {
		return err
	}
	return &dkms.Error{Kind: dkms.Unsigned, Instance: i, Subject: string(reason), Detail: names}
}

// signLate signs files of a build result, and returns whether they are signed now. What this run has tried in vain is not
// tried again.
func (w *work) signLate(ctx context.Context, i dkms.Instance, k *kernel.Kernel, names []string) (bool, error) {
	if w.unsigned(i) {
		return false, nil
	}
	signer, err := w.signer(ctx, k)
	if err != nil || signer == nil {
		return false, err
	}
	for _, name := range names {
		abs := path.Join(w.Tree.BaseDir(i), "module", name)
		w.Emit(Signing{Path: abs})
		if err := w.signFile(ctx, w.Root, signer.Durable(), abs); err != nil {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			w.Emit(SigningFailed{Path: abs, Output: outputOf(err)})
			return false, nil
		}
	}
	return true, nil
}

// signFile signs a module file that may be compressed; then it is unpacked beside itself, signed and packed again. It changes
// at once or not at all.
func (b *Builder) signFile(ctx context.Context, root *sysroot.Root, signer *sign.Signer, abs string) error {
	data, info, err := readFile(root, abs)
	if err != nil {
		return &sign.FailedError{File: abs, Output: err.Error(), Err: err}
	}
	compression := kmod.Detect(data)
	if compression == kmod.None {
		return signer.Sign(ctx, abs)
	}
	err = b.signPacked(ctx, root, signer, abs, data, compression, info.Mode().Perm())
	var failed *sign.FailedError
	if err != nil && !errors.As(err, &failed) {
		err = &sign.FailedError{File: abs, Output: err.Error(), Err: err}
	}
	return err
}

func readFile(root *sysroot.Root, abs string) ([]byte, fs.FileInfo, error) {
	f, err := root.Open(abs)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is no regular file", abs)
	}
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(f)
	return data, info, err
}

func (b *Builder) signPacked(ctx context.Context, root *sysroot.Root, signer *sign.Signer, abs string, data []byte, c kmod.Compression, perm fs.FileMode) (err error) {
	module, err := kmod.Decompress(data)
	if err != nil {
		return err
	}
	dir, err := root.MkdirTemp(path.Dir(abs), ".sign.*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.RemoveAll(dir)) }()
	plain := path.Join(dir, "module.ko")
	if err := root.WriteFile(plain, module, 0o600); err != nil {
		return err
	}
	if err := signer.Sign(ctx, plain); err != nil {
		return err
	}
	packed, err := b.packAgain(ctx, root, plain, c)
	if err != nil {
		return err
	}
	return root.Copy(packed, abs, perm)
}

// packAgain compresses the file at abs with the program that builds use, and returns the name of the result.
func (b *Builder) packAgain(ctx context.Context, root *sysroot.Root, abs string, c kmod.Compression) (string, error) {
	program := map[kmod.Compression]string{kmod.Gzip: "gzip", kmod.Xz: "xz", kmod.Zstd: "zstd"}[c]
	argv := slices.Concat([]string{program}, strings.Fields(compressOptions(b.Framework, c)), []string{"-f", abs})
	var out bytes.Buffer
	err := b.Runner.Run(ctx, proc.Cmd{Args: argv, Dir: "/", Env: b.Env, Root: root.Dir(), Stdout: &out, Stderr: &out})
	if err != nil {
		return "", fmt.Errorf("compress it again: %w: %s", err, strings.TrimSpace(out.String()))
	}
	return abs + c.Suffix(), nil
}

// outputOf is what there is to tell about a failure to sign.
func outputOf(err error) string {
	var failed *sign.FailedError
	if errors.As(err, &failed) {
		return failed.Output
	}
	return err.Error()
}
