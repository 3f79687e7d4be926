package depmod

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"dkms-go/conf/sysroot"
)

// Scan finds and reads the modules of a kernel and computes their indexes. It
// changes nothing.
//
// A module that cannot be read is told of and listed all the same, with what could
// be read of it: so does kmod. Errors are those of the whole: a directory or file
// of the options that cannot be read ([FatalError]), modules that need each other
// in a circle ([CycleError]), names that an index cannot hold ([CharacterError]).
// Before any of them a message has been told.
func Scan(ctx context.Context, root *sysroot.Root, opt Options) (*Index, error) {
	if opt.OutDir == "" {
		opt.OutDir = opt.Dir
	}
	s := &scan{root: root, opt: opt}
	table := &symbolTable{prefix: opt.Prefix, symbols: map[string]export{}}
	if err := s.kernelSymbols(table); err != nil {
		return nil, err
	}
	if opt.Files == nil {
		s.loadRules()
	}
	list, err := s.modules()
	if err != nil {
		return nil, err
	}
	s.sortModules(list)
	if err := s.read(ctx, list); err != nil {
		return nil, err
	}
	s.loadSymbols(table, list)
	s.resolve(table, list)
	if err := s.rank(list); err != nil {
		return nil, err
	}
	files, err := s.files(ctx, s.compute(table, list))
	if err != nil {
		return nil, err
	}
	return &Index{root: root, dir: opt.OutDir, files: files}, nil
}

// scan is the state of one Scan.
type scan struct {
	root  *sysroot.Root
	opt   Options
	rules rules
}

func (s *scan) tell(level Level, format string, args ...any) {
	if s.opt.Tell != nil {
		s.opt.Tell(Message{level, fmt.Sprintf(format, args...)})
	}
}

// read reads the facts of all modules, on all processors.
func (s *scan) read(ctx context.Context, list []*module) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, m := range list {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			m.Facts, m.readErr = readFacts(s.root, m.path)
			return ctx.Err()
		})
	}
	return g.Wait()
}

// compute gathers what several files are made of.
func (s *scan) compute(table *symbolTable, list []*module) *computed {
	c := &computed{opt: &s.opt, list: list, deps: closures(list)}
	c.symbols = make([]namedExport, 0, len(table.symbols))
	for name, e := range table.symbols {
		if e.owner != nil {
			c.symbols = append(c.symbols, namedExport{name, e.owner})
		}
	}
	hashOrder(c.symbols, symbolBuckets, func(x namedExport) string { return x.name })
	if !s.opt.TextOnly {
		c.builtin, c.haveBuiltin = s.optional("modules.builtin")
		c.builtinModinfo, c.haveBuiltinModinfo = s.optional("modules.builtin.modinfo")
	}
	return c
}

// FatalError says why indexes could not be made, in kmod's words.
type FatalError struct{ Text string }

func (e *FatalError) Error() string { return e.Text }

// Told says that the error has been told as a message as well.
func (*FatalError) Told() bool { return true }

// Told says that the error has been told as a message as well.
func (*CycleError) Told() bool { return true }

// Told says that the error has been told as a message as well.
func (*CharacterError) Told() bool { return true }

// strerror is what the C library says about an error of the system.
func strerror(err error) string {
	var n syscall.Errno
	if !errors.As(err, &n) {
		return err.Error()
	}
	if n == 0 {
		return "Success"
	}
	text := n.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
