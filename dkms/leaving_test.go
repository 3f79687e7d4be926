package dkms_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms"
)

// find looks for module files of the kernel as they are now.
func (p *place) find(names []string) (map[string][]string, error) {
	found := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(p.dir, "lib/modules/6.1.0"), func(file string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(d.Name(), ".ko"); err == nil && ok && slices.Contains(names, name) {
			found[name] = append(found[name], strings.TrimPrefix(file, p.dir))
		}
		return err
	})
	return found, err
}

// A renewal that changes something about what is installed, about its originals, or about what is to be installed.
func renewals() map[string]func(t *testing.T, p *place) (now []string) {
	const (
		kernel  = "lib/modules/6.1.0/"
		archive = "var/lib/dkms/m/original_module/6.1.0/x86_64/"
		build   = "var/lib/dkms/m/1/6.1.0/x86_64/module/"
	)
	both := []string{"a", "b"}
	remove := func(t *testing.T, p *place, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return map[string]func(t *testing.T, p *place) []string{
		"the same": func(*testing.T, *place) []string { return both },
		"another build": func(t *testing.T, p *place) []string {
			p.write(t, build+"a.ko", "a1, built again", build+"b.ko", "b1, built again")
			return both
		},
		"another compression": func(t *testing.T, p *place) []string {
			remove(t, p, build+"a.ko")
			p.write(t, build+"a.ko.xz", "a1, compressed")
			return both
		},
		"a record less, whose original goes back": func(t *testing.T, p *place) []string {
			remove(t, p, build+"a.ko")
			return []string{"b"}
		},
		"a record less": func(t *testing.T, p *place) []string {
			remove(t, p, build+"b.ko")
			return []string{"a"}
		},
		"a record more": func(t *testing.T, p *place) []string {
			p.write(t, build+"c.ko", "c1", kernel+"kernel/c.ko", "the kernel's c")
			return []string{"a", "b", "c"}
		},
		"a new file of the kernel's own": func(t *testing.T, p *place) []string {
			p.write(t, kernel+"kernel/b.ko", "the kernel's b")
			return both
		},
		"a new original where the old one was": func(t *testing.T, p *place) []string {
			p.write(t, kernel+"kernel/misc/a.ko", "a newer original")
			return both
		},
		"a file that somebody has changed": func(t *testing.T, p *place) []string {
			p.write(t, kernel+"updates/dkms/b.ko", "somebody else's b", build+"b.ko", "b1, built again")
			return both
		},
		"a file that is gone": func(t *testing.T, p *place) []string {
			remove(t, p, kernel+"updates/dkms/a.ko")
			return both
		},
		"an original without a note": func(t *testing.T, p *place) []string {
			remove(t, p, archive+"a.ko.origin")
			return both
		},
		"an original that belongs elsewhere": func(t *testing.T, p *place) []string {
			p.write(t, archive+"a.ko.origin", "/etc/a.ko\n")
			return both
		},
		"an original that belongs where ours is": func(t *testing.T, p *place) []string {
			p.write(t, archive+"a.ko.origin", "/lib/modules/6.1.0/updates/dkms/a.ko\n")
			return both
		},
		"an original in a directory below": func(t *testing.T, p *place) []string {
			p.write(t, archive+"collisions/kernel/b.ko", "another b", archive+"collisions/kernel/b.ko.origin", "/lib/modules/6.1.0/kernel/b.ko\n")
			return both
		},
		"an original of nothing": func(t *testing.T, p *place) []string {
			p.write(t, archive+"z.ko", "z", archive+"z.ko.origin", "/lib/modules/6.1.0/kernel/z.ko\n")
			return both
		},
		"no list of files": func(t *testing.T, p *place) []string {
			remove(t, p, "var/lib/dkms/m/.kernel-6.1.0-x86_64.manifest")
			return both
		},
		"not installed": func(t *testing.T, p *place) []string {
			remove(t, p, "var/lib/dkms/m/kernel-6.1.0-x86_64")
			return both
		},
	}
}

// What is installed again in one step is told of in the same words, and leaves the same files, as what is uninstalled and
// then installed.
func TestInstallWithLeaving(t *testing.T) {
	t.Parallel()
	for name, change := range renewals() {
		for _, force := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				i, before := instance("1"), placements("a", "b")

				apart, now := upgrade(t), []string(nil)
				now = change(t, apart)
				var want []dkms.Event
				told := func(e dkms.Event) { want = append(want, e) }
				active, err := apart.Uninstall(i, before, dkms.UninstallOptions{}, told)
				if err != nil {
					t.Fatal(err)
				}
				if err := apart.Cleanup(i, active, told); err != nil {
					t.Fatal(err)
				}
				refused := apart.Install(t.Context(), i, placements(now...), apart.find, dkms.InstallOptions{Force: force}, told)
				if refused != nil && (force || kindOf(refused) != dkms.NothingInstalled) {
					t.Fatal(refused)
				}

				p := upgrade(t)
				change(t, p)
				old := p.settled(t)
				var got []dkms.Event
				tells := func(e dkms.Event) { got = append(got, e) }
				tidied, err := p.TellUninstall(i, before, dkms.UninstallOptions{}, tells)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(old, p.settled(t)); diff != "" {
					t.Errorf("TellUninstall changes (-before +after):\n%s", diff)
				}
				got = append(got, tidied...)
				o := dkms.InstallOptions{Force: force, Leaving: &dkms.Leaving{Placements: before}}
				if err := p.Install(t.Context(), i, placements(now...), p.find, o, tells); kindOf(err) != kindOf(refused) {
					t.Fatalf("Install = %v, want %v", err, refused)
				}
				if diff := cmp.Diff(apart.settled(t), p.settled(t)); diff != "" {
					t.Errorf("files (-apart +at once):\n%s", diff)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("events (-apart +at once):\n%s", diff)
				}
			})
		}
	}
}

// What would be refused leaves what is installed alone.
func TestInstallWithLeavingRefused(t *testing.T) {
	t.Parallel()
	p := upgrade(t)
	p.write(t, "lib/modules/6.1.0/kernel/misc/a.ko", "a1", "var/lib/dkms/m/original_module/6.1.0/x86_64/a.ko", "a1", "lib/modules/6.1.0/kernel/b.ko", "b1")
	old := p.settled(t)
	o := dkms.InstallOptions{Leaving: &dkms.Leaving{Placements: placements("a", "b")}}
	err := p.Install(t.Context(), instance("1"), placements("a", "b"), p.find, o, silent)
	if kindOf(err) != dkms.NothingInstalled {
		t.Errorf("Install of what the kernel has = %v, want kind %v", err, dkms.NothingInstalled)
	}
	if diff := cmp.Diff(old, p.settled(t)); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
}
