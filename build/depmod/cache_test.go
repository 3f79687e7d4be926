package depmod_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dkms-go/build/depmod"
	"dkms-go/conf/sysroot"
)

// cached is a kernel with indexes and a cache, both settled: so long after the last
// change that nothing has to be looked at twice.
type cached struct {
	*change
	file string // the cache
}

func newCached(t *testing.T) *cached {
	t.Helper()
	c := &cached{change: newChange(t, quickDir(t), true)}
	c.opt.Cache = "/var/cache/dkms/depmod"
	c.file = filepath.Join(c.root.Dir(), c.opt.Cache, kernel)
	for start := time.Now(); !c.untouched(t); { // the clock of the file system has to tick
		if time.Since(start) > time.Minute {
			t.Fatal("the cache does not come to rest")
		}
	}
	return c
}

// untouched publishes, and says whether that changed nothing.
func (c *cached) untouched(t *testing.T) bool {
	t.Helper()
	var changed atomic.Bool
	c.publish(t, c.root.Before(func(sysroot.Step) error { changed.Store(true); return nil }))
	if got := takeFiles(c.dir); !same(got, c.new) {
		t.Errorf("Publish leaves %v", mixture(got, c.change))
	}
	return !changed.Load()
}

// What is done to a cache makes a difference to nothing but the time it takes.
func TestCacheNotTrusted(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, c *cached){
		"removed":   func(_ *testing.T, c *cached) { must(0, os.Remove(c.file)) },
		"empty":     func(_ *testing.T, c *cached) { must(0, os.Truncate(c.file, 0)) },
		"cut":       func(_ *testing.T, c *cached) { must(0, os.Truncate(c.file, 300)) },
		"a byte":    func(_ *testing.T, c *cached) { edit(c.file, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }) },
		"longer":    func(_ *testing.T, c *cached) { edit(c.file, func(b []byte) []byte { return append(b, 0) }) },
		"format":    func(_ *testing.T, c *cached) { edit(c.file, func(b []byte) []byte { b[18] = '0'; return b }) },
		"writable":  func(_ *testing.T, c *cached) { must(0, os.Chmod(c.file, 0o666)) },
		"a pipe":    func(_ *testing.T, c *cached) { must(0, os.Remove(c.file)); must(0, os.Mkdir(c.file, 0o755)) },
		"elsewhere": func(t *testing.T, c *cached) { edit(c.file, func([]byte) []byte { return elsewhere(t) }) },
		"no place": func(_ *testing.T, c *cached) {
			must(0, os.RemoveAll(filepath.Join(c.root.Dir(), "var")))
			must(0, os.WriteFile(filepath.Join(c.root.Dir(), "var"), nil, 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCached(t)
			spoil(t, c)
			must(0, os.Remove(filepath.Join(c.dir, "modules.dep"))) // only a cache would know that it is to be there
			if c.untouched(t) {
				t.Error("nothing was written")
			}
		})
	}
}

func edit(file string, change func([]byte) []byte) {
	must(0, os.WriteFile(file, change(must(os.ReadFile(file))), 0o644))
}

// elsewhere is the cache of another tree, of the same kernel.
func elsewhere(t *testing.T) []byte {
	t.Helper()
	c := &cached{change: newChange(t, quickDir(t), true)}
	c.opt.Cache, c.opt.Dir = "/var/cache", "/usr/lib/modules/"+kernel
	must(0, os.MkdirAll(filepath.Join(c.root.Dir(), "usr"), 0o755))
	must(0, os.Symlink("../lib", filepath.Join(c.root.Dir(), "usr/lib")))
	c.publish(t, c.root)
	return must(os.ReadFile(filepath.Join(c.root.Dir(), "/var/cache", kernel)))
}

// A module whose content is replaced by one of the same size, in the same file,
// and with the same time, is seen.
func TestCacheSameSizeAndTime(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	file := filepath.Join(c.dir, "kernel/stays.ko")
	before := must(os.Stat(file))
	edit(file, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("stays-alias"), []byte("other-alias")) })
	must(0, os.Chtimes(file, before.ModTime(), before.ModTime()))
	c.publish(t, c.root)
	if got := takeFiles(c.dir)["modules.alias"]; !bytes.Contains([]byte(got), []byte("alias other-alias stays\n")) {
		t.Errorf("modules.alias is still\n%s", got)
	}
}

// An index that somebody has changed is written again, whatever its size and time.
func TestCacheIndexSpoiled(t *testing.T) {
	t.Parallel()
	names := []string{}
	for name := range newCached(t).new {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCached(t)
			file := filepath.Join(c.dir, name)
			before := must(os.Stat(file))
			edit(file, func(b []byte) []byte {
				if len(b) == 0 {
					return []byte("more")
				}
				b[len(b)-1] ^= 1
				return b
			})
			must(0, os.Chtimes(file, before.ModTime(), before.ModTime()))
			if c.untouched(t) {
				t.Error("nothing was written")
			}
		})
	}
}

// What a run has to tell, the next one tells, too.
func TestCacheMessages(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	must(0, os.WriteFile(filepath.Join(c.dir, "kernel/bad.ko"), []byte("no module at all"), 0o644))
	var told []string
	c.opt.Tell = func(m depmod.Message) { told = append(told, m.Text) }
	var first []string
	for start := time.Now(); time.Since(start) < 100*time.Millisecond; { // in which the cache comes to be trusted
		told = nil
		c.publish(t, c.root)
		if first == nil {
			first = told
		}
		if d := cmp.Diff(first, told); d != "" || len(told) == 0 {
			t.Fatalf("a later run tells (-first +this):\n%s", d)
		}
	}
}

// FuzzCache gives any bytes for a cache: they are refused, or they are what is
// written again.
func FuzzCache(f *testing.F) {
	c := newChange(f, f.TempDir(), true)
	c.opt.Cache = "/cache"
	c.publish(f, c.root)
	data := must(os.ReadFile(filepath.Join(c.root.Dir(), "cache", kernel)))
	f.Add(data, true)
	f.Add(data[:100], false)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, data []byte, valid bool) {
		if valid {
			data = depmod.WithCacheSum(bytes.Clone(data))
		}
		again, err := depmod.RecodeCache(data)
		if err != nil {
			return
		}
		twice, err := depmod.RecodeCache(again)
		if err != nil || !bytes.Equal(again, twice) {
			t.Errorf("a cache is written as %d bytes, and that as %d, %v", len(again), len(twice), err)
		}
	})
}
