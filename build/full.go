package build

// spare is how much room a file system must have for a failure to be the module's own fault.
const spare = 4 << 20

// full reports whether the file system that builds are made on has no room left. What fails then says nothing about the
// module, and is worth another try.
func (b *Builder) full() bool {
	space, err := b.Root.Free(b.Tree.Options().DKMSTree)
	return err == nil && (space.Bytes < spare || space.Files == 0)
}
