package sysroot_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Some make files in a directory, all remove it whenever it is empty, and none
// fails because of the others.
func TestMkdirFor(t *testing.T) {
	t.Parallel()
	root := newRoot(t)
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			for n := range 300 {
				file := fmt.Sprintf("/tree/shared/%d", i)
				if err := root.MkdirFor("/tree/shared", 0o755, func() error { return root.PrepareFile(file, nil, 0o644) }); err != nil {
					return fmt.Errorf("round %d: %w", n, err)
				}
				if err := root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				if err := root.RemoveEmpty("/tree/shared", "/tree"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	gone := root.MkdirFor("/tree", 0o755, func() error { return fs.ErrNotExist })
	wantError(t, "MkdirFor", gone, fs.ErrNotExist)
}
