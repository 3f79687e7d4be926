package depmod_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// make e2e-depmod asks for more.
var steps = flag.Int("steps", 250, "random edits of each of the eight trees of TestIncremental")

// TestIncremental edits trees of modules at random, and holds what a run with a
// cache leaves behind against what one without would.
func TestIncremental(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newWorld(t, seed).run(*steps)
		})
	}
}

// world is a tree of modules that changes.
type world struct {
	*testing.T
	*rand.Rand
	root *sysroot.Root
	dir  string // of the kernel's modules
	opt  depmod.Options
	log  []string // the last edits
}

func newWorld(t *testing.T, seed uint64) *world {
	base := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "depmod"); err == nil { //nolint:usetesting // where syncing costs nothing
		t.Cleanup(func() { os.RemoveAll(shm) })
		base = shm
	}
	root, err := sysroot.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		T: t, Rand: rand.New(rand.NewPCG(seed, 1)), root: root, dir: base + "/lib/modules/" + kernel,
		opt: depmod.Options{Release: kernel, Dir: "/lib/modules/" + kernel, Cache: "/var/cache"},
	}
	for _, dir := range []string{"kernel/a", "kernel/b", "extra", "updates/dkms"} {
		w.check(os.MkdirAll(filepath.Join(w.dir, dir), 0o755))
	}
	for range 12 {
		w.write(w.newPath(), w.module())
	}
	return w
}

func (w *world) check(err error) {
	w.Helper()
	for _, mayBe := range []error{nil, os.ErrNotExist, os.ErrExist, syscall.ELOOP} { // of files that edits have made
		if errors.Is(err, mayBe) {
			return
		}
	}
	w.Fatal(err)
}

func (w *world) run(steps int) {
	edits := w.edits()
	for range steps {
		for range 1 + w.IntN(3) {
			n := w.IntN(len(edits))
			w.log = append(w.log, fmt.Sprint(n))
			edits[n]()
		}
		w.compare()
		if w.Failed() {
			w.Fatalf("after these edits: %v", w.log[max(0, len(w.log)-10):])
		}
	}
}

// compare indexes with the cache and without.
func (w *world) compare() {
	var got, want []string
	full := w.opt
	full.Cache = ""
	full.Tell = func(m depmod.Message) { want = append(want, m.Text) }
	index, wantErr := depmod.Scan(w.Context(), w.root, full)
	with := w.opt
	with.Tell = func(m depmod.Message) { got = append(got, m.Text) }
	kept, gotErr := depmod.Scan(w.Context(), w.root, with)
	if diff := cmp.Diff(want, got); diff != "" || (wantErr == nil) != (gotErr == nil) {
		w.Errorf("Scan with a cache = %v, without %v; messages (-without +with):\n%s", gotErr, wantErr, diff)
	}
	if wantErr != nil || gotErr != nil {
		return
	}
	if err := kept.Publish(w.Context()); err != nil {
		w.Fatal(err)
	}
	for _, f := range index.Files() {
		var b bytes.Buffer
		w.check(f.WriteTo(&b))
		data, err := os.ReadFile(filepath.Join(w.dir, f.Name))
		if err != nil {
			w.Error(err)
		}
		if !bytes.Equal(b.Bytes(), data) {
			w.Errorf("%s (-without +with a cache):\n%s", f.Name, cmp.Diff(b.String(), string(data)))
		}
	}
}

// module is a small module that exports and needs a few of a few symbols. Circles
// are rare: it mostly needs those with smaller numbers than it exports.
func (w *world) module() []byte {
	n := w.IntN(20)
	f := fake{crcs: crcKind(w.IntN(4)), bits32: w.IntN(4) == 0, big: w.IntN(4) == 0}
	for range w.IntN(3) {
		f.info = append(f.info, fmt.Sprintf("alias=pci:v%d-*", w.IntN(9)))
	}
	f.info = append(f.info, fmt.Sprint("softdep=pre: m", w.IntN(9)), "weakdep=x", "alias=devname:d", fmt.Sprintf("alias=char-major-10-%d", w.IntN(300)))
	f.exports = symbols(fmt.Sprintf("s%d t%d", n, n))
	if n > 0 {
		f.needs = symbols(fmt.Sprintf("s%d t%d printk", w.IntN(n), w.IntN(n)))
	}
	if w.IntN(200) == 0 {
		f.needs = symbols(fmt.Sprintf("s%d", n))
	}
	return f.bytes()
}

func (w *world) newPath() string {
	dir := []string{"kernel/a", "kernel/b", "extra", "updates/dkms", "updates"}[w.IntN(5)]
	return filepath.Join(w.dir, dir, fmt.Sprintf("m-%d.ko", w.IntN(16))) + []string{"", "", "", ".gz"}[w.IntN(4)]
}

func (w *world) write(file string, data []byte) {
	if strings.HasSuffix(file, ".gz") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(data)
		w.check(err)
		w.check(z.Close())
		data = b.Bytes()
	}
	w.check(os.WriteFile(file, data, 0o644))
}

// some is one of the modules that there are.
func (w *world) some() string {
	var files []string
	w.check(filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), ".ko") {
			files = append(files, path)
		}
		return nil
	}))
	if len(files) == 0 {
		return filepath.Join(w.dir, "none.ko")
	}
	slices.Sort(files)
	return files[w.IntN(len(files))]
}

// edits is what can happen to a tree.
func (w *world) edits() []func() {
	return []func(){
		func() { w.write(w.newPath(), w.module()) },                                                 // added or replaced
		func() { w.check(os.Remove(w.some())) },                                                     // removed
		func() { w.check(os.Rename(w.some(), w.newPath())) },                                        // moved, perhaps over another one
		func() { w.check(os.Chtimes(w.some(), time.Now(), time.Unix(1e9, int64(w.IntN(1e9))))) },    // touched
		func() { w.write(strings.Replace(w.some(), "/kernel/", "/updates/", 1), w.module()) },       // overridden, where it is in the kernel
		func() { w.check(os.Remove(strings.Replace(w.some(), "/kernel/a/", "/updates/dkms/", 1))) }, // and no more
		func() { w.swap(w.some(), w.some()) },
		w.replaceUnseen,
		func() { w.check(os.WriteFile(w.some(), []byte("no module"), 0o644)) },
		func() { w.check(os.Truncate(w.some(), int64(w.IntN(300)))) },
		func() { w.check(os.Link(w.some(), w.newPath())) },
		func() { w.check(os.Symlink(w.some(), w.newPath())) },
		func() { w.check(os.RemoveAll(filepath.Join(w.dir, "updates/dkms"))); w.mkdirs() },
		w.writeOrder,
		func() { w.writeText("modules.builtin", fmt.Sprintf("kernel/b%d.ko\n", w.IntN(5))) },
		func() { w.writeText("modules.builtin.modinfo", fmt.Sprintf("b%d.alias=x%d\x00", w.IntN(5), w.IntN(5))) },
		func() { w.opt.Kmod = depmod.KmodVersion([]int{0, 30, 33, 34}[w.IntN(4)]) },
		w.writeRules,
		w.spoilCache,
		w.spoilIndex,
		func() {}, // nothing has changed
		func() {},
		func() {},
	}
}

func (w *world) mkdirs() { w.check(os.MkdirAll(filepath.Join(w.dir, "updates/dkms"), 0o755)) }

func (w *world) swap(a, b string) {
	w.check(os.Rename(a, a+".tmp"))
	w.check(os.Rename(b, a))
	w.check(os.Rename(a+".tmp", b))
}

// replaceUnseen gives a file another content of the same size and the same time.
func (w *world) replaceUnseen() {
	file := w.some()
	info, err := os.Stat(file)
	if err != nil {
		return
	}
	data, err := os.ReadFile(file)
	w.check(err)
	data = bytes.Replace(data, []byte("alias=pci:v"), []byte("alias=usb:v"), 1)
	w.check(os.WriteFile(file, data, 0o644))
	w.check(os.Chtimes(file, info.ModTime(), info.ModTime()))
}

func (w *world) writeText(name, text string) {
	if w.IntN(8) == 0 {
		w.check(os.Remove(filepath.Join(w.dir, name)))
		return
	}
	w.check(os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644))
}

func (w *world) writeOrder() {
	var text strings.Builder
	for range w.IntN(10) {
		rel, err := filepath.Rel(w.dir, w.some())
		w.check(err)
		text.WriteString(strings.TrimSuffix(rel, ".gz") + "\n")
	}
	w.writeText("modules.order", text.String())
}

func (w *world) writeRules() {
	rules := []string{"", "search extra updates built-in\n", "override m-3 * kernel/a\n", "exclude b\n", "search built-in updates\nexternal * /lib/modules/" + kernel + "/extra\n"}
	file := filepath.Join(w.root.Dir(), "etc/depmod.d/x.conf")
	w.check(os.MkdirAll(filepath.Dir(file), 0o755))
	w.check(os.WriteFile(file, []byte(rules[w.IntN(len(rules))]), 0o644))
}

// spoilCache damages the cache in some way, or takes it away.
func (w *world) spoilCache() {
	file := filepath.Join(w.root.Dir(), w.opt.Cache, kernel)
	data, err := os.ReadFile(file)
	if err != nil || len(data) == 0 {
		return
	}
	switch w.IntN(4) {
	case 0:
		data[w.IntN(len(data))] ^= byte(1 + w.IntN(255))
	case 1:
		data = data[:w.IntN(len(data))]
	case 2:
		data = append(data, data...)
	case 3:
		w.check(os.Remove(file))
		return
	}
	w.check(os.WriteFile(file, data, 0o644))
}

// spoilIndex changes an index behind the cache's back.
func (w *world) spoilIndex() {
	names := []string{"modules.dep", "modules.dep.bin", "modules.alias", "modules.symbols.bin", "modules.devname"}
	file := filepath.Join(w.dir, names[w.IntN(len(names))])
	data, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if len(data) == 0 || w.IntN(3) == 0 {
		w.check(os.Remove(file))
		return
	}
	data[w.IntN(len(data))] ^= 1
	w.check(os.WriteFile(file, data, 0o644))
}
