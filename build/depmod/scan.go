package depmod

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"syscall"

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
	x, err := scanOnce(ctx, root, opt)
	if errors.Is(err, errUnlike) { // nothing has been told yet
		opt.Earlier = false
		return scanOnce(ctx, root, opt)
	}
	return x, err
}

func scanOnce(ctx context.Context, root *sysroot.Root, opt Options) (*Index, error) {
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
	if x, ok := s.current(list); ok {
		x.scan = s
		return x, nil
	}
	s.loadSymbols(table, list)
	if err := s.link(ctx, table, list); err != nil {
		return nil, err
	}
	files, err := s.files(ctx, s.compute(table, list))
	if err != nil {
		return nil, err
	}
	return &Index{root: root, dir: opt.OutDir, files: files, scan: s}, nil
}

// scan is the state of one Scan.
type scan struct {
	root  *sysroot.Root
	opt   Options
	rules rules

	ordered  map[string]bool // paths that modules.order lists
	borrowed bool            // some modules are lent

	// What read and current find out, see cache.go.
	records   []record  // of each module
	published published // what the last run has left behind
	sameFacts bool      // as in the cache
	reread    bool      // there is something to remember
	newInputs [sha256.Size]byte
	told      int // messages
}

func (s *scan) tell(level Level, format string, args ...any) {
	s.told++
	if s.opt.Tell != nil {
		s.opt.Tell(Message{level, fmt.Sprintf(format, args...)})
	}
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
