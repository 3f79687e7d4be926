package build

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"dkms-go/build/sign"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// preparation is what is settled once for all modules of a kernel.
type preparation struct {
	signer *sign.Signer // nil: modules are not signed
}

// prepare checks the headers of a kernel and decides about signing (prepare_kernel_and_signing in dkms.in). That is done
// and told of once in a run, by the first step of the plan that gets so far, whichever begins first.
func (w *work) prepare(ctx context.Context, k *kernel.Kernel) (*preparation, error) {
	t := Target{k.Release, k.Arch}
	if p := w.settled(ctx, t); p != nil {
		return p, nil
	}
	if err := w.CheckHeaders(t); err != nil {
		return nil, err
	}
	signer, err := w.decide(ctx, k)
	if err != nil {
		return nil, err
	}
	p := &preparation{signer: signer}
	w.settle(t, p)
	w.Emit(Prepared{Target: t})
	return p, nil
}

// preparing identifies a preparation: by the kernel, and by the part where each has its own, because run_match of dkms.in
// has each build prepare its kernel.
type preparing struct {
	target Target
	part   int
}

func (w *work) preparing(n int, t Target) preparing {
	if part := w.plan.Steps[n].Part; part >= 0 && w.plan.Parts[part].Why == Matched {
		return preparing{t, part}
	}
	return preparing{t, -1}
}

// settled returns what was settled for a kernel, or nil when it is for this step to do so: no step before it is still going
// to.
func (w *work) settled(ctx context.Context, t Target) *preparation {
	key := w.preparing(w.number, t)
	for n := range w.number {
		if p := w.preparation(key); p != nil {
			return p
		}
		s := w.plan.Steps[n]
		if (s.Action == Build || s.Action == Prepare) && (Target{s.Instance.Kernel, s.Instance.Arch}) == t && w.preparing(n, t) == key {
			select {
			case <-w.steps[n].prepared:
			case <-ctx.Done():
			}
		}
	}
	return w.preparation(key)
}

func (w *work) preparation(key preparing) *preparation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.prepared[key]
}

// settle notes what was settled, and lets the steps go on that wait for it.
func (w *work) settle(t Target, p *preparation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prepared[w.preparing(w.number, t)] = p
	w.steps[w.number].settle()
}

// signer returns what signs modules of a kernel, or nil, without asking for headers.
func (w *work) signer(ctx context.Context, k *kernel.Kernel) (*sign.Signer, error) {
	t := Target{k.Release, k.Arch}
	key := w.preparing(w.number, t)
	w.mu.Lock()
	p := cmp.Or(w.prepared[key], w.late[t])
	w.mu.Unlock()
	if p != nil {
		return p.signer, nil
	}
	signer, err := w.decide(ctx, k)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.late[t] = &preparation{signer: signer}
	w.mu.Unlock()
	w.Emit(Prepared{Target: t})
	return signer, nil
}

// noteUnsigned notes that a module that was built could not be signed.
func (r *run) noteUnsigned(i dkms.Instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notSigned[i] = true
}

func (r *run) unsigned(i dkms.Instance) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notSigned[i]
}

// decide decides whether and how modules of a kernel are signed. The events say why not.
func (w *work) decide(ctx context.Context, k *kernel.Kernel) (*sign.Signer, error) {
	req, err := w.signRequest(ctx, k, w.Emit, w.Stdout)
	if err != nil {
		return nil, err
	}
	return sign.Prepare(ctx, req)
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
func (b *Builder) signRequest(ctx context.Context, k *kernel.Kernel, emit dkms.Emit, out io.Writer) (sign.Request, error) {
	f, err := b.Conf.Framework(ctx, k.Release)
	if err != nil {
		return sign.Request{}, err
	}
	o := b.Tree.Options()
	return sign.Request{
		Root: b.Root, Runner: b.signRunner(b.atTop), Passphrase: b.Passphrase, Image: b.image(), Distribution: string(o.Distribution), Env: b.Env,
		Release: k.Release, InstallTree: o.InstallTree, Headers: k.Headers, Config: k.Config, ConfigValue: k.ConfigValue,
		SignFile: f.SignFile, SigningKey: f.MokSigningKey, Certificate: f.MokCertificate, TrySignModules: f.TrySignModules,
		InChroot: b.jail().InChroot,
		LookPath: func(program string) (string, bool) {
			abs, err := proc.LookPath(b.Root.Dir(), b.Env, program)
			return abs, err == nil
		},
		Now: b.Now, Output: out,
		Report: func(m sign.Message) { emit(SigningDecided{m}) },
	}, nil
}

// GenerateKeys makes the pair of key and certificate that modules are signed with, unless it exists; that is the verb
// generate_mok. It returns nil when there is no usable pair; the events say why.
func (b *Builder) GenerateKeys(ctx context.Context, t Target) (*sign.Pair, error) {
	k, err := b.kernel(t)
	if err != nil {
		return nil, err
	}
	req, err := b.signRequest(ctx, k, b.Emit, b.Stdout)
	if err != nil {
		return nil, err
	}
	req.Image = false // who types this verb wants the key where it is going to be
	return sign.PrepareKeys(ctx, req)
}

// jail is what the question whether we run in a chroot is decided by.
func (b *Builder) jail() sign.Jail {
	return sign.Jail{Env: b.Env, Proc: b.Host.Root.Path("/proc"), Top: b.Host.Root.Dir(), UID: b.Host.UID}
}

// signRunner returns a function that runs programs that sign, where place puts them. They alone may learn the passphrase.
func (b *Builder) signRunner(place func(proc.Cmd) proc.Cmd) sign.Runner {
	return func(ctx context.Context, argv, extra []string, out io.Writer) error {
		return b.Runner.Run(ctx, place(proc.Cmd{Args: argv, Env: slices.Concat(b.Env, extra), Stdout: out, Stderr: out}))
	}
}

// atTop has a command run in the root.
func (b *Builder) atTop(c proc.Cmd) proc.Cmd {
	c.Dir, c.Root = "/", b.Root.Dir()
	return c
}

// run returns a function that runs programs below the host directory root, with the environment of children.
func (b *Builder) run(root string) func(context.Context, []string, io.Writer) error {
	return func(ctx context.Context, argv []string, out io.Writer) error {
		return b.Runner.Run(ctx, proc.Cmd{Args: argv, Dir: "/", Env: b.Env, Root: root, Stdout: out, Stderr: out})
	}
}
