package kbuild

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"dkms-go/build/jobserver"
	"dkms-go/conf"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// Job is everything one build needs. Paths are inside Root.
type Job struct {
	Root   *sysroot.Root
	Runner proc.Runner

	Name, Version string // the module
	Conf          *conf.Module
	Records       []int // indexes of the records of Conf to be built (conf.Module.Buildable)
	Kernel        *kernel.Kernel

	Source    string // T/M/V/source; may be a link to a directory
	BuildDir  string // T/M/V/build
	Overrides string // /etc/dkms/M: may hold patches/ and scripts that replace the module's own; "" for none

	Jobs string // parallel_jobs; "" gives a plain -j
	// Jobserver has commands wait for a token of their own, and make, which then
	// gets no -j on its command line, draw more from it. Nil: nobody else works.
	Jobserver *jobserver.Server

	// Private has the build see a directory of its own at BuildDir, so that the
	// module can be built for several kernels at once. Only where proc.Privacy
	// finds nothing against it; other builds of a module version take turns.
	Private bool
	// Began is when the caller began its work. What a build that failed before
	// left at BuildDir goes, as with upstream; what one left since then stays.
	// Private builds heed it; the zero value lets all go.
	Began time.Time
	// Yields tells whether the build that has failed is not to be the one that
	// lies at BuildDir, because another one there shall stay. It is asked when it
	// is the turn of that build. Nil: it always is, in place of what is there.
	Yields func() bool
	// Timeout is how long the commands of this build may take together. The time
	// that they wait for tokens does not count. Zero means for ever.
	Timeout time.Duration

	Env              []string // environment to start from, without CC, CXX, CFLAGS, CXXFLAGS, LDFLAGS
	BuildEnvironment string   // build_environment of framework.conf; "" for none
	Release          string   // for the head of make.log: what dkms --version prints
	Quiet            bool     // passed on in Begin events

	Now    func() time.Time
	Report func(Event) // nil: nobody looks
	Stderr io.Writer   // what strip and the compressors complain about; nil discards it
}

// CheckSource returns an *EmptySourceError when fewer than two visible entries
// lie in dir.
func CheckSource(root *sysroot.Root, dir string) error {
	entries, err := root.ReadDir(dir)
	if err != nil {
		return &EmptySourceError{Dir: dir}
	}
	visible := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			visible++
		}
	}
	if visible < 2 {
		return &EmptySourceError{Dir: dir}
	}
	return nil
}

// Build copies the source into a new build directory, applies patches, runs
// PRE_BUILD and make, and checks that every record has its product (do_build,
// from the compiler environment on). Errors are *PatchError, *ScriptError,
// *MakeError, *MissingProductError, *TimeoutError, or of the file system. When
// ctx ends the build directory is emptied and ctx's error returned; after every
// other error the directory stays at BuildDir, with its make.log. After success
// Discard or Keep must follow.
func Build(ctx context.Context, j Job) (*Tree, error) {
	t := newTree(j)
	if err := t.build(ctx); err != nil {
		return nil, t.failed(ctx, err)
	}
	return t, nil
}

func (t *Tree) build(ctx context.Context) error {
	command, err := t.configure(ctx)
	if err != nil {
		return err
	}
	if err := t.prepare(ctx); err != nil {
		return fmt.Errorf("prepare build directory: %w", err)
	}
	if err := t.log.start(&t.job); err != nil {
		return err
	}
	if err := t.patch(ctx); err != nil {
		return err
	}
	if err := t.script(ctx, "pre_build", t.job.Conf.PreBuild); err != nil {
		return err
	}
	if err := t.make(ctx, command); err != nil {
		return err
	}
	return t.checkProducts()
}

// configure finds compiler, environment and make command; it changes nothing.
func (t *Tree) configure(ctx context.Context) (command string, err error) {
	toolchain, err := t.job.toolchain(ctx)
	if err != nil {
		return "", err
	}
	if t.env, err = t.job.environment(ctx, toolchain); err != nil {
		return "", err
	}
	return t.job.makeCommand(ctx, toolchain.LLVM)
}

// prepare sees to it that there is a build directory, and that it is ours.
func (t *Tree) prepare(ctx context.Context) error {
	if t.job.Private {
		if err := t.claim(); err != nil {
			return err
		}
	}
	return t.populate(ctx)
}

// populate makes the build directory anew: a full copy of the source, with the
// administrator's patches over it.
func (t *Tree) populate(ctx context.Context) error {
	j := &t.job
	if err := j.Root.RemoveAll(t.dir); err != nil {
		return err
	}
	if err := j.Root.CopyTree(ctx, j.Source, t.dir); err != nil {
		return err
	}
	if j.Overrides == "" {
		return nil
	}
	patches := path.Join(j.Overrides, "patches")
	if info, err := j.Root.Stat(patches); err != nil || !info.IsDir() {
		return nil //nolint:nilerr // there is no overlay
	}
	target := path.Join(t.dir, "patches")
	if err := j.Root.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return j.Root.CopyTree(ctx, patches, target)
}

func (t *Tree) make(ctx context.Context, command string) error {
	result, err := t.step(ctx, "Building module(s)", command, t.job.jobserved(command))
	if err != nil {
		return err
	}
	if result.status != 0 {
		return &MakeError{Status: result.status, Command: command, Log: t.logPath(), Tail: result.tail()}
	}
	return nil
}
