package depmod_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// installedVersion is the version of the depmod that these tests compare with.
func installedVersion(t *testing.T) depmod.KmodVersion {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "depmod", "--version").Output()
	if err != nil {
		t.Fatalf("depmod --version: %v (install kmod)", err)
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(string(out), "kmod version "), "\n")
	number, _, _ := strings.Cut(word, ".")
	v, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("depmod --version printed %q", out)
	}
	return depmod.KmodVersion(v)
}

// result is what a run of depmod leaves behind.
type result struct {
	Failed   bool
	Messages string // on both outputs
	Files    map[string]string
}

// plain takes out of messages what libkmod adds in some builds of kmod, and the
// error of a checksum that is no number: kmod before 35 gives that of something else.
func plain(messages string) string {
	messages = libkmodLines.ReplaceAllString(messages, "")
	messages = libkmodPlaces.ReplaceAllString(messages, "$1")
	return symbolVersions.ReplaceAllString(messages, "$1")
}

var (
	libkmodLines   = regexp.MustCompile(`(?m)^depmod: (INFO: (\.\./libkmod/.*|custom logging function 0x\w+ registered|context 0x\w+ released)|ERROR: xz: .*)\n`)
	libkmodPlaces  = regexp.MustCompile(`(?m)^(depmod: ERROR: )\.\./libkmod/\S+ \S+ `)
	symbolVersions = regexp.MustCompile(`(?m)( Invalid symbol version \S+):.*$`)
)

const kernel = "6.1.0-confirm"

// theirs runs the installed depmod on a copy's indexes: those that it writes are taken away again.
func theirs(t *testing.T, dir string, args []string) result {
	t.Helper()
	argv := append([]string{"-b", dir}, args...)
	cmd := exec.CommandContext(t.Context(), "depmod", append(argv, kernel)...)
	if i := slices.Index(args, "FILES"); i >= 0 {
		argv = append([]string{"-b", dir}, args[:i]...)
		argv = append(argv, kernel)
		cmd = exec.CommandContext(t.Context(), "depmod", append(argv, args[i+1:]...)...)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("depmod: %v (install kmod)", err)
	}
	return result{Failed: err != nil, Messages: plain(string(out)), Files: takeIndexes(t, filepath.Join(dir, "lib/modules", kernel))}
}

func isIndex(name string) bool {
	switch name {
	case "modules.order", "modules.builtin", "modules.builtin.modinfo":
		return false
	}
	return strings.HasPrefix(name, "modules.")
}

// takeIndexes reads the indexes and removes them.
func takeIndexes(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if isIndex(e.Name()) {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			files[e.Name()] = string(data)
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// scanOptions is the options for depmod's arguments.
func scanOptions(t *testing.T, dir string, args []string) (opt depmod.Options, verbose int) {
	t.Helper()
	opt = depmod.Options{Release: kernel, Dir: dir + "/lib/modules/" + kernel, Kmod: installedVersion(t)}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-C":
			i++
			opt.Config = append(opt.Config, args[i])
		case "-E":
			i++
			opt.Symvers = args[i]
		case "-F":
			i++
			opt.SystemMap = args[i]
		case "-P":
			i++
			opt.Prefix = args[i][0]
		case "-e":
			opt.Unresolved = true
		case "-w":
			opt.Duplicates = true
		case "-v":
			verbose++
			opt.Needs = true
		case "-n":
			opt.TextOnly = true
		case "FILES":
			opt.Files = args[i+1:]
			i = len(args)
		default:
			t.Fatalf("no option for %q", args[i])
		}
	}
	return opt, verbose
}

// scan computes an index on the machine itself.
func scan(t *testing.T, opt depmod.Options) *depmod.Index {
	t.Helper()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	index, err := depmod.Scan(t.Context(), root, opt)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// ours computes the same with this package.
func ours(t *testing.T, dir string, args []string) result {
	t.Helper()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	opt, verbose := scanOptions(t, dir, args)
	var out bytes.Buffer
	opt.Tell = func(m depmod.Message) {
		names := map[depmod.Level]string{depmod.Fatal: "FATAL", depmod.Error: "ERROR", depmod.Warning: "WARNING", depmod.Info: "INFO"}
		if m.Level == depmod.Notice {
			fmt.Fprintln(&out, m.Text)
		} else if int(m.Level) <= 4+verbose {
			fmt.Fprintf(&out, "depmod: %s: %s\n", names[m.Level], m.Text)
		}
	}
	index, err := depmod.Scan(t.Context(), root, opt)
	got := result{Failed: err != nil, Files: map[string]string{}}
	if err == nil {
		for _, f := range index.Files() {
			var b bytes.Buffer
			if err := f.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			if opt.TextOnly {
				out.Write(b.Bytes())
			} else {
				got.Files[f.Name] = b.String()
			}
		}
	}
	got.Messages = plain(out.String())
	return got
}

// with puts files below the kernel's directory, with its three files.
func with(files map[string]string) map[string]string {
	out := map[string]string{
		"modules.order":           "",
		"modules.builtin":         "kernel/lib/crc-t10dif.ko\nkernel/fs/ext4.ko\n",
		"modules.builtin.modinfo": "ext4.alias=fs-ext4\x00ext4.license=GPL\x00crc_t10dif.alias=crypto-crct10dif\x00",
	}
	maps.Copy(out, files)
	return out
}

// chain is three modules of which the first needs the second, and that the third.
func chain(f fake) map[string]string {
	a, b, c := f, f, f
	a.info = []string{"license=GPL", "alias=pci:v00001AF4d*sv*", "alias=char-major-10-200", "alias=devname:net/tun", "softdep=pre: b_two post: c", "weakdep=b-two"}
	a.needs = symbols("two_start module_layout two_stop printk")
	b.info = []string{"alias=of:N*T*Cvendor,b-two", "alias=fs-two"}
	b.exports = []fakeSymbol{{name: "two_start", crc: 0x11112222, space: "TWO"}, {name: "two_stop", crc: 0x33334444}}
	b.needs = symbols("three printk module_layout")
	c.info = []string{"alias=fs-three"}
	c.exports = symbols("three")
	return with(map[string]string{
		"kernel/a.ko": string(a.bytes()), "kernel/drivers/b-two.ko": string(b.bytes()), "extra/c.ko": string(c.bytes()),
		"modules.order": "kernel/drivers/b-two.ko\nkernel/none.ko\nkernel/a.ko\n",
	})
}

func ko(f fake) string { return string(f.bytes()) }

// ring is modules of which each needs the next one, and the last one the first.
func ring(files map[string]string, names ...string) map[string]string {
	for i, name := range names {
		next := names[(i+1)%len(names)]
		if files["kernel/"+name+".ko"] != "" {
			continue
		}
		files["kernel/"+name+".ko"] = ko(fake{info: []string{"name=" + name}, exports: symbols("sym_" + name), needs: symbols("sym_" + next)})
	}
	return files
}

// TestConfirm compares every index, message and status with the installed depmod's.
func TestConfirm(t *testing.T) {
	t.Parallel()
	one := fake{info: []string{"alias=one"}, exports: symbols("one")}
	two := fake{info: []string{"alias=two"}, exports: symbols("one two")}
	many := with(nil)
	for i := range 300 {
		many[fmt.Sprintf("kernel/d%d/m-%d.ko", i%7, i)] = ko(fake{
			info:    []string{fmt.Sprintf("alias=usb:v%04Xp*", i*37), fmt.Sprintf("alias=usb:v%04Xp[0-9-a]*", i), fmt.Sprint("alias=x", i%5)},
			exports: symbols(fmt.Sprintf("f%d g%d h%d_%d", i, i*i, i%3, i)), needs: symbols(fmt.Sprintf("f%d g%d f%d", i/2, (i/3)*(i/3), i/5)),
			crcs: absoluteCRCs,
		})
	}
	delete(many, "kernel/d0/m-0.ko") // would need itself
	ar := func(args ...string) []string { return args }
	for _, test := range []testCase{
		{"64 bit", chain(fake{}), nil},
		{"64 bit big endian", chain(fake{big: true, machine: elf.EM_S390}), nil},
		{"32 bit", chain(fake{bits32: true, machine: elf.EM_ARM}), nil},
		{"32 bit big endian", chain(fake{bits32: true, big: true, machine: elf.EM_PPC}), nil},
		{"modversions", chain(fake{crcs: absoluteCRCs}), nil},
		{"modversions in a section", chain(fake{crcs: sectionCRCs}), nil},
		{"modversions 32 bit big endian", chain(fake{crcs: sectionCRCs, bits32: true, big: true, machine: elf.EM_MIPS}), nil},
		{"extended modversions", chain(fake{crcs: extendedCRCs}), nil},
		{"no modules", with(nil), nil},
		{"no files of the kernel", map[string]string{"kernel/one.ko": ko(one)}, nil},
		{"many", many, nil},
		{"many, on show", many, ar("-n")},
		{"verbose", chain(fake{}), ar("-v", "-v")},
		{"no kernel", map[string]string{"/x": ""}, nil},

		{"overridden", with(map[string]string{"kernel/one.ko": ko(one), "updates/dkms/one.ko": ko(two), "modules.order": "kernel/one.ko\n"}), nil},
		{"twice in updates", with(map[string]string{"kernel/one.ko": ko(one), "updates/a/one.ko": ko(two), "updates/one.ko": ko(one)}), nil},
		{"twice in kernel", with(map[string]string{"kernel/a/one.ko": ko(one), "kernel/b/one.ko": ko(two)}), nil},
		{"dashes and underscores", with(map[string]string{"kernel/a-b_c.ko": ko(one), "updates/a_b-c.ko": ko(two)}), nil},
		{"names with dots", with(map[string]string{"kernel/a.b.ko": ko(one), "kernel/.hidden.ko": ko(two), "kernel/.ko": ko(one), "kernel/x.ko.bak": ko(one)}), nil},
		{"build and source", with(map[string]string{"build/one.ko": ko(one), "kernel/source/one.ko": ko(two), "kernel/build": "x"}), nil},
		{"links", with(map[string]string{"kernel/one.ko": ko(one), "weak-updates/two.ko": "-> ../kernel/one.ko", "kernel/far": "-> ../../else", "/lib/modules/else/three.ko": ko(two), "nowhere": "-> none", "kernel/sub/none.ko": "-> none"}), nil},
		{"several exporters", with(map[string]string{"kernel/one.ko": ko(one), "kernel/two.ko": ko(two), "kernel/user.ko": ko(fake{info: []string{"alias=u"}, needs: symbols("one two")})}), nil},
		{"same order", with(map[string]string{"kernel/one.ko": ko(one), "kernel/two.ko": ko(two), "modules.order": "kernel/two.ko\nkernel/one.ko\nkernel/two.ko\n"}), nil},
		{"order cut short", with(map[string]string{"kernel/one.ko": ko(one), "kernel/two.ko": ko(two), "modules.order": "kernel/two.ko\nkernel/one.ko"}), nil},
		{"order without end", with(map[string]string{"kernel/one.ko": ko(one), "modules.order": strings.Repeat("x", 5000) + "\n"}), nil},
		{"builtin oddities", with(map[string]string{"modules.builtin": "\n3com.ko\nkernel/a-b.ko\nplain\nkernel/a-b.ko.gz\nkernel/", "modules.builtin.modinfo": "a.alias=x-y[0-9]\x00b.alias=x]\x00c\x00d.parm=x\x00e.alias=\x00f.alias=last"}), nil},

		{"a ring", ring(with(nil), "one", "two", "three"), nil},
		{"two rings", ring(ring(with(nil), "one", "two"), "three", "four", "five"), nil},
		{"a ring with users", ring(with(map[string]string{"kernel/user.ko": ko(fake{info: []string{"alias=u"}, needs: symbols("sym_one")}), "kernel/alone.ko": ko(one)}), "one", "two", "three"), nil},
		{"a ring that needs others", ring(with(map[string]string{
			"kernel/four.ko":  ko(fake{info: []string{"alias=4"}, exports: symbols("sym_four extra"), needs: symbols("sym_one leaf base")}),
			"kernel/leaf.ko":  ko(fake{info: []string{"alias=l"}, exports: symbols("leaf")}),
			"kernel/base.ko":  ko(fake{info: []string{"alias=b"}, exports: symbols("base"), needs: symbols("leaf")}),
			"kernel/other.ko": ko(fake{info: []string{"alias=o"}, exports: symbols("other"), needs: symbols("base leaf")}),
			"kernel/three.ko": ko(fake{info: []string{"alias=3"}, exports: symbols("sym_three"), needs: symbols("sym_four other extra")}),
		}), "one", "two", "three"), nil},
		{"needs itself", with(map[string]string{"kernel/self.ko": ko(fake{info: []string{"alias=self"}, exports: symbols("self"), needs: symbols("self")})}), nil},

		{"not ELF", with(map[string]string{"kernel/one.ko": ko(one), "kernel/text.ko": "this is no module"}), nil},
		{"empty", with(map[string]string{"kernel/one.ko": ko(one), "kernel/empty.ko": ""}), nil},
		{"cut short", with(map[string]string{"kernel/one.ko": ko(one), "kernel/cut.ko": ko(two)[:200]}), nil},
		{"cut within sections", with(map[string]string{"kernel/one.ko": ko(one), "kernel/cut.ko": ko(two)[:len(ko(two))-70]}), nil},
		{"other class", with(map[string]string{"kernel/bad.ko": strings.Replace(ko(one), "\x7fELF\x02", "\x7fELF\x07", 1)}), nil},
		{"no modinfo", with(map[string]string{"kernel/bare.ko": ko(fake{exports: symbols("bare"), needs: symbols("one")}), "kernel/one.ko": ko(one)}), nil},
		{"damaged xz", with(map[string]string{"kernel/one.ko.xz": "\xfd7zXZ\x00" + strings.Repeat("no", 40)}), nil},
		{"brackets", with(map[string]string{"kernel/one.ko": ko(fake{info: []string{"alias=a-[b-c]-d", "alias=x]", "alias=[x", "alias", "alias=", "softdep="}})}), nil},
		{"device nodes", with(map[string]string{
			"kernel/a.ko": ko(fake{info: []string{"alias=devname:cuse", "alias=char-major-10-203", "alias=char-major-10-204"}}),
			"kernel/b.ko": ko(fake{info: []string{"alias=devname:lost"}}),
			"kernel/c.ko": ko(fake{info: []string{"alias=block-major-7-*", "alias=block-major- +7-00x", "alias=devname:loop-control"}}),
			"kernel/d.ko": ko(fake{info: []string{"alias=char-major-4294967298-3", "alias=devname:x", "alias=devname:y"}}),
		}), nil},

		{"unresolved without a map", chain(fake{}), ar("-e")},
		{"System.map", withOutside(chain(fake{}), "/map", "ffffffff81000000 T printk\nffff r __ksymtab_printk\nbad\nffff r __ksymtab_three\n"), ar("-e", "-F", "DIR/map")},
		{"no System.map", chain(fake{}), ar("-F", "DIR/none")},
		{"Module.symvers", withOutside(chain(fake{crcs: absoluteCRCs}), "/symvers", symvers), ar("-e", "-E", "DIR/symvers")},
		{"Module.symvers without -e", withOutside(chain(fake{crcs: absoluteCRCs}), "/symvers", symvers), ar("-E", "DIR/symvers")},
		{"prefix", withOutside(with(map[string]string{"kernel/a.ko": ko(fake{info: []string{"alias=u"}, exports: symbols("_x y"), needs: symbols("z _two .dot")}), "kernel/b.ko": ko(fake{info: []string{"alias=u"}, exports: symbols("two dot _z")})}), "/map", "0 T _x\n0 R ___ksymtab_y\n"), ar("-P", "_", "-e", "-F", "DIR/map")},
		{"weak", withOutside(with(map[string]string{"kernel/a.ko": ko(fake{info: []string{"alias=u"}, needs: []fakeSymbol{{name: "may", weak: true}, {name: "must"}}})}), "/map", "0 R __ksymtab_x\n"), ar("-e", "-F", "DIR/map")},
		{"duplicates", with(map[string]string{"kernel/a.ko": ko(fake{info: []string{"alias=a", "alias=a", "alias=a-b", "alias=a_b"}})}), ar("-w")},

		{"given modules", chain(fake{}), ar("FILES", "DIR/lib/modules/"+kernel+"/kernel/a.ko", "DIR/lib/modules/"+kernel+"/extra/c.ko")},
		{"given elsewhere", withOutside(with(nil), "/tmp/one.ko", ko(one)), ar("FILES", "DIR/tmp/one.ko")},
		{"given twice", withOutside(with(nil), "/tmp/one.ko", ko(one)), ar("FILES", "DIR/tmp/one.ko", "DIR/tmp/one.ko")},
		{"given two of a name", withOutside(withOutside(with(nil), "/tmp/one.ko", ko(one)), "/one.ko", ko(one)), ar("FILES", "DIR/tmp/one.ko", "DIR/one.ko")},
		{"given what is not there", with(nil), ar("FILES", "DIR/tmp/one.ko")},
		{"given by a relative path", with(nil), ar("FILES", "tmp/one.ko")},

		rule("search", "search extra updates built-in", "kernel/one.ko updates/one.ko extra/one.ko"),
		rule("built-in first", "search built-in updates", "kernel/one.ko updates/one.ko"),
		rule("no built-in", "search extra", "kernel/one.ko extra/one.ko updates/one.ko"),
		rule("names that begin alike", "search upd updates/dkms built-in", "kernel/one.ko updates/one.ko updates/dkms/one.ko updfoo/one.ko"),
		rule("override", "override one * kernel\nsearch updates built-in", "kernel/one.ko updates/one.ko"),
		rule("override by kernel", "override one ^6\\\\.1 extra", "kernel/one.ko updates/one.ko extra/one.ko"),
		rule("override of another kernel", "override one ^5 extra", "kernel/one.ko updates/one.ko extra/one.ko"),
		rule("bad expression", "override one 6([ extra", "kernel/one.ko updates/one.ko extra/one.ko"),
		rule("exclude", "exclude extra .hidden foo.ko", "extra/one.ko kernel/.hidden/two.ko kernel/foo.ko kernel/bar.ko"),
		rule("external", "external * DIR/ext\nsearch updates external built-in", "kernel/one.ko updates/two.ko /ext/one.ko /ext/two.ko /ext/sub/three.ko"),
		rule("externals", "external * DIR/ext\nexternal 6 DIR/exs\nexternal 5 DIR/none\nsearch external built-in", "kernel/one.ko /ext/one.ko /exs/one.ko"),
		rule("external that is not there", "external * DIR/none", "kernel/one.ko"),
		rule("bad lines", "nonsense a b\noverride one\nexternal x\n# remark\n\n  search \\\n extra built-in\nmake_map_files no\ninclude x", "kernel/one.ko extra/one.ko"),
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := kernelTree(t, test.files)
			args := slices.Clone(test.args)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "DIR", dir)
			}
			want := theirs(t, dir, args)
			got := ours(t, dir, args)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("depmod %s (-kmod +ours):\n%s", strings.Join(args, " "), diff)
			}
		})
	}
}

const symvers = "0x33334444\ttwo_stop\tvmlinux\tEXPORT_SYMBOL\t\n0x1234\tprintk\tvmlinux\tEXPORT_SYMBOL\n" +
	"0x1\tother\tdrivers/other\tEXPORT_SYMBOL\nzzz\tbad\tvmlinux\tEXPORT_SYMBOL\n0x1\tcut\tvmlinux\n"

type testCase struct {
	name  string
	files map[string]string // below the kernel's directory; "/x" is below the root
	args  []string          // DIR is the root; what follows FILES are modules
}

// rule is a case with a file of rules, and modules below the kernel's directory or, with a slash in front, the root.
func rule(name, text, modules string) testCase {
	files := with(nil)
	for m := range strings.FieldsSeq(modules) {
		files[m] = ko(fake{info: []string{"alias=" + strings.ReplaceAll(m, "/", "_")}})
	}
	files["/rules/x.conf"] = text + "\n"
	files["/rules/y.txt"] = "nonsense\n"
	return testCase{name, files, []string{"-C", "DIR/rules", "-v", "-v"}}
}

func withOutside(files map[string]string, name, content string) map[string]string {
	files[name] = content
	return files
}

// kernelTree lays files out below the kernel's directory.
func kernelTree(t *testing.T, files map[string]string) string {
	t.Helper()
	below := map[string]string{}
	for name, content := range files {
		if !strings.HasPrefix(name, "/") {
			name = "lib/modules/" + kernel + "/" + name
		}
		below[name] = content
	}
	dir := layout(t, below)
	for name, content := range below {
		if strings.HasPrefix(name, "/rules/") {
			text := strings.ReplaceAll(content, "DIR", dir)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}
