package build

import (
	"context"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"dkms-go/build/sign"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
	"dkms-go/dkms/kmod"
)

// SignFiles signs module files in place, compressed ones too, each of them atomically. They are host paths: the files need not
// be part of the root. The hash is that of the kernel that a module was built for, as far as it is known here, else that of
// the target, else sha256. The errors belong to the files one by one; the error in the end says that nothing can be signed.
func (b *Builder) SignFiles(ctx context.Context, files []string, t Target, pair sign.Pair) ([]error, error) {
	req, err := b.signRequestFor(ctx, t, pair)
	if err != nil {
		return nil, err
	}
	signers := map[string]*sign.Signer{}
	hashes := make([]string, len(files))
	for n, f := range files {
		h := b.hashFor(f, t)
		hashes[n] = h
		if signers[h] != nil {
			continue
		}
		signer, err := sign.PrepareHash(ctx, req, h)
		if err != nil {
			return nil, err
		}
		if signer == nil { // the events have told why
			return nil, &dkms.Error{Kind: dkms.SigningKeyUnusable}
		}
		signers[h] = signer.Elsewhere(b.Host.Root)
		req.Report = nil // once is enough
	}
	errs := make([]error, len(files))
	var g errgroup.Group
	g.SetLimit(8 * runtime.NumCPU()) // most of them wait for the disk
	for n, f := range files {
		g.Go(func() error {
			errs[n] = b.signFile(ctx, b.Host.Root, signers[hashes[n]], f)
			return nil
		})
	}
	return errs, g.Wait()
}

// hashFor is the hash that a module file wants to be signed with.
func (b *Builder) hashFor(host string, t Target) string {
	for _, release := range []string{b.builtFor(host), t.Kernel} {
		if k, err := b.kernel(Target{release, t.Arch}); err == nil && k.SigHash() != "" {
			return k.SigHash()
		}
	}
	return "sha256"
}

// builtFor is the kernel that a module file says it is for; "" when it does not.
func (b *Builder) builtFor(host string) string {
	o, err := kmod.Open(b.Host.Root.Path(host))
	if err != nil {
		return ""
	}
	for _, f := range o.Modinfo() {
		if f.Key == "vermagic" {
			release, _, _ := strings.Cut(f.Value, " ")
			return release
		}
	}
	return ""
}

// Verified is a module file and what was found in it.
type Verified struct {
	File string
	sign.Verdict
	Err error // why it could not be looked at
}

// VerifyFile checks the signature of a module file, which may be compressed, against the certificate of a status.
func (b *Builder) VerifyFile(root *sysroot.Root, abs string, s *KeyStatus) Verified {
	v := Verified{File: abs}
	f, err := root.Open(abs)
	if err != nil {
		v.Err = err
		return v
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err == nil {
		data, err = kmod.Decompress(data)
	}
	if err != nil {
		v.Err = err
		return v
	}
	v.Verdict = sign.Verify(data, s.Certificate)
	return v
}

// ModuleFiles returns the files, inside the root, of what a word means: a registered module, with or without version, of which
// it is the installed files, or the built ones where it is not installed; or else a module of the target's kernel by its name.
// The kernel may be left out of the filter for all of them. There may be none.
func (b *Builder) ModuleFiles(f dkms.Filter, t Target) ([]string, error) {
	ms, err := b.Tree.Modules(f)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, m := range ms {
		for _, i := range b.Tree.Instances(m, f) {
			found, err := b.instanceFiles(i)
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
		}
	}
	if len(ms) > 0 || f.Version != "" {
		return files, nil
	}
	return b.kernelFiles(t, f.Name)
}

// instanceFiles returns the files of a build, in its kernel if they are installed there.
func (b *Builder) instanceFiles(i dkms.Instance) ([]string, error) {
	dir := path.Join(b.Tree.BaseDir(i), "module")
	ents, err := b.Root.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range ents {
		if !kmod.IsModule(e.Name()) {
			continue
		}
		found := []string{path.Join(dir, e.Name())}
		if b.Tree.Installed(i) {
			if installed, err := b.kernelFiles(Target{i.Kernel, i.Arch}, kmod.ModuleName(e.Name())); err == nil && len(installed) > 0 {
				found = installed
			}
		}
		files = append(files, found...)
	}
	return files, nil
}

// kernelFiles returns the files of a kernel's modules of a name, in which "-" and "_" are the same.
func (b *Builder) kernelFiles(t Target, name string) ([]string, error) {
	k, err := b.kernel(t)
	if err != nil {
		return nil, err
	}
	var files []string
	names := []string{strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "_", "-"), name}
	slices.Sort(names)
	for _, c := range []kmod.Compression{kmod.Gzip, kmod.Xz, kmod.Zstd} {
		found, err := k.FindModuleFiles(slices.Compact(slices.Clone(names)), c)
		if err != nil {
			return nil, err
		}
		for _, fs := range found {
			files = append(files, fs...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}
