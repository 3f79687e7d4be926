package build

import (
	"fmt"
	"io/fs"
	"strings"

	"dkms-go/build/kbuild"
	"dkms-go/dkms"
)

// spare is how much room a file system must have for a failure to be the module's own fault.
const spare = 4 << 20

// full reports whether the file system that builds are made on has no room left. What fails then says nothing about the
// module, and is worth another try.
func (b *Builder) full() bool {
	space, err := b.Root.Free(b.Tree.Options().DKMSTree)
	return err == nil && (space.Bytes < spare || space.Files == 0)
}

// space is how many bytes a step takes where it writes, as far as that is known.
func (b *Builder) space(s Step) uint64 {
	i := s.Instance
	switch s.Action {
	case Import:
		return dkms.SpaceForRecords + dkms.SizeOf(s.Source.Root, s.Source.Dir)
	case Load:
		return s.Archive.Size()
	case Build:
		return max(b.Tree.BuildSpace(i), b.builtSize(i))
	case Install:
		return dkms.SpaceForRecords + dkms.SizeOf(b.Root, b.Tree.BaseDir(i))
	case Uninstall, Unbuild:
		return dkms.SpaceForRecords + dkms.SizeOf(b.Root, b.Tree.OriginalDir(i))
	case Index:
		return dkms.SpaceForRecords + b.indexSize(i.Kernel)
	}
	return dkms.SpaceForRecords
}

// builtSize is how many bytes the build that has just failed takes, as far as it went: its directory, and a copy of the products.
func (b *Builder) builtSize(i dkms.Instance) uint64 {
	dir := b.Tree.BuildDir(i.Module)
	sum := dkms.SpaceForRecords + dkms.SizeOf(b.Root, dir)
	_ = b.walk(dir, func(name, _ string, fi fs.FileInfo) error {
		if fi.Mode().IsRegular() && strings.HasSuffix(name, ".ko") {
			sum += uint64(max(0, fi.Size()))
		}
		return nil
	})
	return sum
}

// roomy has what a step has failed with say where room is needed, and how much, if that is why.
func (b *Builder) roomy(s Step, err error) error {
	if !dkms.IsFull(err) {
		return err
	}
	return b.Tree.Full(s.Instance, b.space(s), err)
}

// indexSize is how large the indexes of a kernel are.
func (b *Builder) indexSize(release string) uint64 {
	dir := b.Tree.KernelDir(release)
	ents, err := b.Root.ReadDir(dir)
	if err != nil {
		return 0
	}
	var sum uint64
	for _, e := range ents {
		if strings.HasPrefix(e.Name(), "modules.") && e.Type().IsRegular() {
			sum += dkms.SizeOf(b.Root, dir+"/"+e.Name())
		}
	}
	return sum
}

// placeFull adds to what a log says of a full disk which one it is, and what is needed there.
func (b *Builder) placeFull(i dkms.Instance, d *kbuild.Diagnosis) {
	if d.Cause == kbuild.CauseDiskFull && d.Subject == "" && b.full() {
		d.Subject = fmt.Sprintf("%s, where at least %s are needed", b.Tree.ModuleDir(i.Module), dkms.BytesText(b.space(Step{Action: Build, Instance: i})))
	}
}
