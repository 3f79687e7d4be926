package depmod_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// change is a kernel whose indexes are to be replaced: its modules have changed.
type change struct {
	root     *sysroot.Root
	dir      string // of the kernel, on the host
	opt      depmod.Options
	old, new map[string]string // the indexes before and after
}

// newChange makes a kernel with a module that is to be moved, one that stays and
// one that is added. What is empty has no indexes yet.
func newChange(t testing.TB, base string, empty bool) *change {
	t.Helper()
	c := &change{dir: filepath.Join(base, "lib/modules", kernel)}
	c.opt = depmod.Options{Release: kernel, Dir: "/lib/modules/" + kernel}
	write := func(name string, f fake) {
		t.Helper()
		file := filepath.Join(c.dir, name)
		must(0, os.MkdirAll(filepath.Dir(file), 0o755))
		must(0, os.WriteFile(file, f.bytes(), 0o644))
	}
	write("kernel/stays.ko", fake{info: []string{"alias=stays-alias"}, exports: symbols("stays_symbol")})
	write("kernel/moves.ko", fake{info: []string{"alias=moves-alias"}, needs: symbols("stays_symbol")})
	for _, name := range kernelsOwn() {
		must(0, os.WriteFile(filepath.Join(c.dir, name), nil, 0o644))
	}
	c.root = must(sysroot.Open(base))
	if !empty {
		c.publish(t, c.root)
		c.old = takeFiles(c.dir)
	}
	must(0, os.MkdirAll(filepath.Join(c.dir, "updates"), 0o755))
	must(0, os.Rename(filepath.Join(c.dir, "kernel/moves.ko"), filepath.Join(c.dir, "updates/moves.ko")))
	write("updates/added.ko", fake{info: []string{"alias=added-alias"}, needs: symbols("stays_symbol")})
	c.new = map[string]string{}
	for _, f := range must(depmod.Scan(t.Context(), c.root, c.opt)).Files() {
		var b strings.Builder
		must(0, f.WriteTo(&b))
		c.new[f.Name] = b.String()
	}
	return c
}

func (c *change) publish(t testing.TB, root *sysroot.Root) {
	t.Helper()
	if err := must(depmod.Scan(t.Context(), root, c.opt)).Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// quickDir is a temporary directory where syncing costs nothing, if there is one.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "depmod") //nolint:usetesting // in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// kernelsOwn is the files beside the indexes that come with a kernel.
func kernelsOwn() []string {
	return []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"}
}

// takeFiles is the files in a directory, but for those of the kernel, with a "/"
// behind the names of directories that have no business there.
func takeFiles(dir string) map[string]string {
	files := map[string]string{}
	for _, e := range must(os.ReadDir(dir)) {
		switch {
		case e.Name() == "kernel" || e.Name() == "updates" || slices.Contains(kernelsOwn(), e.Name()):
		case e.IsDir():
			files[e.Name()+"/"] = ""
		default:
			files[e.Name()] = string(must(os.ReadFile(filepath.Join(dir, e.Name()))))
		}
	}
	return files
}

func same(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		if other, ok := b[name]; !ok || data != other {
			return false
		}
	}
	return true
}

// whole checks that the indexes are the old or the new ones, and nothing else is
// there.
func (c *change) whole(t *testing.T, when string) {
	t.Helper()
	got := takeFiles(c.dir)
	if !same(got, c.old) && !same(got, c.new) {
		t.Errorf("%s: neither the old nor the new indexes, but %v", when, mixture(got, c))
	}
	c.usable(t, when)
}

// usable checks that kmod's modprobe finds the module that has always been there.
func (c *change) usable(t *testing.T, when string) {
	t.Helper()
	if c.old == nil && !same(takeFiles(c.dir), c.new) {
		return // there were no indexes to begin with
	}
	for _, name := range []string{"stays", "stays-alias"} {
		out, err := modprobe(c.root.Dir(), name)
		if want := filepath.Join(c.dir, "kernel/stays.ko"); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: modprobe %s = %q, %v, want that it loads %s", when, name, out, err, want)
		}
	}
}

func modprobe(base, name string) (string, error) {
	program, err := exec.LookPath("modprobe")
	if err != nil {
		program = "/usr/sbin/modprobe"
	}
	out, err := exec.Command(program, "-n", "-v", "-d", base, "-S", kernel, name).CombinedOutput()
	return string(out), err
}

func mixture(got map[string]string, c *change) map[string]string {
	out := map[string]string{}
	for name, data := range got {
		old, was := c.old[name]
		switch now, is := c.new[name]; {
		case was && old == data && is && now == data:
			out[name] = "same"
		case was && old == data:
			out[name] = "old"
		case is && now == data:
			out[name] = "new"
		default:
			out[name] = fmt.Sprintf("%.20q", data)
		}
	}
	return out
}

// countSteps is how many steps a publication takes.
func countSteps(t *testing.T, empty bool) int {
	c := newChange(t, quickDir(t), empty)
	var n atomic.Int64
	c.publish(t, c.root.Before(func(sysroot.Step) error { n.Add(1); return nil }))
	c.whole(t, "published")
	if !same(takeFiles(c.dir), c.new) {
		t.Fatalf("Publish leaves %v", mixture(takeFiles(c.dir), c))
	}
	return int(n.Load())
}

// Each step of a publication fails, once or from then on, as after a crash.
func TestPublishFault(t *testing.T) {
	t.Parallel()
	for _, empty := range []bool{false, true} {
		steps := countSteps(t, empty)
		if steps < 11*5 {
			t.Fatalf("Publish takes %d steps, fewer than 11 files have", steps)
		}
		for i := range steps {
			t.Run(fmt.Sprint(empty, i), func(t *testing.T) {
				t.Parallel()
				publishFault(t, i, empty)
			})
		}
	}
}

func publishFault(t *testing.T, number int, empty bool) {
	for _, crash := range []bool{false, true} {
		c := newChange(t, quickDir(t), empty)
		var at atomic.Int64
		var failed atomic.Pointer[sysroot.Step]
		root := c.root.Before(func(s sysroot.Step) error {
			if n := int(at.Add(1)) - 1; n == number || crash && n > number {
				failed.CompareAndSwap(nil, &s)
				return syscall.EIO
			}
			return nil
		})
		err := must(depmod.Scan(t.Context(), root, c.opt)).Publish(t.Context())
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("Publish = %v, want EIO", err)
		}
		when := fmt.Sprintf("after EIO at step %d, %v, crash %v", number, *failed.Load(), crash)
		if err == nil && !same(withoutRubbish(takeFiles(c.dir)), c.new) {
			t.Errorf("%s: Publish = nil, but %v", when, mixture(takeFiles(c.dir), c))
		}
		if crash {
			c.usable(t, when)
			if err := depmod.Recover(t.Context(), c.root, c.opt.Dir); err != nil {
				t.Errorf("%s: Recover = %v", when, err)
			}
		}
		if crash || err != nil {
			c.whole(t, when)
		}
		c.publish(t, c.root)
		if got := takeFiles(c.dir); !same(got, c.new) {
			t.Errorf("%s: the next Publish leaves %v", when, mixture(got, c))
		}
	}
}

// withoutRubbish leaves out what a publication that has been successful could not
// remove.
func withoutRubbish(files map[string]string) map[string]string {
	delete(files, ".modules.new/")
	return files
}

// A context that ends does not end a publication in the middle.
func TestPublishCancelled(t *testing.T) {
	t.Parallel()
	steps := countSteps(t, false)
	for i := range steps {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := newChange(t, quickDir(t), false)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var at atomic.Int64
			root := c.root.Before(func(sysroot.Step) error {
				if int(at.Add(1)) == i+1 {
					cancel()
				}
				return nil
			})
			err := must(depmod.Scan(ctx, root, c.opt)).Publish(ctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Publish = %v, want that it was cancelled", err)
			}
			got, want := takeFiles(c.dir), c.new
			if err != nil {
				want = c.old
			}
			if !same(got, want) {
				t.Errorf("cancelled at step %d: Publish = %v and leaves %v", i, err, mixture(got, c))
			}
		})
	}
}

// The test program runs itself, and is killed at each step in turn.
func TestPublishKilled(t *testing.T) {
	if base := os.Getenv("DEPMOD_TEST_KILL"); base != "" {
		killSelf(t, base)
	}
	t.Parallel()
	for _, empty := range []bool{false, true} {
		for i := range countSteps(t, empty) {
			t.Run(fmt.Sprint(empty, i), func(t *testing.T) {
				t.Parallel()
				c := newChange(t, quickDir(t), empty)
				child := exec.Command(os.Args[0], "-test.run=^TestPublishKilled$")
				child.Env = append(os.Environ(), "DEPMOD_TEST_KILL="+c.root.Dir(), fmt.Sprint("DEPMOD_TEST_STEP=", i))
				out, _ := child.CombinedOutput()
				if ws, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL {
					t.Fatalf("the child was not killed, but said %s", out)
				}
				when := fmt.Sprintf("killed at step %d", i)
				for name, data := range withoutRubbish(takeFiles(c.dir)) {
					if !strings.HasSuffix(name, "/") && data != c.old[name] && data != c.new[name] {
						t.Errorf("%s: %s is neither the old nor the new one", when, name)
					}
				}
				c.usable(t, when)
				if err := depmod.Recover(t.Context(), c.root, c.opt.Dir); err != nil {
					t.Errorf("%s: Recover = %v", when, err)
				}
				c.whole(t, when)
				c.publish(t, c.root)
				if got := takeFiles(c.dir); !same(got, c.new) {
					t.Errorf("%s: the next Publish leaves %v", when, mixture(got, c))
				}
			})
		}
	}
}

// killSelf publishes the indexes of the kernel below base up to a step.
func killSelf(t *testing.T, base string) {
	step := must(strconv.Atoi(os.Getenv("DEPMOD_TEST_STEP")))
	var at atomic.Int64
	root := must(sysroot.Open(base)).Before(func(sysroot.Step) error {
		if int(at.Add(1)) == step+1 {
			must(0, syscall.Kill(os.Getpid(), syscall.SIGKILL))
			select {}
		}
		return nil
	})
	c := &change{opt: depmod.Options{Release: kernel, Dir: "/lib/modules/" + kernel}}
	c.publish(t, root)
}

// A file system becomes full at every place where it can: in a small tmpfs, in a
// mount namespace of our own.
func TestPublishFullDisk(t *testing.T) {
	if base := os.Getenv("DEPMOD_TEST_FULL"); base != "" {
		fullDisk(t, base)
		return
	}
	t.Parallel()
	args := []string{"--mount", "--propagation", "private"}
	if os.Geteuid() != 0 {
		args = append(args, "--map-root-user")
	}
	child := exec.Command("unshare", append(args, os.Args[0], "-test.run=^TestPublishFullDisk$", "-test.v")...)
	child.Env = append(os.Environ(), "DEPMOD_TEST_FULL="+t.TempDir())
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "full disks tried: ") {
		t.Errorf("in a namespace of its own (unshare of the Debian package util-linux): %v\n%s", err, out)
	}
}

func fullDisk(t *testing.T, base string) {
	tried := 0
	for left := 0; ; left += 4 << 10 {
		must(0, syscall.Mount("tmpfs", base, "tmpfs", 0, "size=1m"))
		c := newChange(t, base, false)
		fill(t, base, int64(left))
		err := must(depmod.Scan(t.Context(), c.root, c.opt)).Publish(t.Context())
		when := fmt.Sprintf("with %d bytes left", left)
		c.whole(t, when)
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: Publish = %v, want ENOSPC", when, err)
		}
		if err != nil && !same(takeFiles(c.dir), c.old) {
			t.Errorf("%s: Publish = %v, and leaves %v", when, err, mixture(takeFiles(c.dir), c))
		}
		must(0, syscall.Unmount(base, 2)) // MNT_DETACH: the root that was opened keeps it busy
		if err == nil {
			break
		}
		tried++
	}
	if tried < 5 {
		t.Errorf("the disk was full %d times only", tried)
	}
	fmt.Println("full disks tried:", tried)
}

// fill leaves so many bytes free.
func fill(t *testing.T, dir string, left int64) {
	t.Helper()
	var s syscall.Statfs_t
	must(0, syscall.Statfs(dir, &s))
	if n := int64(s.Bavail)*s.Bsize - left; n > 0 {
		must(0, os.WriteFile(filepath.Join(dir, "filler"), make([]byte, n), 0o600))
	}
}
