package depmod_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
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

// upgrade is a kernel whose indexes depmod has written, and modules that come and
// go beside those that it was built with.
type upgrade struct {
	*testing.T
	*rand.Rand
	root *sysroot.Root
	dir  string
	opt  depmod.Options
	at   time.Time // of the indexes
	lent int       // modules, in all rounds
	log  []string
}

func newUpgrade(t *testing.T, seed uint64) *upgrade {
	t.Helper()
	base := t.TempDir()
	root, err := sysroot.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	u := &upgrade{
		T: t, Rand: rand.New(rand.NewPCG(seed, 2)), root: root, dir: base + "/lib/modules/" + kernel,
		opt: depmod.Options{Release: kernel, Dir: "/lib/modules/" + kernel, Cache: "/var/cache"},
	}
	var order strings.Builder
	for i := range ownModules {
		u.write(ownModule(i), u.own(i))
		order.WriteString(ownModule(i) + "\n")
	}
	u.write("modules.order", []byte(order.String()))
	u.write("updates/dkms/none", nil)
	return u
}

const ownModules = 24

func ownModule(i int) string { return fmt.Sprintf("kernel/d%d/own-%d.ko", i%3, i) }

// own is a module that needs several before it, in any order, and now and then
// exports what another one does.
func (u *upgrade) own(i int) []byte {
	f := fake{info: []string{fmt.Sprintf("alias=pci:v%d-*", u.IntN(9)), "alias=x-[y-z]-" + fmt.Sprint(i)}, exports: symbols(fmt.Sprintf("own%d", i))}
	switch u.IntN(12) {
	case 0:
		f.info = append(f.info, "alias=devname:d"+fmt.Sprint(i), "alias=char-major-10-7", "alias=with space")
	case 1:
		f.info = append(f.info, "softdep=pre: a b  c", "softdep=post: d", "weakdep=e")
	case 2:
		if i < 4 {
			f.exports = append(f.exports, symbols("shared")...)
		}
	case 3:
		f.info, f.exports = nil, nil
	}
	var needs []string
	for range u.IntN(5) {
		if i > 0 {
			needs = append(needs, fmt.Sprintf("own%d", u.IntN(i)))
		}
	}
	if i >= 4 {
		needs = append(needs, "shared")
	}
	f.needs = symbols(strings.Join(needs, " ") + " printk")
	return f.bytes()
}

// other is a module that the kernel was not built with.
func (u *upgrade) other(i int) []byte {
	f := fake{info: []string{fmt.Sprint("alias=o", i)}, exports: symbols(fmt.Sprintf("other%d", i))}
	if u.IntN(9) == 0 {
		f.exports = symbols(fmt.Sprintf("own%d shared", u.IntN(ownModules)))
		return f.bytes()
	}
	f.needs = symbols(fmt.Sprintf("own%d own%d other%d printk", u.IntN(ownModules), u.IntN(ownModules), max(0, i-1)))
	if i == 0 {
		f.needs = symbols("own1")
	}
	return f.bytes()
}

func (u *upgrade) write(rel string, data []byte) {
	file := filepath.Join(u.dir, rel)
	u.check(os.MkdirAll(filepath.Dir(file), 0o755))
	u.check(os.WriteFile(file, data, 0o644))
}

func (u *upgrade) check(err error) {
	u.Helper()
	if err != nil && !os.IsNotExist(err) {
		u.Fatal(err)
	}
}

// full is the indexes as one computes them without any help.
func (u *upgrade) full() *depmod.Index {
	opt := u.opt
	opt.Cache = ""
	x, err := depmod.Scan(u.Context(), u.root, opt)
	if err != nil {
		u.Fatal(err)
	}
	return x
}

// settle makes the indexes as old as if everything had been read well after the
// modules were written.
func (u *upgrade) settle() {
	u.at = time.Time{}
	u.check(filepath.WalkDir(u.dir, func(file string, _ os.DirEntry, err error) error {
		if info, statErr := os.Stat(file); statErr == nil && strings.HasSuffix(file, ".ko") {
			if changed := time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix()); changed.After(u.at) {
				u.at = changed
			}
		}
		return err
	}))
	u.at = u.at.Add(25 * time.Millisecond)
	for _, f := range must(filepath.Glob(u.dir + "/modules.*")) {
		u.check(os.Chtimes(f, u.at, u.at))
	}
}

// later waits until what is written is younger than the indexes.
func (u *upgrade) later() {
	for time.Now().Before(u.at.Add(15 * time.Millisecond)) {
		time.Sleep(time.Millisecond)
	}
}

// round changes something, and compares indexes made with the help of those
// before with others.
func (u *upgrade) round() {
	if u.IntN(3) == 0 {
		u.renew()
	}
	other := fmt.Sprintf("updates/dkms/other-%d.ko", u.IntN(4))
	edits := []func(){
		func() { u.write(other, u.other(int(other[len(other)-4]-'0'))) },
		func() { u.write(other, u.other(int(other[len(other)-4]-'0'))) },
		func() { u.write("extra/other-3.ko", u.other(3)) },
		func() { u.check(os.Remove(filepath.Join(u.dir, other))) },
		func() { u.check(os.RemoveAll(filepath.Join(u.root.Dir(), u.opt.Cache))) },
		func() {},
		func() { u.write(fmt.Sprintf("updates/own-%d.ko", u.IntN(ownModules)), u.other(3)) },
		func() { u.check(os.Remove(filepath.Join(u.dir, fmt.Sprintf("updates/own-%d.ko", u.IntN(ownModules))))) },
		func() { u.later(); i := u.IntN(ownModules); u.write(ownModule(i), u.own(i)) },
		func() { u.check(os.Remove(filepath.Join(u.dir, ownModule(u.IntN(ownModules))))) },
		u.damage,
		func() { u.write(other, []byte("no module")) },
	}
	for range 1 + u.IntN(2) {
		n := u.IntN(len(edits))
		u.log = append(u.log, fmt.Sprint(n))
		edits[n]()
	}
	var want, got []string
	full := u.opt
	full.Cache, full.Tell = "", func(m depmod.Message) { want = append(want, m.Text) }
	plain, wantErr := depmod.Scan(u.Context(), u.root, full)
	opt := u.opt
	opt.Earlier, opt.Tell = true, func(m depmod.Message) { got = append(got, m.Text) }
	x, err := depmod.Scan(u.Context(), u.root, opt)
	if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) {
		u.Fatalf("Scan = %v, without earlier indexes %v; messages (-without +with):\n%s\nedits %v", err, wantErr, diff, u.log)
	}
	if err != nil {
		u.renew()
		return
	}
	u.lent += depmod.Lent(x)
	for i, f := range plain.Files() {
		if want, got := contentOf(u.T, f), contentOf(u.T, x.Files()[i]); want != got {
			u.Fatalf("%s, edits %v (-without +with earlier indexes):\n%s", f.Name, u.log, cmp.Diff(want, got))
		}
	}
	u.check(x.Publish(u.Context()))
	u.settle()
}

// renew leaves the kernel's own modules, and nothing that is known of them but the
// indexes.
func (u *upgrade) renew() {
	u.log = append(u.log, "renew")
	u.check(os.RemoveAll(filepath.Join(u.root.Dir(), u.opt.Cache)))
	u.check(os.RemoveAll(filepath.Join(u.dir, "updates")))
	u.check(os.RemoveAll(filepath.Join(u.dir, "extra")))
	u.check(u.full().Publish(u.Context()))
	u.settle()
}

// damage spoils an index, without a trace in its time.
func (u *upgrade) damage() {
	files := must(filepath.Glob(u.dir + "/modules.*"))
	file := files[u.IntN(len(files))]
	data, err := os.ReadFile(file)
	u.check(err)
	if len(data) == 0 || strings.HasSuffix(file, "/modules.order") || strings.HasSuffix(file, "dep") && !strings.HasSuffix(file, "/modules.dep") {
		return
	}
	switch u.IntN(4) {
	case 0:
		data = data[:u.IntN(len(data))]
	case 1:
		data = bytes.Replace(data, []byte("own_1"), []byte("own_2"), 1)
	case 2:
		clear(data)
	case 3:
		u.check(os.Remove(file))
		return
	}
	u.check(os.WriteFile(file, data, 0o644))
	u.check(os.Chtimes(file, u.at, u.at))
}

func contentOf(t *testing.T, f depmod.File) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEarlier holds indexes that believe those before them against others, after
// edits at random.
func TestEarlier(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			u := newUpgrade(t, seed)
			u.check(u.full().Publish(t.Context()))
			u.settle()
			for range *steps / 8 {
				u.round()
			}
			if u.lent < 10 {
				t.Errorf("only %d modules were lent", u.lent)
			}
		})
	}
}

// TestEarlierKmod begins with indexes that the installed depmod has written, and
// ends with those that it would write.
func TestEarlierKmod(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			u := newUpgrade(t, 100+seed)
			u.opt.Kmod = installedVersion(t)
			kmod := func() {
				if out, err := exec.CommandContext(t.Context(), "depmod", "-b", u.root.Dir(), kernel).CombinedOutput(); err != nil {
					t.Fatalf("depmod: %v\n%s(install kmod)", err, out)
				}
			}
			kmod()
			u.settle()
			for i := range 3 {
				u.write(fmt.Sprintf("updates/dkms/new-%d.ko", i), fake{
					info: []string{fmt.Sprint("alias=n", i)}, exports: symbols(fmt.Sprintf("new%d", i)),
					needs: symbols(fmt.Sprintf("own%d own%d new%d", u.IntN(ownModules), u.IntN(ownModules), i-1)),
				}.bytes())
			}
			opt := u.opt
			opt.Earlier = true
			x, err := depmod.Scan(t.Context(), u.root, opt)
			if err != nil {
				t.Fatal(err)
			}
			if depmod.Lent(x) < ownModules/2 {
				t.Errorf("%d modules are lent", depmod.Lent(x))
			}
			got := map[string]string{}
			for _, f := range x.Files() {
				got[f.Name] = contentOf(t, f)
			}
			kmod()
			want := takeIndexes(t, u.dir)
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if want[name] != got[name] {
					t.Errorf("%s (-kmod +ours):\n%s", name, cmp.Diff(want[name], got[name]))
				}
			}
		})
	}
}

// A module that goes may have kept another one's symbol out of the indexes.
func TestEarlierHidden(t *testing.T) {
	t.Parallel()
	u := newUpgrade(t, 1)
	last := fmt.Sprintf("own%d", ownModules-1)
	u.write(ownModule(ownModules-1), fake{exports: symbols(last)}.bytes())
	u.write("updates/dkms/other-1.ko", fake{exports: symbols(last)}.bytes())
	u.check(u.full().Publish(t.Context()))
	u.settle()
	u.check(os.Remove(filepath.Join(u.dir, "updates/dkms/other-1.ko")))
	opt := u.opt
	opt.Earlier = true
	x, err := depmod.Scan(t.Context(), u.root, opt)
	u.check(err)
	plain := u.full()
	for i, f := range plain.Files() {
		if diff := cmp.Diff(contentOf(t, f), contentOf(t, x.Files()[i])); diff != "" {
			t.Errorf("%s (-without +with earlier indexes):\n%s", f.Name, diff)
		}
	}
}
