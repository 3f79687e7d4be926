package dkms_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// change is a transition with what it begins from.
type change struct {
	name string
	from func(t *testing.T) *place
	make func(t *testing.T, p *place) error
}

func changes() []change {
	built := func(t *testing.T) *place {
		p := newPlace(t)
		p.write(t, "lib/modules/6.1.0/kernel/misc/a.ko", "original", "lib/modules/6.1.0/updates/dkms/b.ko", "in the way",
			"var/lib/dkms/m/1/6.1.0/x86_64/module/a.ko", "a1", "var/lib/dkms/m/1/6.1.0/x86_64/module/b.ko", "b1")
		return p
	}
	install := func(version string) func(t *testing.T, p *place) error {
		return func(t *testing.T, p *place) error {
			find := func([]string) (map[string][]string, error) {
				return map[string][]string{"a": {"/lib/modules/6.1.0/kernel/misc/a.ko"}}, nil
			}
			return p.Install(t.Context(), instance(version), placements("a", "b"), find, dkms.InstallOptions{Force: true}, silent)
		}
	}
	return []change{
		{"install", built, install("1")},
		{"upgrade", upgrade, install("2")},
		{"renewal", func(t *testing.T) *place {
			p := upgrade(t)
			p.write(t, "var/lib/dkms/m/1/6.1.0/x86_64/module/b.ko", "b1, built again", "var/lib/dkms/m/1/6.1.0/x86_64/module/c.ko", "c1")
			return p
		}, func(t *testing.T, p *place) error { // a goes, and its original goes back
			o := dkms.InstallOptions{Force: true, Leaving: &dkms.Leaving{Placements: placements("a", "b")}}
			return p.Install(t.Context(), instance("1"), placements("b", "c"), nowhere, o, silent)
		}},
		{"uninstall", upgrade, func(_ *testing.T, p *place) error {
			_, err := p.Uninstall(instance("1"), placements("a", "b"), dkms.UninstallOptions{}, silent)
			return err
		}},
		{"unbuild", upgrade, func(_ *testing.T, p *place) error { return p.Unbuild(instance("2")) }},
		{"forget", func(t *testing.T) *place {
			p := newPlace(t)
			p.write(t, "var/lib/dkms/m/1/source", "-> /usr/src/m-1", "var/lib/dkms/m/1/build/x", "")
			return p
		}, func(_ *testing.T, p *place) error { return p.Forget(module("1"), silent) }},
		{"add", func(t *testing.T) *place {
			p := newPlace(t)
			p.write(t, "usr/src/m-1/dkms.conf", "", "var/lib/dkms/other/1/x", "")
			return p
		}, func(_ *testing.T, p *place) error { return p.Add(module("1"), silent) }},
		{"import", func(t *testing.T) *place {
			p := newPlace(t)
			p.write(t, "srv/m/dkms.conf", "new", "usr/src/m-1/dkms.conf", "old", "usr/src/m-1/old", "old", "var/lib/dkms/other/1/x", "")
			return p
		}, func(t *testing.T, p *place) error {
			return p.Import(t.Context(), p.root, "/srv/m", module("1"), true, silent)
		}},
		{"build", upgrade, func(_ *testing.T, p *place) error {
			s, err := p.Stage(instance("2"))
			if err != nil {
				return err
			}
			if err := p.root.WriteFile(s.Dir()+"/module/a.ko", []byte("another"), 0o644); err != nil {
				s.Discard()
				return err
			}
			return s.Commit()
		}},
	}
}

// systems are file systems of different abilities: what is refused there.
func systems() map[string]func(host string, s sysroot.Step) error {
	isDir := func(name string) bool {
		fi, err := os.Lstat(name)
		return err == nil && fi.IsDir()
	}
	return map[string]func(string, sysroot.Step) error{
		"as usual": func(string, sysroot.Step) error { return nil },
		"without exchange": func(_ string, s sysroot.Step) error {
			if s.Op == "exchange" {
				return syscall.EINVAL
			}
			return nil
		},
		// A container's image: directories of a lower layer cannot be renamed, and links between layers not be made.
		"layers": func(_ string, s sysroot.Step) error {
			staged := strings.TrimSuffix(s.Path, ".old")
			lower := staged != s.Path && isDir(staged) && !isDir(staged+".half") || strings.HasSuffix(s.Path, "_unbuild") || strings.HasSuffix(s.Path, "_remove")
			if s.Op == "exchange" || s.Op == "link" || s.Op == "rename" && lower {
				return syscall.EXDEV
			}
			return nil
		},
	}
}

// settled lists everything but locks, whose files stay as long as this process lives, and marks of kernels, whose indexes are
// written elsewhere.
func (p *place) settled(t *testing.T) map[string]string {
	t.Helper()
	files := p.files(t, ".")
	for name, text := range files {
		if strings.Contains(name, "/.lock") || strings.Contains(name, "/.journal/index!") {
			delete(files, name)
			continue
		}
		files[name] = times.ReplaceAllString(text, "ID")
	}
	return files
}

// times of files are part of the identity of a directory.
var times = regexp.MustCompile(`directory [0-9a-f]{64}`)

// visible lists what counts while there is still something for recovery to do: everything that is not hidden.
func (p *place) visible(t *testing.T) map[string]string {
	t.Helper()
	files := p.files(t, ".")
	for name := range files {
		if strings.Contains(name, "/.") {
			delete(files, name)
		}
	}
	return files
}

// Pulled at any step: the next run makes it what it was or what it was to be, all of it, with nothing left over. It does so
// when it is pulled itself, too.
func TestPlugPulled(t *testing.T) {
	t.Parallel()
	pulled := errors.New("no power")
	for system, refuses := range systems() {
		for _, c := range changes() {
			t.Run(c.name+" "+system, func(t *testing.T) {
				t.Parallel()
				before := c.from(t)
				old := before.settled(t)
				after := c.from(t)
				after.through(t, refuses, nil)
				if err := c.make(t, after); err != nil {
					t.Fatal(err)
				}
				done := after.settled(t)
				stride := 3
				if system == "as usual" {
					stride = 1
				}
				for n := 1; ; n += stride {
					p := c.from(t)
					ended := p.through(t, refuses, func(step int) error {
						if step >= n {
							return pulled
						}
						return nil
					})
					err := c.make(t, p)
					if !*ended {
						if err != nil || n < 8 {
							t.Errorf("%d steps, error %v", n, err)
						}
						return
					}
					for again := 1; again < 30; again += 9 { // pulled while recovering
						p.through(t, refuses, func(step int) error {
							if step >= again {
								return pulled
							}
							return nil
						})
						_ = p.Recover(t.Context(), silent)
					}
					p.through(t, refuses, nil)
					if err := p.Recover(t.Context(), silent); err != nil {
						t.Fatalf("pulled at step %d: Recover: %v", n, err)
					}
					// What was staged and never begun is swept by whoever has the locks next.
					h, err := p.Lock(t.Context(), silent, dkms.ModuleLock(module("1")), dkms.BuildLock(instance("2")), dkms.BuildLock(instance("1")))
					if err != nil {
						t.Fatal(err)
					}
					h.Unlock()
					got := p.settled(t)
					if diff := cmp.Diff(old, got); diff != "" && !cmp.Equal(done, got) {
						t.Fatalf("pulled at step %d: neither as before nor as after (-before +got):\n%s\n(-after +got):\n%s", n, diff, cmp.Diff(done, got))
					}
				}
			})
		}
	}
}

// through opens the registry on a file system that refuses some things; fails is asked for every step.
func (p *place) through(t *testing.T, refuses func(string, sysroot.Step) error, fails func(step int) error) *bool {
	t.Helper()
	root, err := sysroot.Open(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // trees are copied by several goroutines
	step, failed := 0, false
	p.open(root.Before(func(s sysroot.Step) error {
		if strings.Contains(s.Path, "/.lock") {
			return nil // a lock is given back by the kernel
		}
		mu.Lock()
		defer mu.Unlock()
		if step++; fails != nil {
			if err := fails(step); err != nil {
				failed = true
				return err
			}
		}
		return refuses(p.dir, s)
	}))
	return &failed
}

// A disk that is full, at every step: it is said so, and everything is as it was.
func TestFull(t *testing.T) {
	t.Parallel()
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				p := c.from(t)
				old := p.settled(t)
				ended := p.through(t, func(string, sysroot.Step) error { return nil }, func(step int) error {
					if step == n {
						return syscall.ENOSPC
					}
					return nil
				})
				err := c.make(t, p)
				if !*ended {
					return
				}
				p.recover(t)
				got := p.settled(t)
				if diff := cmp.Diff(old, got); err != nil && !errors.Is(err, syscall.ENOSPC) || err != nil && diff != "" && !changed(c, t, got) {
					t.Fatalf("full at step %d: %v; (-before +after):\n%s", n, err, diff)
				}
			}
		})
	}
}

// changed reports whether files are what an undisturbed change leaves: what failed then was tidying up.
func changed(c change, t *testing.T, files map[string]string) bool {
	p := c.from(t)
	if err := c.make(t, p); err != nil {
		t.Fatal(err)
	}
	return cmp.Equal(files, p.settled(t))
}

// The real thing: a small file system that has room for so many files and no more. What cannot be is said to be so, by kind and
// place, and everything is as it was.
func TestSmallFileSystem(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	for _, c := range changes() {
		if c.name == "import" { // what is to be copied is itself on it
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made, refused := 0, 0
			for room := 0; made < 2; room++ {
				p := c.from(t)
				dir := small(t, p.dir)
				fill(t, dir, room)
				p.dir = dir
				root, err := sysroot.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				p.open(root)
				old := p.visible(t)
				err = c.make(t, p)
				if err == nil {
					made++
				} else if refused++; kindOf(err) != dkms.NoSpace && !dkms.IsFull(err) {
					t.Errorf("room for %d files: %v, want kind %v", room, err, dkms.NoSpace)
				}
				if got := p.visible(t); err != nil && !cmp.Equal(old, got) {
					t.Errorf("room for %d files: %v; (-before +after):\n%s", room, err, cmp.Diff(old, got))
				}
				if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
					t.Fatal(err)
				}
				if room > 100 {
					t.Fatal("100 files are not enough")
				}
			}
			if refused == 0 && c.name != "unbuild" { // which can do with the reserve
				t.Error("no room, and it was done")
			}
		})
	}
}

// small mounts a file system of its own with a copy of what is in a directory.
func small(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,nr_inodes=200"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill makes files until there is room for so many more.
func fill(t *testing.T, dir string, room int) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, ".fill"), 0o755); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if err := os.WriteFile(filepath.Join(dir, ".fill", fmt.Sprint(n)), nil, 0o644); err != nil {
			break
		}
	}
	for range room {
		n--
		if err := os.Remove(filepath.Join(dir, ".fill", fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
}
