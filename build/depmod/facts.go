package depmod

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"dkms-go/dkms/kmod"
)

// Facts is everything that the indexes say of one module file, and all that is
// computed from its content: it may be kept as long as the file does not change.
// What follows from where the file lies, above all the module's name, is not
// part of it. Order matters throughout, and so do repetitions.
type Facts struct {
	Aliases  []string // of .modinfo: the values of alias, softdep, weakdep
	Softdeps []string
	Weakdeps []string
	Exports  []Symbol // see [kmod.Object.Exports]
	Needs    []Symbol // see [kmod.Object.Needs]
	// Errno is why no exported symbols could be read from the file, as libkmod
	// would say it (kmod_module_get_symbols): ENOEXEC for what is no ELF, EINVAL
	// for a damaged one; 0 when there is nothing to say. The other facts may be
	// there all the same.
	Errno syscall.Errno
}

// Symbol is one that a module exports or needs.
type Symbol struct {
	Name string
	CRC  uint32 // 0 without modversions
	Weak bool   // of a needed one: the module can do without
}

// readFacts reads an open module file. An error is one of reading, which says
// nothing about what is in the file; what is wrong in the file is Facts.Errno.
func readFacts(r *kmod.Reader, f *os.File) (Facts, error) {
	o, err := r.Index(f)
	var format *kmod.FormatError
	if err != nil && !errors.As(err, &format) {
		return Facts{}, err
	}
	var facts Facts
	switch {
	case errors.Is(err, kmod.ErrMagic) && !tiny(f):
		facts.Errno = syscall.ENOEXEC
	case err != nil:
		facts.Errno = syscall.EINVAL
	}
	if o == nil {
		return facts, nil
	}
	facts.Aliases, facts.Softdeps, facts.Weakdeps = o.Aliases(), o.Softdeps(), o.Weakdeps()
	facts.Exports, facts.Needs = symbols(o.Exports()), symbols(o.Needs())
	return facts, nil
}

// tiny says whether a file is too short to have any magic number, for libkmod.
func tiny(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Size() < 6
}

func symbols(from []kmod.Symbol) []Symbol {
	out := make([]Symbol, len(from))
	for i, s := range from {
		out[i] = Symbol{Name: s.Name, CRC: s.CRC, Weak: s.Weak}
	}
	return out
}

// equal says whether two files say the same.
func (f *Facts) equal(g *Facts) bool {
	return f.Errno == g.Errno && slices.Equal(f.Aliases, g.Aliases) && slices.Equal(f.Softdeps, g.Softdeps) &&
		slices.Equal(f.Weakdeps, g.Weakdeps) && slices.Equal(f.Exports, g.Exports) && slices.Equal(f.Needs, g.Needs)
}
