package dkms

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"dkms-go/dkms/kmod"
)

// An archive carries a module from one machine to another. It is a tar file, usually compressed, and has the same members
// as those that dkms has written since version 2:
//
//	./                              mode 0700
//	./dkms_main_tree/K/A/           a build result, as in T/M/V/K/A; none, one or several of them
//	./dkms_source_tree/             the sources, as in S/M-V
//	./dkms_binaries_only/           or, for a module that keeps its sources to itself, three files:
//	    PACKAGE_NAME                its name
//	    PACKAGE_VERSION             its version
//	    dkms.conf                   its dkms.conf
//
// A tar file without dkms_main_tree is somebody else's: then the directory with the dkms.conf is all that counts.

// The directories of an archive.
const (
	mainTree     = "dkms_main_tree"
	sourceTree   = "dkms_source_tree"
	binariesOnly = "dkms_binaries_only"
	confName     = "dkms.conf"
)

// Form says what an archive brings along beside build results.
type Form int

// The forms.
const (
	WithSource   Form = iota // the sources
	WithBinaries             // only a dkms.conf
	Foreign                  // sources, and nobody has heard of dkms_main_tree
)

// Archive is what ReadArchive found in an archive.
type Archive struct {
	Name   string // the file, as the user gave it
	Form   Form
	Source string   // the directory with the dkms.conf, inside the archive; "." for the archive itself
	Builds []Target // the build results, sorted

	members []member
}

// Target is a kernel release with an architecture.
type Target struct{ Kernel, Arch string }

// dir returns where the archive keeps the build result for t.
func (t Target) dir() string { return path.Join(mainTree, t.Kernel, t.Arch) }

// Size is how many bytes the archive takes when it is unpacked.
func (a *Archive) Size() uint64 {
	sum := uint64(SpaceForRecords)
	for _, m := range a.members {
		sum += uint64(max(0, m.size))
	}
	return sum
}

// ReadArchive reads an archive to its end and returns what it holds. Nothing is written.
//
// An archive that is cut off or damaged, or that has a member which could do harm, is an error of kind ArchiveRefused that
// names the member; see MemberError for what can be wrong with one. One that holds no module is of kind ArchiveNoConf, or
// ArchiveInvalid if it claims to be one of ours.
func ReadArchive(ctx context.Context, file io.ReadSeeker, name string) (*Archive, error) {
	var c contents
	err := eachMember(ctx, file, func(h *tar.Header, _ io.Reader) error { return c.add(h) })
	if err != nil {
		return nil, refused(name, err)
	}
	a := &Archive{Name: name, members: c.list}
	if err := a.recognise(&c); err != nil {
		return nil, err
	}
	if err := c.check(a.scope); err != nil {
		return nil, refused(name, err)
	}
	return a, nil
}

// refused lifts what is wrong with an archive.
func refused(name string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var m *MemberError
	if errors.As(err, &m) {
		return &Error{Kind: ArchiveRefused, Subject: name, Detail: []string{fmt.Sprintf("Member %q: %s.", m.Name, m.Why)}}
	}
	return &Error{Kind: ArchiveRefused, Subject: name, Detail: []string{fmt.Sprintf("It is damaged, or no tar archive: %v.", err)}}
}

// errCut says that an archive ends before its end mark.
var errCut = errors.New("it ends too early")

// eachMember calls f for every member of a tar file.
func eachMember(ctx context.Context, file io.ReadSeeker, f func(h *tar.Header, content io.Reader) error) error {
	unpacked, err := kmod.NewReader(file)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	ended := false
	whole := readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := unpacked.Read(p)
		ended = ended || n == 0 && errors.Is(err, io.EOF)
		return n, err
	})
	tr := tar.NewReader(whole)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n >= maxMembers {
			return &MemberError{Name: h.Name, Why: fmt.Sprintf("there are more than %d members", maxMembers)}
		}
		if h.Typeflag == tar.TypeXGlobalHeader { // git archive notes the commit in one
			continue
		}
		if err := f(h, tr); err != nil {
			return err
		}
	}
	if ended {
		return errCut
	}
	// What follows is padding. The checksum of a compressed file comes after it.
	switch _, err := io.CopyN(io.Discard, whole, maxPadding); {
	case err == nil:
		return errors.New("it goes on after its end")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// readerFunc is a function as an io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// recognise finds out which form the archive has and what is in it.
func (a *Archive) recognise(c *contents) error {
	conf := ""
	ours := false
	builds := map[Target]bool{}
	for _, m := range a.members {
		first, _, below := strings.Cut(m.name, "/")
		ours = ours || first == mainTree && (below || m.isDir())
		if path.Base(m.name) == confName && !m.isDir() && (conf == "" || shallower(m.name, conf)) {
			conf = m.name
		}
		t, err := buildOf(m)
		if err != nil {
			return refused(a.Name, err)
		}
		if t != (Target{}) {
			builds[t] = true
		}
	}
	switch {
	case !ours && conf == "":
		return &Error{Kind: ArchiveNoConf, Subject: a.Name}
	case !ours:
		a.Form, a.Source = Foreign, path.Dir(conf)
		return nil
	case c.isFile(path.Join(sourceTree, confName)):
		a.Form, a.Source = WithSource, sourceTree
	case c.isFile(path.Join(binariesOnly, confName)):
		a.Form, a.Source = WithBinaries, binariesOnly
	default:
		return &Error{Kind: ArchiveInvalid, Subject: a.Name}
	}
	for t := range builds {
		a.Builds = append(a.Builds, t)
	}
	slices.SortFunc(a.Builds, func(x, y Target) int {
		return cmp.Or(strings.Compare(x.Kernel, y.Kernel), strings.Compare(x.Arch, y.Arch))
	})
	return nil
}

// shallower reports whether the path a comes before b: the one with fewer elements, else the one that sorts first. Of
// several dkms.conf files in a foreign archive dkms 3.4 takes the one that find(1) happens to meet first.
func shallower(a, b string) bool {
	if na, nb := strings.Count(a, "/"), strings.Count(b, "/"); na != nb {
		return na < nb
	}
	return a < b
}

// buildOf returns the build result that a member shows to exist: one with a directory for modules, as Built wants it. A
// member below dkms_main_tree whose directories cannot be a kernel and an architecture is an error.
func buildOf(m member) (Target, error) {
	e := strings.Split(m.name, "/")
	if e[0] != mainTree || len(e) < 2 || len(e) == 2 && !m.isDir() {
		return Target{}, nil
	}
	if err := memberError(CheckKernel(e[1]), m.name); err != nil {
		return Target{}, err
	}
	if len(e) < 3 || len(e) == 3 && !m.isDir() {
		return Target{}, nil
	}
	if err := memberError(CheckName("architecture", e[2]), m.name); err != nil {
		return Target{}, err
	}
	if len(e) < 4 || e[3] != "module" || len(e) == 4 && !m.isDir() {
		return Target{}, nil
	}
	return Target{Kernel: e[1], Arch: e[2]}, nil
}

// memberError makes of what is wrong with a part of a member's name an error about the member.
func memberError(err error, name string) error {
	var e *Error
	if errors.As(err, &e) {
		return &MemberError{Name: name, Why: fmt.Sprintf("%s cannot be used: %s", e.Subject, strings.Join(e.Detail, ", "))}
	}
	return nil
}

// scope returns the directory that a member is loaded with. Its links must not lead out of it, because what lies beside it
// in the archive will not lie beside it on the machine.
func (a *Archive) scope(name string) string {
	if e := strings.Split(name, "/"); a.Form != Foreign && e[0] == mainTree && len(e) > 3 {
		return path.Join(e[:3]...)
	}
	if within(name, a.Source) {
		return a.Source
	}
	return "."
}

// within reports whether the clean relative path name is dir or lies below it.
func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}
