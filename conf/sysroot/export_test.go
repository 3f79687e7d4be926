package sysroot

// Walking returns the same tree, read without the kernel's help in resolving paths.
func (r *Root) Walking() *Root { return &Root{dir: r.dir, before: r.before} }
