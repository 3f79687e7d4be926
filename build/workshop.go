package build

import (
	"context"
	"strconv"
	"time"

	"dkms-go/build/jobserver"
	"dkms-go/dkms/proc"
)

// workshop is what the builds of one run share: the tokens that say how many compilers may be at work, and whether each
// build sees a directory of its own.
type workshop struct {
	tokens  *jobserver.Server // nil: there is one build only, which gets its -j from us
	private bool
	began   time.Time
}

// openWorkshop prepares for the builds of a plan. Where there is something to build and the machine allows it, builds are
// private: what they leave running ends with them, and the same module can be built for several kernels at once.
func (b *Builder) openWorkshop(ctx context.Context, p *Plan, wide bool) (*workshop, error) {
	w := &workshop{began: b.Now()}
	if !p.builds() {
		return w, nil
	}
	w.private = b.Host.UID == 0 && proc.Privacy(ctx, b.Root.Dir()) == nil
	if !wide {
		return w, nil
	}
	style := jobserver.Ask(ctx, b.Runner, b.Root.Dir(), b.Env)
	var err error
	w.tokens, err = jobserver.Open(b.Root, b.Tree.Options().DKMSTree, b.budget(), style)
	return w, err
}

// budget is how many compilers may be at work: as many as was asked for; or, if nobody has, as memory and descriptors allow.
func (b *Builder) budget() int {
	jobs, err := strconv.Atoi(b.Options.Jobs)
	if err == nil && !b.Options.UsualJobs {
		return jobs
	}
	if err != nil {
		jobs = most
	}
	return jobserver.Budget(jobs, jobserver.Memory(b.Host.Root.FS()), jobserver.OpenFiles())
}

// most is for those who want no limit.
const most = 4096

func (w *workshop) close() {
	if w.tokens != nil {
		_ = w.tokens.Close() // a name in the place for temporary files may stay; the next run sweeps it
	}
}

// token waits for the right to keep a processor busy with work of our own. release gives it back.
func (w *workshop) token(ctx context.Context) (release func(), err error) {
	if w.tokens == nil {
		return func() {}, nil
	}
	if err := w.tokens.Acquire(ctx); err != nil {
		return nil, err
	}
	return w.tokens.Release, nil
}

// builds reports whether the plan has something to build.
func (p *Plan) builds() bool {
	for _, s := range p.Steps {
		if s.Action == Build && s.Skip == Needed {
			return true
		}
	}
	return false
}
