package kbuild

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dkms-go/dkms/proc"
)

// Strip removes the debugging symbols of a module file in place, with
// llvm-strip when the module was compiled by exactly "clang".
func (t *Tree) Strip(ctx context.Context, abs string) error {
	program := "strip"
	if lookup(t.env, "CC") == "clang" {
		program = "llvm-strip"
	}
	return t.tool(ctx, program, "-g", abs)
}

// Compress packs a module file the way compression names ("gz", "xz" or
// "zst"; "" leaves it alone) with the program of that format. options are
// those of framework.conf, split at blanks. It returns the file to go on with,
// as commands of the build see it:
// the packed one, or after a failure the file it was given along with the
// error.
func (t *Tree) Compress(ctx context.Context, abs, compression, options string) (string, error) {
	if compression == "" {
		return abs, nil
	}
	program := map[string]string{"gz": "gzip", "xz": "xz", "zst": "zstd"}[compression]
	if program == "" {
		return abs, fmt.Errorf("no program for compression %q", compression)
	}
	args := append(strings.Fields(options), "-f", abs)
	if err := t.tool(ctx, program, args...); err != nil {
		return abs, fmt.Errorf("compress %s: %w", abs, err)
	}
	return abs + "." + compression, nil
}

// tool runs a program on a product, outside of the log.
func (t *Tree) tool(ctx context.Context, program string, args ...string) error {
	return t.run(ctx, program, proc.Cmd{
		Args:   slices.Concat([]string{program}, args),
		Stdout: t.job.Stderr,
		Stderr: t.job.Stderr,
	}, false)
}
