package depmod

import (
	"errors"
	"fmt"
	"syscall"

	"dkms-go/conf/sysroot"
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

// readFacts reads the module file. An error is one of reading, which says nothing
// about what is in the file; what is wrong in the file is Facts.Errno.
func readFacts(root *sysroot.Root, file string) (Facts, error) {
	host, err := root.Follow(file)
	if err != nil {
		return Facts{}, fmt.Errorf("read module %q: %w", file, err)
	}
	o, err := kmod.Open(root.Path(host))
	var format *kmod.FormatError
	if errors.As(err, &format) {
		return Facts{Errno: syscall.EINVAL}, nil
	}
	if err != nil {
		return Facts{}, err
	}
	return Facts{
		Aliases:  o.Aliases(),
		Softdeps: o.Softdeps(),
		Weakdeps: o.Weakdeps(),
		Exports:  symbols(o.Exports()),
		Needs:    symbols(o.Needs()),
	}, nil
}

func symbols(from []kmod.Symbol) []Symbol {
	out := make([]Symbol, len(from))
	for i, s := range from {
		out[i] = Symbol{Name: s.Name, CRC: s.CRC, Weak: s.Weak}
	}
	return out
}
