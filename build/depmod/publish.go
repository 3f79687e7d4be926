package depmod

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"dkms-go/conf/sysroot"
)

// groupName is what the two directories are called that Publish works with, beside
// the indexes (see [sysroot.Group]).
const groupName = ".modules"

// Publish makes the index the one that modprobe sees. All of its files are written
// and synced before the first of them takes its place, modules.dep.bin is the last
// to do so, and when anything fails before that, the context ends included, those
// that were there are all there again. Nothing is written when the same index lies
// there already.
//
// When the process is killed between two files, the next Publish or [Recover] puts
// the old ones back, all of them.
func (x *Index) Publish(ctx context.Context) error {
	g, err := lock(ctx, x.root, x.dir)
	if err != nil {
		return err
	}
	defer g.Close()
	var cache *cacheWriter
	var work errgroup.Group
	if !x.scan.forgetful(x) {
		work.Go(func() error { cache = x.scan.prepare(); return nil })
	}
	if !x.unchanged {
		err = g.Replace(x.contents(ctx))
	}
	_ = work.Wait()
	if err != nil {
		return fmt.Errorf("write the module indexes in %q: %w", x.dir, err)
	}
	if cache != nil {
		x.scan.remember(x, cache)
	}
	return nil
}

func lock(ctx context.Context, root *sysroot.Root, dir string) (*sysroot.Group, error) {
	g, err := root.LockGroup(ctx, dir, groupName)
	if err != nil {
		return nil, fmt.Errorf("write the module indexes in %q: %w", dir, err)
	}
	return g, nil
}

// contents is the files in the order in which they take their places.
func (x *Index) contents(ctx context.Context) []sysroot.Content {
	var out, last []sysroot.Content
	for _, f := range x.files {
		c := sysroot.Content{Name: f.Name, Perm: 0o644, Fill: func(w io.Writer) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f.WriteTo(w)
		}}
		if f.Name == "modules.dep.bin" {
			last = append(last, c)
		} else {
			out = append(out, c)
		}
	}
	return append(out, last...)
}

// Recover undoes what a Publish into dir that was killed has left behind. It does
// nothing if nobody was.
func Recover(ctx context.Context, root *sysroot.Root, dir string) error {
	g, err := lock(ctx, root, dir)
	if err != nil {
		return err
	}
	g.Close()
	return nil
}
