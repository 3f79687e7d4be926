package hooks

import (
	"errors"

	"dkms-go/build"
	"dkms-go/dkms/kernel"
)

// Due tells the kernels that can be worked for now from those whose headers are there in part, which it returns the reasons
// for: somebody is still writing them. A kernel without any headers is due, for what is built for it can be installed.
func Due(b *build.Builder, ts []build.Target) (due []build.Target, unfinished []*kernel.IncompleteError) {
	for _, t := range ts {
		var e *kernel.IncompleteError
		if errors.As(b.CheckComplete(t), &e) {
			unfinished = append(unfinished, e)
			continue
		}
		due = append(due, t)
	}
	return due, unfinished
}
