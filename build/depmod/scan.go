package depmod

import (
	"context"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sync/errgroup"

	"dkms-go/conf/sysroot"
)

// scan is the state of one Scan.
type scan struct {
	root *sysroot.Root
	opt  Options
}

func (s *scan) tell(level Level, format string, args ...any) {
	if s.opt.Tell != nil {
		s.opt.Tell(Message{level, fmt.Sprintf(format, args...)})
	}
}

// found is a module file that is to be indexed.
type found struct {
	path string // inside the root, for reading
}

// reading is what became of reading a module file.
type reading struct {
	Facts
	err error // of reading the file; see readFacts
}

// read reads the facts of all files, on all processors.
func (s *scan) read(ctx context.Context, files []found) ([]reading, error) {
	out := make([]reading, len(files))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range files {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			out[i].Facts, out[i].err = readFacts(s.root, f.path)
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

// errno is the number of an error that came from the system, EINVAL for others.
func errno(err error) syscall.Errno {
	if n, ok := asErrno(err); ok {
		return n
	}
	return syscall.EINVAL
}
