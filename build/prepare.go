package build

import (
	"context"
	"errors"
	"io"

	"dkms-go/build/sign"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// preparation is what is settled once for all modules of a kernel.
type preparation struct {
	signer *sign.Signer // nil: modules are not signed
}

// prepare checks the headers of a kernel and decides about signing (prepare_kernel_and_signing in dkms.in).
func (r *run) prepare(ctx context.Context, k *kernel.Kernel) (*preparation, error) {
	t := Target{k.Release, k.Arch}
	if p := r.prepared[t]; p != nil {
		return p, nil
	}
	if err := r.CheckHeaders(t); err != nil {
		return nil, err
	}
	req, err := r.signRequest(ctx, k)
	if err != nil {
		return nil, err
	}
	signer, err := sign.Prepare(ctx, req)
	if err != nil {
		return nil, err
	}
	p := &preparation{signer: signer}
	r.prepared[t] = p
	r.Emit(Prepared{Target: t})
	return p, nil
}

// CheckHeaders returns an error of kind HeadersMissing unless the headers of a kernel are there.
func (b *Builder) CheckHeaders(t Target) error {
	k, err := b.kernel(t)
	if err != nil {
		return err
	}
	err = k.CheckHeaders()
	var none *kernel.NoHeadersError
	if !errors.As(err, &none) {
		return err
	}
	e := &dkms.Error{Kind: dkms.HeadersMissing, Instance: dkms.Instance{Kernel: k.Release, Arch: k.Arch}, Detail: none.Looked, Err: err}
	if none.Package != "" {
		e.Remedy = "install the package " + none.Package
	}
	return e
}

// signRequest gathers what the decision about signing depends on. The settings are read anew for every kernel, because
// framework.conf may use $kernelver in them.
func (b *Builder) signRequest(ctx context.Context, k *kernel.Kernel) (sign.Request, error) {
	f, err := b.Conf.Framework(ctx, k.Release)
	if err != nil {
		return sign.Request{}, err
	}
	o := b.Tree.Options()
	jail := sign.Jail{Env: b.Env, Proc: b.Host.Root.Path("/proc"), Top: b.Host.Root.Dir(), UID: b.Host.UID}
	return sign.Request{
		Root: b.Root, Runner: b.run(b.Root.Dir()), Distribution: string(o.Distribution), Env: b.Env,
		Release: k.Release, InstallTree: o.InstallTree, Headers: k.Headers, Config: k.Config, ConfigValue: k.ConfigValue,
		SignFile: f.SignFile, SigningKey: f.MokSigningKey, Certificate: f.MokCertificate, TrySignModules: f.TrySignModules,
		InChroot: jail.InChroot,
		LookPath: func(program string) (string, bool) {
			abs, err := proc.LookPath(b.Root.Dir(), b.Env, program)
			return abs, err == nil
		},
		Now: b.Now, Output: b.Stdout,
		Report: func(m sign.Message) { b.Emit(SigningDecided{m}) },
	}, nil
}

// GenerateKeys makes the pair of key and certificate that modules are signed with, unless it exists; that is the verb
// generate_mok. It returns nil when there is no usable pair; the events say why.
func (b *Builder) GenerateKeys(ctx context.Context, t Target) (*sign.Pair, error) {
	k, err := b.kernel(t)
	if err != nil {
		return nil, err
	}
	req, err := b.signRequest(ctx, k)
	if err != nil {
		return nil, err
	}
	return sign.PrepareKeys(ctx, req)
}

// run returns a function that runs programs below the host directory root, with the environment of children.
func (b *Builder) run(root string) func(context.Context, []string, io.Writer) error {
	return func(ctx context.Context, argv []string, out io.Writer) error {
		return b.Runner.Run(ctx, proc.Cmd{Args: argv, Dir: "/", Env: b.Env, Root: root, Stdout: out, Stderr: out})
	}
}
