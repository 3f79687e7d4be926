package kmod_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms/kmod"
)

// modinfo asks the real program for all it tells of a module. known says
// whether this kmod lists build ids.
func modinfo(t testing.TB, path string) (fields []kmod.Field, buildIDs bool) {
	t.Helper()
	out := string(tool(t, "kmod", "modinfo", "-0", path))
	for s := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if strings.HasPrefix(s, "filename:       ") {
			continue
		}
		key, value, ok := strings.Cut(s, "=")
		if parm, is := strings.CutPrefix(s, "parm:           "); is {
			key, value, ok = "parm", parm, true
		}
		if !ok {
			t.Fatalf("modinfo -0 %s says %q", path, s)
		}
		buildIDs = buildIDs || key == "build-id"
		fields = append(fields, kmod.Field{Key: key, Value: value})
	}
	return fields, buildIDs
}

// checkInfo compares Info of one file with what modinfo says of another, which
// has the same content.
func checkInfo(t *testing.T, path, asked string) {
	t.Helper()
	o, err := kmod.Open(path)
	if err != nil {
		t.Errorf("Open(%q): %v", path, err)
		return
	}
	want, buildIDs := modinfo(t, asked)
	got := o.Info()
	if !buildIDs {
		got = slices.DeleteFunc(got, func(f kmod.Field) bool { return f.Key == "build-id" })
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Info(%q) is not what modinfo says (-want +got):\n%s", path, d)
	}
	want = slices.DeleteFunc(want, func(f kmod.Field) bool { return f.Key != "name" })
	if len(want) != 1 || o.Name() != want[0].Value || kmod.ModuleName(path) != want[0].Value {
		t.Errorf("Name(%q) = %q, ModuleName = %q, want %v", path, o.Name(), kmod.ModuleName(path), want)
	}
}

func TestInfoAgreesWithModinfo(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		for _, m := range b.modules {
			t.Run(filepath.Base(b.headers)+"/"+filepath.Base(m), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				checkInfo(t, m, m)
				stripped := copyFile(t, m, filepath.Join(dir, filepath.Base(m)))
				tool(t, "binutils", "strip", "-g", stripped)
				checkInfo(t, stripped, stripped)
				for _, c := range compressors() {
					packed := c.pack(t, stripped)
					asked := packed
					if c.want == kmod.Gzip {
						asked = stripped // Debian's kmod does not read gzip
					}
					checkInfo(t, packed, asked)
				}
			})
		}
	}
}

// compressor is one way of packing a module with the real tools.
type compressor struct {
	name string
	want kmod.Compression
	argv []string
}

func compressors() []compressor {
	return []compressor{
		{"xz of the kernel", kmod.Xz, []string{"xz", "--check=crc32", "--lzma2=dict=1MiB"}},
		{"xz by default", kmod.Xz, []string{"xz"}},
		{"xz without check", kmod.Xz, []string{"xz", "--check=none"}},
		{"xz with sha256 in blocks", kmod.Xz, []string{"xz", "--check=sha256", "--block-size=4096"}},
		{"zstd of the kernel", kmod.Zstd, []string{"zstd", "-T0", "-q"}},
		{"zstd -19", kmod.Zstd, []string{"zstd", "-19", "-q"}},
		{"zstd long", kmod.Zstd, []string{"zstd", "--ultra", "-22", "--long=27", "-q"}},
		{"gzip of the kernel", kmod.Gzip, []string{"gzip", "-n"}},
		{"gzip -9", kmod.Gzip, []string{"gzip", "-9"}},
	}
}

// pack compresses into a directory of its own, keeping the original.
func (c compressor) pack(t testing.TB, path string) string {
	t.Helper()
	pkg := map[kmod.Compression]string{kmod.Xz: "xz-utils", kmod.Zstd: "zstd", kmod.Gzip: "gzip"}[c.want]
	out := tool(t, pkg, append(slices.Clone(c.argv), "-c", path)...)
	return writeFile(t, t.TempDir(), filepath.Base(path)+c.want.Suffix(), out)
}

func TestDecompressAgreesWithTools(t *testing.T) {
	t.Parallel()
	b := builds(t)[0]
	want := readFile(t, b.path("kmodtest_user"))
	for _, c := range compressors() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := c.pack(t, b.path("kmodtest_user"))
			if got := kmod.Detect(readFile(t, path)); got != c.want {
				t.Errorf("Detect = %q, want %q", got, c.want)
			}
			if got := kmod.CompressionOf(path); got != c.want {
				t.Errorf("CompressionOf(%q) = %q, want %q", path, got, c.want)
			}
			got, err := kmod.ReadFile(path)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("ReadFile(%q) = %d bytes, %v; want the %d bytes that were packed", path, len(got), err, len(want))
			}
			// what is inside counts, not the name
			odd := writeFile(t, t.TempDir(), "kmodtest_user.ko", readFile(t, path))
			if _, err := kmod.Open(odd); err != nil {
				t.Errorf("Open of a packed module named .ko: %v", err)
			}
		})
	}
	got, err := kmod.ReadFile(b.path("kmodtest_user"))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ReadFile of a plain module = %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestFieldsAgreeWithModinfo(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		for _, m := range b.modules {
			o, err := kmod.Open(m)
			if err != nil {
				t.Fatal(err)
			}
			field := func(key string) []string {
				out := strings.TrimSuffix(string(tool(t, "kmod", "modinfo", "-0", "-F", key, m)), "\x00")
				if out == "" {
					return nil
				}
				return strings.Split(out, "\x00")
			}
			for name, pair := range map[string][2][]string{
				"alias":   {o.Aliases(), field("alias")},
				"softdep": {o.Softdeps(), field("softdep")},
				"weakdep": {o.Weakdeps(), field("weakdep")},
				"import":  {o.All("import_ns"), field("import_ns")},
				"depends": {o.Depends(), strings.FieldsFunc(strings.Join(field("depends"), ","), func(r rune) bool { return r == ',' })},
			} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s of %s = %q, want %q", name, m, pair[0], pair[1])
				}
			}
			if want := strings.Fields(field("vermagic")[0])[0]; o.VermagicRelease() != want {
				t.Errorf("VermagicRelease of %s = %q, want %q", m, o.VermagicRelease(), want)
			}
			if id := o.BuildID(); id != nil {
				notes := string(tool(t, "binutils", "readelf", "-n", m))
				if !strings.Contains(notes, "Build ID: "+hexString(id)+"\n") {
					t.Errorf("BuildID of %s = %x, want that in\n%s", m, id, notes)
				}
			}
		}
	}
}

func TestVersionOfRealModules(t *testing.T) {
	t.Parallel()
	for _, b := range builds(t) {
		for name, want := range map[string]kmod.Version{
			"kmodtest-version": {Version: "1.2.3", Checksum: "abcdef0123456789"},
			"kmodtest_exports": {Version: "2.0"},
			"kmodtest_plain":   {},
		} {
			want.SrcVersion = strings.TrimSpace(string(tool(t, "kmod", "modinfo", "-F", "srcversion", b.path(name))))
			got, err := kmod.ReadVersion(b.path(name))
			if err != nil || got != want {
				t.Errorf("ReadVersion(%q) = %+v, %v; want %+v", b.path(name), got, err, want)
			}
			if got.Identity() != want.SrcVersion {
				t.Errorf("Identity(%q) = %q, want %q", b.path(name), got.Identity(), want.SrcVersion)
			}
		}
	}
}

func TestOpenRefusesWhatModinfoRefuses(t *testing.T) {
	t.Parallel()
	whole := readFile(t, builds(t)[0].path("kmodtest_plain"))
	dir := t.TempDir()
	noModinfo := newELF64()
	noModinfo.sections = nil
	for name, data := range map[string][]byte{
		"empty":      {},
		"text":       []byte("this is no module, though it is longer than an ELF header would be, by far\n"),
		"half":       whole[:len(whole)/2],
		"no-end":     whole[:len(whole)-1],
		"header":     whole[:64],
		"part":       whole[:40],
		"no-modinfo": noModinfo.bytes(t),
		"bad-xz":     []byte("\xfd7zXZ\x00 and nothing of the kind behind it"),
		"bad-zst":    []byte("\x28\xb5\x2f\xfd and nothing of the kind behind it"),
	} {
		path := writeFile(t, dir, name+".ko", data)
		if out, err := runTool("kmod", "modinfo", "-F", "license", path); err == nil {
			t.Errorf("modinfo takes %s and says %q", name, out)
		}
		if o, err := kmod.Open(path); err == nil || o != nil {
			t.Errorf("Open(%s) = %v, %v; want an error", name, o, err)
		}
	}
	if _, err := kmod.Open(filepath.Join(dir, "missing.ko")); !os.IsNotExist(err) {
		t.Errorf("Open of a missing file: %v, want that it does not exist", err)
	}
}
