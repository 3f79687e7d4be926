package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// Twenty at once, for the same kernel and for different ones, by different verbs: all succeed, every module is compiled once
// for each kernel, and what is there in the end is what one after the other would have made. "make e2e-stress" does it fifty
// times.
func TestTwentyAtOnce(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	rounds := 1
	if n := os.Getenv("DKMS_STRESS_ROUNDS"); n != "" {
		var err error
		if rounds, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	const k1, k2 = " -k 6.1.0-1-test", " -k 6.1.0-2-test"
	lines := []string{
		"install lamp/1" + k1, "install lamp/1" + k2, "install bulb/1" + k1, "install bulb/1" + k2, "autoinstall" + k1,
		"autoinstall" + k2, "install lamp/1" + k1 + k2, "sync", "build lamp/1" + k1, "kernel_postinst" + k2,
	}
	for range rounds {
		s := newScene(t)
		s.lay(t)
		_ = os.RemoveAll(filepath.Join(s.dir, "src/lamp-2"))
		for _, m := range []string{"lamp-1", "bulb-1"} {
			conf, err := os.ReadFile(filepath.Join(s.dir, "src", m, "dkms.conf"))
			if err != nil {
				t.Fatal(err)
			}
			s.write(t, "src/"+m+"/dkms.conf", strings.Replace(string(conf), `"sh make"`, fmt.Sprintf(`"echo %s $kernelver >>%s/made; sh make"`, m, s.dir), 1))
			if out, err := s.dkms(t, "add "+strings.Replace(m, "-", "/", 1), nil); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		one := s.copy(t)
		var g errgroup.Group
		for n := range 20 {
			g.Go(func() error {
				line := lines[n%len(lines)]
				if out, err := s.dkms(t, line, nil); err != nil {
					return fmt.Errorf("dkms %s: %w\n%s", line, err, out)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(onceEach(), s.made(t)); diff != "" {
			t.Errorf("compiled (-want +got):\n%s", diff)
		}
		for _, k := range []string{k1, k2} {
			for _, m := range []string{"lamp/1", "bulb/1"} {
				if out, err := one.dkms(t, "install "+m+k, nil); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			}
		}
		// The makefile of the copy names the directory of the first one.
		was, is := one.state(t), s.state(t)
		for _, m := range []map[string]string{was, is} {
			delete(m, "src/lamp-1/dkms.conf")
			delete(m, "src/bulb-1/dkms.conf")
		}
		if diff := cmp.Diff(was, is); diff != "" {
			t.Errorf("the end (-one after the other +at once):\n%s", diff)
		}
		s.twentySyncs(t)
	}
}

// twentySyncs has the sources change, and twenty at once notice that: each module is compiled once more for each kernel, and
// what was installed is replaced.
func (s *scene) twentySyncs(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.dir, "made")); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"lamp-1", "bulb-1"} {
		s.write(t, "src/"+m+"/a.c", m+" edited\n")
	}
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			if out, err := s.dkms(t, "sync", nil); err != nil {
				return fmt.Errorf("dkms sync: %w\n%s", err, out)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(onceEach(), s.made(t)); diff != "" {
		t.Errorf("compiled after an edit (-want +got):\n%s", diff)
	}
	for _, k := range []string{"6.1.0-1-test", "6.1.0-2-test"} {
		for m, want := range map[string]string{"lamp_a": "lamp-1 edited\n", "bulb_a": "bulb-1 edited\n"} {
			file := filepath.Join(s.dir, "lib/modules", k, "updates/dkms", m+".ko")
			if got, err := os.ReadFile(file); err != nil || string(got) != want {
				t.Errorf("%s holds %q (%v), want %q", file, got, err, want)
			}
		}
	}
	if out, err := s.dkms(t, "sync", nil); err != nil || out != "" {
		t.Errorf("one more sync: %v\n%s", err, out)
	}
}

// made lists what was compiled.
func (s *scene) made(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "made"))
	if err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(lines)
	return lines
}

func onceEach() []string {
	return []string{"bulb-1 6.1.0-1-test", "bulb-1 6.1.0-2-test", "lamp-1 6.1.0-1-test", "lamp-1 6.1.0-2-test"}
}
