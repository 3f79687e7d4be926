package dkms_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// tarball makes a tar file. Each member is written "name", with a trailing slash for a directory; "name = text";
// "name -> target" for a symbolic and "name => target" for a hard link.
func tarball(t testing.TB, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h, text := header(m)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func header(m string) (h tar.Header, text string) {
	h = tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, ModTime: time.Unix(1_600_000_000, 0), Name: m}
	if name, target, ok := strings.Cut(m, " -> "); ok {
		h.Typeflag, h.Name, h.Linkname = tar.TypeSymlink, name, target
	} else if name, target, ok := strings.Cut(m, " => "); ok {
		h.Typeflag, h.Name, h.Linkname = tar.TypeLink, name, target
	} else if name, content, ok := strings.Cut(m, " = "); ok {
		h.Name, h.Size, text = name, int64(len(content)), content
	} else if kind, name, ok := strings.Cut(m, "! "); ok {
		h.Typeflag, h.Name = kind[0], name
		if kind == "g" {
			h = tar.Header{Typeflag: kind[0], PAXRecords: map[string]string{"comment": name}}
		}
	} else if strings.HasSuffix(m, "/") {
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	}
	return h, text
}

// complete are the members of an archive with sources and two builds.
func complete() []string {
	return []string{
		"./", "./dkms_main_tree/",
		"./dkms_main_tree/6.1.0/", "./dkms_main_tree/6.1.0/x86_64/", "./dkms_main_tree/6.1.0/x86_64/module/",
		"./dkms_main_tree/6.1.0/x86_64/module/m.ko = new 6.1.0", "./dkms_main_tree/6.1.0/x86_64/.dep_other = 3",
		"./dkms_main_tree/6.2.0/x86_64/module/m.ko = new 6.2.0", "./dkms_main_tree/6.2.0/x86_64/log/make.log = log",
		"./dkms_source_tree/", "./dkms_source_tree/dkms.conf = new", "./dkms_source_tree/sub/m.c = new", "./dkms_source_tree/m.c -> sub/m.c",
	}
}

func binaries() []string {
	return append(complete()[:9:9], "./dkms_binaries_only/dkms.conf = stub", "./dkms_binaries_only/PACKAGE_NAME = m")
}

func read(t testing.TB, data []byte) (*dkms.Archive, error) {
	t.Helper()
	return dkms.ReadArchive(t.Context(), bytes.NewReader(data), "a.tar")
}

func TestReadArchive(t *testing.T) {
	t.Parallel()
	both := []dkms.Target{{Kernel: "6.1.0", Arch: "x86_64"}, {Kernel: "6.2.0", Arch: "x86_64"}}
	for _, tt := range []struct {
		name    string
		members []string
		form    dkms.Form
		source  string
		builds  []dkms.Target
	}{
		{"sources", complete(), dkms.WithSource, "dkms_source_tree", both},
		{"binaries", binaries(), dkms.WithBinaries, "dkms_binaries_only", both},
		{"both", append(binaries(), "dkms_source_tree/dkms.conf"), dkms.WithSource, "dkms_source_tree", both},
		{"no build", []string{"dkms_main_tree/", "dkms_source_tree/dkms.conf"}, dkms.WithSource, "dkms_source_tree", nil},
		{
			"not quite builds",
			[]string{
				"dkms_main_tree/dkms_dbversion", "dkms_main_tree/6.1/", "dkms_main_tree/6.2/file", "dkms_main_tree/6.3/x/log/",
				"dkms_main_tree/6.4/x/module", "dkms_source_tree/dkms.conf",
			},
			dkms.WithSource, "dkms_source_tree", nil,
		},
		{"foreign", []string{"x-1.0/", "x-1.0/src/dkms.conf", "x-1.0/b/dkms.conf", "x-1.0/b/c/dkms.conf"}, dkms.Foreign, "x-1.0/b", nil},
		{"foreign without directory", []string{"./dkms.conf", "./a/dkms.conf"}, dkms.Foreign, ".", nil},
		{"of git", []string{"g! pax_global_header", "x/dkms.conf"}, dkms.Foreign, "x", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := read(t, tarball(t, tt.members...))
			if err != nil {
				t.Fatal(err)
			}
			if a.Form != tt.form || a.Source != tt.source || !slices.Equal(a.Builds, tt.builds) {
				t.Errorf("ReadArchive = %v %s %v, want %v %s %v", a.Form, a.Source, a.Builds, tt.form, tt.source, tt.builds)
			}
		})
	}
}

func TestArchiveRefused(t *testing.T) {
	t.Parallel()
	const src, k = "dkms_source_tree/", "dkms_main_tree/6.1.0/"
	for _, tt := range []struct {
		name    string
		members []string
		want    string
	}{
		{"absolute", []string{"/etc/passwd = x"}, `Member "/etc/passwd": its path is absolute.`},
		{"parent", []string{src + "a/../../../x = x"}, `Member "dkms_source_tree/a/../../../x": its path leads out of the archive.`},
		{"parent at the end", []string{src + "a/.."}, `its path leads out of the archive.`},
		{"newline", []string{src + "a\nb = x"}, `its name contains '\n'.`},
		{"long element", []string{src + strings.Repeat("a", 256)}, "its name is too long."},
		{"long path", []string{src + strings.Repeat("a/", 2000) + "x"}, "its path is too long."},
		{"device", []string{"3! " + src + "null"}, `Member "dkms_source_tree/null": it is a device; only files, directories and links are loaded.`},
		{"block device", []string{"4! " + src + "sda"}, `it is a device; only files, directories and links are loaded.`},
		{"pipe", []string{"6! " + src + "pipe"}, `it is a named pipe; only files, directories and links are loaded.`},
		{"no name", []string{". = x"}, `it has no name.`},
		{"twice", []string{src + "a = 1", "./" + src + "a = 2"}, `Member "./dkms_source_tree/a": it is there twice.`},
		{"directory and file", []string{src + "a/", src + "a = 2"}, `it is there twice.`},

		{"absolute link", []string{src + "l -> /etc/passwd"}, `Member "dkms_source_tree/l": it is a link to "/etc/passwd", which is outside of dkms_source_tree.`},
		{"link out", []string{src + "d/l -> ../../x"}, `it is a link to "../../x", which is outside of dkms_source_tree.`},
		{"link to the other tree", []string{src + "l -> ../dkms_main_tree"}, `outside of dkms_source_tree.`},
		{"link out by links", []string{src + "a/b/", src + "a/b/up -> ../..", src + "l -> a/b/up/../x"}, `Member "dkms_source_tree/l": it is a link to "a/b/up/../x"`},
		{"link through an absolute one", []string{src + "l -> m/x", src + "m -> /etc"}, `outside of dkms_source_tree.`},
		{"link in a build", []string{k + "x86_64/module/", k + "x86_64/module/m.ko -> ../../../6.2.0/x"}, `outside of dkms_main_tree/6.1.0/x86_64.`},
		{"link elsewhere", []string{"x -> ../y"}, `Member "x": it is a link to "../y", which is outside of the archive.`},
		{"empty link", []string{src + "l -> "}, `it is a link to nothing that could exist.`},
		{"hard link out", []string{src + "l => /etc/passwd"}, `Member "dkms_source_tree/l": it is a link to "/etc/passwd": its path is absolute.`},
		{"hard link up", []string{src + "l => ../etc/passwd"}, `its path leads out of the archive.`},
		{"hard link to nothing", []string{src + "l => " + src + "no"}, `it is a link to "dkms_source_tree/no", which is no file before it.`},
		{"hard link to a link", []string{src + "a -> x", src + "l => " + src + "a"}, `which is no file before it.`},
		{"hard link to the other tree", []string{k + "x86_64/module/m.ko = x", src + "l => " + k + "x86_64/module/m.ko"}, `outside of dkms_source_tree.`},
		{"below a link", []string{src + "d -> .", src + "d/x = x"}, `Member "dkms_source_tree/d/x": it lies below "dkms_source_tree/d", which is no directory.`},
		{"below a later link", []string{src + "d/e/x = x", src + "d -> ."}, `it lies below "dkms_source_tree/d", which is no directory.`},
		{"below a file", []string{src + "d = x", src + "d/x = x"}, `it lies below "dkms_source_tree/d", which is no directory.`},
		{"source is a link", []string{"x/dkms.conf", "dkms_source_tree2/", "dkms_main_tree -> x"}, ""},

		{"kernel", []string{"dkms_main_tree/-rf/x86_64/module/"}, `kernel release "-rf" cannot be used: it begins with '-'.`},
		{"hidden kernel", []string{"dkms_main_tree/.tmp/x/module/"}, `kernel release ".tmp" cannot be used`},
		{"kernel with blank", []string{"dkms_main_tree/a b/"}, `kernel release "a b" cannot be used: it contains ' '.`},
		{"source as kernel", []string{"dkms_main_tree/source/x86_64/module/x = x"}, `Member "dkms_main_tree/source/x86_64/module/x": kernel release "source" cannot be used: it is taken.`},
		{"build as kernel", []string{"dkms_main_tree/build/x86_64/module/"}, `kernel release "build" cannot be used: it is taken.`},
		{"architecture", []string{k + "$(id)/module/"}, `architecture "$(id)" cannot be used`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := read(t, tarball(t, append(tt.members, "dkms_source_tree/dkms.conf", "dkms_main_tree/6.9/")...))
			var e *dkms.Error
			if tt.want == "" {
				if err != nil && kindOf(err) != dkms.ArchiveRefused {
					t.Errorf("ReadArchive = %v", err)
				}
				return
			}
			if !errors.As(err, &e) || e.Kind != dkms.ArchiveRefused || e.Subject != "a.tar" || !strings.Contains(strings.Join(e.Detail, "\n"), tt.want) {
				t.Errorf("ReadArchive = %v, %v, want %s", a, err, tt.want)
			}
		})
	}
}

func TestArchiveWithoutModule(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		members []string
		want    dkms.Kind
	}{
		{"nothing", nil, dkms.ArchiveNoConf},
		{"other files", []string{"a/b = x"}, dkms.ArchiveNoConf},
		{"only builds", complete()[:9], dkms.ArchiveInvalid},
		{"a dkms.conf elsewhere", append(complete()[:9:9], "x/dkms.conf"), dkms.ArchiveInvalid},
		{"dkms.conf is a directory", []string{"x/dkms.conf/"}, dkms.ArchiveNoConf},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := read(t, tarball(t, tt.members...)); kindOf(err) != tt.want {
				t.Errorf("ReadArchive = %v, want kind %v", err, tt.want)
			}
		})
	}
}

// More members or more bytes than make sense are refused as soon as they are announced.
func TestArchiveTooLarge(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for range 9 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(b.Len()), Size: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		w = tar.NewWriter(&b) // the content does not come
	}
	_, err := read(t, b.Bytes())
	if kindOf(err) != dkms.ArchiveRefused {
		t.Errorf("ReadArchive of an announced 9 GiB = %v", err)
	}
	b.Reset()
	z := gzip.NewWriter(&b)
	w = tar.NewWriter(z)
	for n := range 100_001 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = read(t, b.Bytes())
	if err == nil || !strings.Contains(err.Error(), "there are more than 100000 members") {
		t.Errorf("ReadArchive of 100001 members = %v", err)
	}
}

// Wherever an archive is cut off, that is seen.
func TestArchiveCut(t *testing.T) {
	t.Parallel()
	whole := tarball(t, complete()...)
	file := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(file, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{"cat"}, {"gzip", "-c"}, {"xz", "-c"}, {"zstd", "-qc"}, {"bzip2", "-c"}} {
		t.Run(argv[0], func(t *testing.T) {
			t.Parallel()
			packed := output(t, argv[0], append(argv[1:], file)...)
			if _, err := read(t, packed); err != nil {
				t.Fatal(err)
			}
			for n := range packed {
				if _, err := read(t, packed[:n]); kindOf(err) != dkms.ArchiveRefused && kindOf(err) != dkms.ArchiveNoConf {
					t.Fatalf("ReadArchive of %d bytes of %d = %v", n, len(packed), err)
				}
			}
			if _, err := read(t, slices.Concat(packed, bytes.Repeat([]byte("x"), 2<<20))); kindOf(err) != dkms.ArchiveRefused {
				t.Errorf("ReadArchive with more after the end = %v", err)
			}
		})
	}
}

func output(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return out
}

// unpacked reads an archive and unpacks it into /tmp/x of p.
func (p *place) unpacked(t testing.TB, data []byte) *dkms.Archive {
	t.Helper()
	a, err := read(t, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(p.dir, "tmp/x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := a.Unpack(t.Context(), bytes.NewReader(data), p.root, "/tmp/x"); err != nil {
		t.Fatal(err)
	}
	return a
}

// list says what tar made of a directory: names, kinds, modes, times, targets and contents.
func list(t testing.TB, dir string) string {
	t.Helper()
	attributes := output(t, "find", dir, "-mindepth", "1", "-printf", "%P %y %m %TY-%Tm-%Td %TT %l\n")
	contents := output(t, "sh", "-c", "cd \"$0\" && find . -type f -exec md5sum {} +", dir)
	lines := strings.Split(string(attributes)+string(contents), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// regexpFraction finds the fraction of a second, which only one of tar's formats has and which Unpack leaves out.
var regexpFraction = regexp.MustCompile(`(:\d\d)\.\d+`)

// What GNU tar packs is unpacked as GNU tar unpacks it, apart from rights for others that are not given.
func TestUnpackLikeTar(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	long := strings.Repeat("directory/", 20) + strings.Repeat("n", 200)
	p.write(
		t, "src/dkms.conf", "conf", "src/.hidden", "x", "src/a b'c", "blanks", "src/ünï", "x", "src/"+long, "long",
		"src/link", "-> dkms.conf", "src/"+strings.Repeat("l", 150), "-> "+long, "src/empty", "", "src/circle", "-> circle",
	)
	src := filepath.Join(p.dir, "src")
	if err := errors.Join(
		os.Link(src+"/dkms.conf", src+"/zlink"), os.Chmod(src+"/.hidden", 0o750), os.Chmod(src+"/empty", 0o400),
		os.Chtimes(src+"/directory", time.Time{}, time.Unix(1_000_000_000, 0)), os.Mkdir(src+"/none", 0o700),
	); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "pax", "ustar"} {
		args := []string{"-C", src, "--format=" + format, "-cf", "-", "."}
		if format == "ustar" { // has no place for long names
			args = slices.Concat([]string{"--exclude=directory", "--exclude=" + strings.Repeat("l", 150)}, args)
		}
		data := output(t, "tar", args...)
		dir := "/tmp/" + format
		theirs := filepath.Join(p.dir, format)
		if err := errors.Join(os.MkdirAll(filepath.Join(p.dir, dir), 0o755), os.Mkdir(theirs, 0o755)); err != nil {
			t.Fatal(err)
		}
		a, err := read(t, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Unpack(t.Context(), bytes.NewReader(data), p.root, dir); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(p.dir, format+".tar")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		output(t, "tar", "-C", theirs, "-xf", file)
		whole := regexpFraction.ReplaceAllString(list(t, theirs), "$1.0000000000")
		if diff := cmp.Diff(whole, regexpFraction.ReplaceAllString(list(t, filepath.Join(p.dir, dir)), "$1.0000000000")); diff != "" {
			t.Errorf("%s: Unpack is not like tar (-tar +Unpack):\n%s", format, diff)
		}
	}
}

// Rights for others and setuid bits are not unpacked.
func TestUnpackModes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, mode := range map[string]int64{"dkms.conf": 0o666, "setuid": 0o6777, "none": 0, "dir/": 0o1777} {
		h, _ := header(name)
		h.Mode, h.Uid, h.Gid = mode, 1234, 1234
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	p.unpacked(t, b.Bytes())
	for name, want := range map[string]fs.FileMode{"dkms.conf": 0o644, "setuid": 0o755, "none": 0o400, "dir": 0o755 | fs.ModeDir} {
		if fi, err := os.Stat(filepath.Join(p.dir, "tmp/x", name)); err != nil || fi.Mode() != want {
			t.Errorf("%s has mode %v, %v; want %v", name, fi.Mode(), err, want)
		}
	}
	if got := strings.TrimSpace(string(output(t, "find", filepath.Join(p.dir, "tmp/x"), "-uid", "1234"))); got != "" {
		t.Errorf("the owner of %s comes out of the archive", got)
	}
}

// An archive that is another one when it is unpacked is not taken.
func TestUnpackChanged(t *testing.T) {
	t.Parallel()
	one := tarball(t, "x/dkms.conf = 1", "x/a -> b")
	a, err := read(t, one)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range [][]string{{"x/dkms.conf = 1", "x/a -> /etc"}, {"x/dkms.conf = 1"}, {"x/dkms.conf = 1", "x/a -> b", "x/c"}, {"x/dkms.conf = 11", "x/a -> b"}} {
		p := newPlace(t)
		p.write(t, "tmp/x/.keep", "")
		if err := a.Unpack(t.Context(), bytes.NewReader(tarball(t, other...)), p.root, "/tmp/x"); kindOf(err) != dkms.ArchiveRefused {
			t.Errorf("Unpack of %q = %v, want kind %v", other, err, dkms.ArchiveRefused)
		}
	}
}

// loadCases are registries into which archives are loaded.
func loadCases() []loadCase {
	builds := map[string]string{
		"var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko": "new 6.1.0", "var/lib/dkms/m/1/6.1.0/x86_64/.dep_other": "3",
		"var/lib/dkms/m/1/6.2.0/x86_64/module/m.ko": "new 6.2.0", "var/lib/dkms/m/1/6.2.0/x86_64/log/make.log": "log",
	}
	source := map[string]string{"usr/src/m-1/dkms.conf": "new", "usr/src/m-1/sub/m.c": "new", "usr/src/m-1/m.c": "-> sub/m.c"}
	link := map[string]string{"var/lib/dkms/m/1/source": "-> /usr/src/m-1"}
	empty := map[string]string{"var/lib/dkms/m/1/build": "/"}
	stub := map[string]string{"var/lib/dkms/m/1/source/dkms.conf": "stub"}
	old := []string{
		"usr/src/m-1/dkms.conf", "old", "usr/src/m-1/more", "old", "var/lib/dkms/m/1/source", "-> /usr/src/m-1",
		"var/lib/dkms/m/1/build/make.log", "old", "var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko", "old", "var/lib/dkms/m/1/6.1.0/x86_64/module/n.ko", "old",
	}
	log := map[string]string{"var/lib/dkms/m/1/build/make.log": "old"}
	more := map[string]string{"usr/src/m-1/more": "old"}
	kept := map[string]string{"var/lib/dkms/m/1/6.1.0/x86_64/module/m.ko": "old", "var/lib/dkms/m/1/6.1.0/x86_64/module/n.ko": "old"}
	second := maps.Clone(builds)
	maps.DeleteFunc(second, func(name, _ string) bool { return strings.Contains(name, "6.1.0") })
	return []loadCase{
		{"sources, new", complete(), nil, false, []map[string]string{builds, source, link, empty}},
		{"sources, over", complete(), old, false, []map[string]string{source, more, link, log, kept, second}},
		{"sources, instead", complete(), old, true, []map[string]string{source, link, log, builds}},
		{"sources, broken", complete(), old[4:], false, []map[string]string{source, link, log, kept, second}},
		{"binaries, new", binaries(), nil, false, []map[string]string{builds, stub, empty}},
		{"binaries, with sources", binaries(), old[:4], false, []map[string]string{builds, {"usr/src/m-1/dkms.conf": "old"}, more, link, empty}},
		{"binaries, more of them", binaries(), append([]string{"var/lib/dkms/m/1/source/dkms.conf", "older"}, old[8:]...), false, []map[string]string{stub, kept, second}},
		{"sources after binaries", complete(), []string{"var/lib/dkms/m/1/source/dkms.conf", "older"}, false, []map[string]string{builds, source, link, empty}},
		{"foreign", []string{"x/dkms.conf = new", "x/sub/m.c = new", "x/m.c -> sub/m.c", "y = y"}, nil, false, []map[string]string{source, link, empty}},
	}
}

type loadCase struct {
	name    string
	members []string
	before  []string
	force   bool
	after   []map[string]string
}

func (c loadCase) place(t *testing.T) (p *place, a *dkms.Archive, want map[string]string) {
	t.Helper()
	p = newPlace(t)
	p.write(t, append([]string{"usr/src/other/x", "", "var/lib/dkms/other/x", ""}, c.before...)...)
	want = map[string]string{"usr/src/other/x": "", "var/lib/dkms/other/x": ""}
	for _, m := range c.after {
		maps.Copy(want, m)
	}
	return p, p.unpacked(t, tarball(t, c.members...)), want
}

// machine lists the trees, without what was unpacked.
func (p *place) machine(t *testing.T) map[string]string {
	t.Helper()
	files := p.files(t, ".")
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, "tmp/") })
	return files
}

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range loadCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, a, want := tt.place(t)
			was := p.Added(module("1")) && !p.BinariesOnly(module("1"))
			linked, err := p.Load(t.Context(), module("1"), a, "/tmp/x", tt.force, silent)
			if err != nil {
				t.Fatal(err)
			}
			if now := p.Added(module("1")) && !p.BinariesOnly(module("1")); linked != (now && !was) {
				t.Errorf("Load = %v, want %v", linked, now && !was)
			}
			if diff := cmp.Diff(want, p.machine(t)); diff != "" {
				t.Errorf("after Load (-want +got):\n%s", diff)
			}
			if !p.Added(module("1")) || p.Broken(module("1")) {
				t.Errorf("after Load the module is added: %v, broken: %v; want true, false", p.Added(module("1")), p.Broken(module("1")))
			}
		})
	}
}

// Whatever step of loading fails, the archive is loaded as a whole or not at all, and no temporary file stays once the next
// run has looked.
func TestLoadFails(t *testing.T) {
	t.Parallel()
	for _, tt := range loadCases() {
		if tt.name == "foreign" || tt.name == "sources, over" || tt.name == "binaries, with sources" {
			continue // nothing that the others do not do
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for n := 0; ; n++ {
				p, a, want := tt.place(t)
				before := p.machine(t)
				steps := 0
				var failed sysroot.Step
				var one sync.Mutex // a tree is copied by several
				p.open(p.root.Before(func(s sysroot.Step) error {
					one.Lock()
					defer one.Unlock()
					if steps++; steps == n+1 {
						failed = s
						return errors.New("disk on fire")
					}
					return nil
				}))
				_, err := p.Load(t.Context(), module("1"), a, "/tmp/x", tt.force, silent)
				p.recover(t)
				if steps <= n {
					if err != nil || n < 10 {
						t.Errorf("Load after %d steps = %v", n, err)
					}
					return
				}
				after := p.machine(t)
				tidy(before, want, after)
				if err == nil || cmp.Equal(want, after) { // perhaps what was there before could not be deleted
					before = want
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Fatalf("after failure of step %d (%s %s): Load = %v; (-want +got):\n%s", n, failed.Op, failed.Path, err, diff)
				}
			}
		})
	}
}

// tidy takes the directory out of listings that a failed Load may leave empty, and what it could not delete.
func tidy(listings ...map[string]string) {
	for _, l := range listings {
		maps.DeleteFunc(l, func(name, text string) bool {
			return name == "var/lib/dkms/m/1/build" && text == "/" || strings.Contains(name, ".old/") || strings.HasSuffix(name, ".old")
		})
	}
}

// Packing gives what GNU tar can list and unpack, the same bytes each time, whatever the order on disk.
func TestPack(t *testing.T) {
	t.Parallel()
	p, a, _ := loadCases()[0].place(t)
	if _, err := p.Load(t.Context(), module("1"), a, "/tmp/x", false, silent); err != nil {
		t.Fatal(err)
	}
	p.write(t, "etc/outside", "from outside", "usr/src/m-1/outside", "-> ../../../etc/outside", "usr/src/m-1/absolute", "-> /etc/outside", "usr/src/m-1/dangling", "-> nowhere")
	c := dkms.Contents{Module: module("1"), Builds: a.Builds, Source: true}
	var first, second bytes.Buffer
	if err := errors.Join(p.Pack(t.Context(), &first, c), p.Pack(t.Context(), &second, c)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("Pack gives different bytes the second time")
	}
	file := filepath.Join(p.dir, "tmp/a.tar")
	if err := os.WriteFile(file, first.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(output(t, "tar", "-tvf", file))) {
		f := strings.Fields(line)
		names = append(names, strings.Join(slices.Concat(f[:2], f[5:]), " "))
	}
	want := []string{
		"drwx------ root/root ./", "drwxr-xr-x root/root ./dkms_main_tree/", "drwxr-xr-x root/root ./dkms_main_tree/6.1.0/",
		"drwxr-xr-x root/root ./dkms_main_tree/6.1.0/x86_64/", "-rw-r--r-- root/root ./dkms_main_tree/6.1.0/x86_64/.dep_other",
		"drwxr-xr-x root/root ./dkms_main_tree/6.1.0/x86_64/module/", "-rw-r--r-- root/root ./dkms_main_tree/6.1.0/x86_64/module/m.ko",
		"drwxr-xr-x root/root ./dkms_main_tree/6.2.0/", "drwxr-xr-x root/root ./dkms_main_tree/6.2.0/x86_64/",
		"drwxr-xr-x root/root ./dkms_main_tree/6.2.0/x86_64/log/", "-rw-r--r-- root/root ./dkms_main_tree/6.2.0/x86_64/log/make.log",
		"drwxr-xr-x root/root ./dkms_main_tree/6.2.0/x86_64/module/", "-rw-r--r-- root/root ./dkms_main_tree/6.2.0/x86_64/module/m.ko",
		"drwxr-xr-x root/root ./dkms_source_tree/", "-rw-r--r-- root/root ./dkms_source_tree/absolute", "lrwxrwxrwx root/root ./dkms_source_tree/dangling -> nowhere",
		"-rw-r--r-- root/root ./dkms_source_tree/dkms.conf", "lrwxrwxrwx root/root ./dkms_source_tree/m.c -> sub/m.c",
		"-rw-r--r-- root/root ./dkms_source_tree/outside", "drwxr-xr-x root/root ./dkms_source_tree/sub/", "-rw-r--r-- root/root ./dkms_source_tree/sub/m.c",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("tar lists (-want +got):\n%s", diff)
	}
	if got := output(t, "tar", "-xOf", file, "./dkms_source_tree/outside", "./dkms_source_tree/absolute"); string(got) != "from outsidefrom outside" {
		t.Errorf("links that lead out become %q", got)
	}
	again := newPlace(t)
	if b := again.unpacked(t, first.Bytes()); !slices.Equal(a.Builds, b.Builds) || b.Form != dkms.WithSource {
		t.Errorf("what was packed is read as %v %v", b.Form, b.Builds)
	}
}

func TestPackBinaries(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(t, "usr/src/m-1/dkms.conf", "conf", "usr/src/m-1/secret.c", "x", "var/lib/dkms/m/1/source", "-> /usr/src/m-1")
	var b bytes.Buffer
	if err := p.Pack(t.Context(), &b, dkms.Contents{Module: module("1"), Conf: "/usr/src/m-1/dkms.conf"}); err != nil {
		t.Fatal(err)
	}
	p.unpacked(t, b.Bytes())
	want := map[string]string{
		"dkms_main_tree": "/", "dkms_binaries_only/dkms.conf": "conf", "dkms_binaries_only/PACKAGE_NAME": "m\n", "dkms_binaries_only/PACKAGE_VERSION": "1\n",
	}
	if diff := cmp.Diff(want, p.files(t, "tmp/x")); diff != "" {
		t.Errorf("Pack without sources (-want +got):\n%s", diff)
	}
}

// What could not be loaded is not packed.
func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(dir string) error{
		"a/pipe": func(dir string) error { return exec.Command("mkfifo", dir+"/a/pipe").Run() },
		"out":    func(dir string) error { return os.Symlink("/etc", dir+"/out") },
		"up":     func(dir string) error { return os.Symlink("../nowhere", dir+"/up") },
	} {
		p := newPlace(t)
		p.write(t, "usr/src/m-1/dkms.conf", "conf", "usr/src/m-1/a/x", "x", "var/lib/dkms/m/1/source", "-> /usr/src/m-1")
		if err := lay(filepath.Join(p.dir, "usr/src/m-1")); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		err := p.Pack(t.Context(), &b, dkms.Contents{Module: module("1"), Source: true})
		var m *dkms.MemberError
		if !errors.As(err, &m) || m.Name != "dkms_source_tree/"+name || b.Len() > 0 {
			t.Errorf("Pack of %s = %v after %d bytes, want a MemberError before any", name, err, b.Len())
		}
	}
}

func TestArchiveName(t *testing.T) {
	t.Parallel()
	m := dkms.Module{Name: "hello", Version: "1.0"}
	k := func(n int) []dkms.Target {
		return []dkms.Target{{Kernel: "6.1", Arch: "x86_64"}, {Kernel: strings.Repeat("k", n), Arch: "a"}}
	}
	long := 200 - len("kernel6.1-x86_64-kernel-a")
	for _, tt := range []struct {
		ts   []dkms.Target
		only bool
		want string
	}{
		{k(3)[:1], false, "hello-1.0-kernel6.1-x86_64.dkms.tar.gz"},
		{k(3), false, "hello-1.0-kernel6.1-x86_64-kernelkkk-a.dkms.tar.gz"},
		{k(long - 1), false, "hello-1.0-kernel6.1-x86_64-kernel" + strings.Repeat("k", long-1) + "-a.dkms.tar.gz"},
		{k(long), false, "hello-1.0-manykernels.dkms.tar.gz"},
		{nil, true, "hello-1.0-source-only.dkms.tar.gz"},
	} {
		if got := dkms.ArchiveName(m, tt.ts, tt.only); got != tt.want {
			t.Errorf("ArchiveName(%v) = %s, want %s", tt.ts, got, tt.want)
		}
	}
}

// FuzzLoad loads any bytes as an archive: they are refused, or become a module that is added, and nothing outside of the
// trees and the directory for temporary files changes.
func FuzzLoad(f *testing.F) {
	for _, members := range [][]string{
		complete(), binaries(),
		{"x/dkms.conf = conf"},
		{"./dkms.conf", "./a => ./dkms.conf"},
		{"../x = x", "dkms.conf"},
		{"dkms.conf -> ../../etc/passwd"},
		{"a/dkms.conf", "a/l -> ..", "b -> a/l/.."},
		{"dkms_main_tree/source/x/module/", "dkms_source_tree/dkms.conf"},
		{"dkms_source_tree -> /etc", "dkms_main_tree/", "dkms_source_tree/dkms.conf"},
		{"6! pipe", "dkms.conf"},
	} {
		data := tarball(f, members...)
		f.Add(data)
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			f.Fatal(err)
		}
		if err := z.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPlace(t)
		p.write(t, "etc/passwd", "root", "tmp/x/.keep", "", "usr/src/other", "", "var/lib/dkms/other/1/x", "")
		if err := os.Remove(filepath.Join(p.dir, "tmp/x/.keep")); err != nil {
			t.Fatal(err)
		}
		a, err := read(t, data)
		if err == nil {
			err = a.Unpack(t.Context(), bytes.NewReader(data), p.root, "/tmp/x")
		}
		if err == nil {
			if _, err := p.Load(t.Context(), module("1"), a, "/tmp/x", false, silent); err != nil {
				t.Fatalf("what was read and unpacked is not loaded: %v", err)
			}
			if !p.Added(module("1")) {
				t.Error("what was loaded is not added")
			}
		} else if k := kindOf(err); k != dkms.ArchiveRefused && k != dkms.ArchiveNoConf && k != dkms.ArchiveInvalid {
			t.Fatalf("not refused, but: %v", err)
		}
		files := p.machine(t)
		if err == nil {
			maps.DeleteFunc(files, func(name, _ string) bool {
				return strings.HasPrefix(name, "usr/src/m-1/") || strings.HasPrefix(name, "var/lib/dkms/m/1/") || name == "usr/src/m-1"
			})
		}
		want := map[string]string{"etc/passwd": "root", "usr/src/other": "", "var/lib/dkms/other/1/x": ""}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("something else has changed (-want +got):\n%s", diff)
		}
	})
}
