package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// The crash test ends the program at each of its changes in turn, and looks at what is left:
//
//   - status is true: what it calls installed, without a remark, is all there; what it calls built is whole;
//   - every module file in a kernel is whole, an old one or a new one;
//   - a module that is in a kernel before and after is in it all the time;
//   - modprobe(8) can read the indexes;
//   - the next run, which is the same command again, comes to the state of a run that nobody disturbed.
//
// There are four sorts of ends. SIGKILL leaves what was done. A power cut loses what was not synced: either directories have
// forgotten what happened in them since, or they have not, but files are empty. And from some change on the disk may be full for us,
// which is no end, but the program has to come to one by itself, and to say where room is needed and how much. See power_test.go for the last three.
//
// "go test" does it at a few changes of each command, "make crash" at some sixty, which are others each time that the number
// of changes is another one; "make crash POINTS=all" at all.

// crashPoints is the variable that "make crash" sets, to a number of points for each command, or to "all".
const crashPoints = "DKMS_CRASH_POINTS"

// crash is one command that is to be disturbed, after others that are not.
type crash struct {
	name    string
	before  []string // command lines that make the state to begin with
	command string

	replaces bool // what is installed already
}

func crashes() []crash {
	const k1, k2 = " -k 6.1.0-1-test", " -k 6.1.0-2-test"
	return []crash{
		{name: "add", command: "add lamp/1"},
		{name: "add with sources", command: "add DIR/new/lamp"},
		{name: "build", before: []string{"add lamp/1"}, command: "build lamp/1" + k1},
		{name: "build by force", before: []string{"build lamp/1" + k1}, command: "build lamp/1 --force" + k1},
		{name: "install", before: []string{"add lamp/1"}, command: "install lamp/1" + k1},
		{name: "install by force", before: []string{"install lamp/1" + k1}, command: "install lamp/1 --force" + k1, replaces: true},
		{name: "install of another build by force", before: []string{"install lamp/1" + k1, "edit", "build lamp/1 --force" + k1}, command: "install lamp/1 --force" + k1, replaces: true},
		{name: "upgrade", before: []string{"install lamp/1" + k1, "build lamp/2" + k1}, command: "install lamp/2" + k1, replaces: true},
		{name: "upgrade by force", before: []string{"install lamp/1" + k1, "build lamp/2" + k1}, command: "install lamp/2 --force" + k1, replaces: true},
		{name: "uninstall", before: []string{"install lamp/1" + k1}, command: "uninstall lamp/1" + k1},
		{name: "unbuild", before: []string{"install lamp/1" + k1}, command: "unbuild lamp/1" + k1},
		{name: "remove", before: []string{"install lamp/1" + k1, "install lamp/1" + k2}, command: "remove lamp/1 --all"},
		{name: "load", before: []string{"build lamp/1" + k1, "mktarball lamp/1 --archive DIR/new/lamp.tar.gz" + k1, "remove lamp/1 --all"}, command: "ldtarball DIR/new/lamp.tar.gz"},
		{name: "load by force", before: []string{"build lamp/1" + k1, "mktarball lamp/1 --archive DIR/new/lamp.tar.gz" + k1}, command: "ldtarball DIR/new/lamp.tar.gz --force"},
		{name: "sync", before: []string{"add lamp/1", "add bulb/1", "install lamp/1" + k1}, command: "sync"},
		{name: "sync of a changed source", before: []string{"install lamp/1" + k1, "edit"}, command: "sync" + k1, replaces: true},
		{name: "sync of several changed sources", before: []string{"install lamp/1" + k1 + k2, "install bulb/1" + k1, "edit"}, command: "sync -j 2", replaces: true},
		{name: "autoinstall", before: []string{"add lamp/1", "add bulb/1"}, command: "autoinstall" + k2},
		{name: "kernel_prerm", before: []string{"install lamp/1" + k1, "install bulb/1" + k1}, command: "kernel_prerm" + k1},
	}
}

// ends are the ways in which a run can end.
func ends() []string { return []string{"kill", "forget", "empty", "full"} }

func TestCrash(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	each := 4
	switch n := os.Getenv(crashPoints); n {
	case "":
	case "all":
		each = 1 << 20
	default:
		var err error
		if each, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	var points atomic.Int64
	t.Run("commands", func(t *testing.T) {
		for _, c := range crashes() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				points.Add(int64(c.run(t, each)))
			})
		}
	})
	t.Logf("%d points", points.Load())
}

// run disturbs the command at so many points, and returns at how many there are.
func (c crash) run(t *testing.T, each int) int {
	begin := newScene(t)
	begin.lay(t)
	for _, line := range c.before {
		if line == "edit" {
			begin.write(t, "src/lamp-1/a.c", "lamp 1 a, edited\n")
			continue
		}
		if out, err := begin.dkms(t, line, nil); err != nil {
			t.Fatalf("dkms %s: %v\n%s", line, err, out)
		}
	}
	whole := begin.copy(t)
	counter := filepath.Join(t.TempDir(), "count")
	if out, err := whole.dkms(t, c.command, []string{"DKMS_CRASH=count 0 " + whole.dir + " " + counter}); err != nil {
		t.Fatalf("dkms %s: %v\n%s", c.command, err, out)
	}
	want := whole.state(t)
	text, err := os.ReadFile(counter)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := strconv.Atoi(string(text))
	if err != nil || steps < 5 {
		t.Fatalf("dkms %s makes %s changes", c.command, text)
	}
	goods := begin.contents(t)
	maps.Copy(goods, whole.contents(t))
	before, stays := begin.modules(t), whole.modules(t)
	maps.DeleteFunc(stays, func(name string, _ bool) bool { return !before[name] })
	if c.replaces && len(stays) < 2 {
		t.Fatalf("nothing is replaced: %v", stays)
	}

	stride := max(1, steps*len(ends())/each)
	if stride > 1 && stride%len(ends()) == 0 {
		stride-- // every way to end in turn
	}
	first := steps % stride
	var g errgroup.Group
	g.SetLimit(max(1, runtime.GOMAXPROCS(0)/2))
	var missed atomic.Int64
	points, n := 0, 0
	for at := 1; at <= steps; at++ {
		for _, end := range ends() {
			if n++; n%stride != first {
				continue
			}
			points++
			g.Go(func() error {
				err := c.point(t, begin, want, goods, stays, end, at)
				if errors.Is(err, errMissed) {
					missed.Add(1)
					return nil
				}
				if err != nil {
					t.Errorf("%s at change %d of %d: %v", end, at, steps, err)
				}
				return nil
			})
		}
	}
	_ = g.Wait()
	points -= int(missed.Load())
	t.Logf("%d changes, %d points", steps, points)
	if missed.Load() > int64(1+points/10) {
		t.Errorf("%d points were not reached", missed.Load())
	}
	return points
}

// errMissed says that a command was through before the point came: how many changes there are depends on who waits for whom
// when several steps are at work.
var errMissed = errors.New("not reached")

// point disturbs the command once.
func (c crash) point(t *testing.T, begin *scene, want map[string]string, goods, stays map[string]bool, end string, at int) error {
	s := begin.copy(t)
	defer os.RemoveAll(s.dir)
	out, err := s.dkms(t, c.command, []string{fmt.Sprintf("DKMS_CRASH=%s %d %s %s", end, at, s.dir, s.dir+".cut")})
	var exit *exec.ExitError
	killed := errors.As(err, &exit) && exit.ProcessState.ExitCode() == -1
	if err == nil && end != "full" {
		if diff := cmp.Diff(want, s.state(t)); diff != "" {
			return fmt.Errorf("it was through already, but (-undisturbed +this):\n%s", diff)
		}
		return errMissed
	}
	if killed != (end != "full") {
		return fmt.Errorf("was it killed? %v: %w\n%s", killed, err, out)
	}
	if end == "full" && err != nil && !noRoom.MatchString(out) {
		return fmt.Errorf("does not say where there is no room, nor how much it takes:\n%s", out)
	}
	if end == "forget" || end == "empty" {
		if err := errors.Join(os.RemoveAll(s.dir), os.Rename(s.dir+".cut", s.dir)); err != nil {
			return err
		}
	}
	if err := s.check(t, goods); err != nil {
		return err
	}
	there := s.modules(t)
	for name := range stays {
		if !there[name] {
			return fmt.Errorf("%s is not there; before and after it is\n%s", name, out)
		}
	}
	if err := s.age(); err != nil {
		return err
	}
	left := s.hidden(t)
	out, _ = s.dkms(t, c.command, nil) // what was done may now be called an error
	if diff := cmp.Diff(want, s.state(t)); diff != "" {
		return fmt.Errorf("the next run does not come to the same state (-undisturbed +recovered):\n%s\nit began with\n%s\nand printed\n%s", diff, left, out)
	}
	return nil
}

// noRoom is what a disk that is full is told with: the place and the need.
var noRoom = regexp.MustCompile(`No space left in /.*\s+Needed: `)

// age makes some files an hour old: logs of failed builds, because those of the last clock tick could be of the same run, and
// pipes of jobservers, because who has made them could be about to open them.
func (s *scene) age() error {
	var errs []error
	for _, pattern := range []string{"var/*/*/build/make.log", "var/.jobserver-*"} {
		files, err := filepath.Glob(filepath.Join(s.dir, pattern))
		errs = append(errs, err)
		for _, file := range files {
			then := time.Now().Add(-time.Hour)
			errs = append(errs, os.Chtimes(file, then, then))
		}
	}
	return errors.Join(errs...)
}

// scene is a directory with three trees.
type scene struct{ dir string }

// newScene makes one in memory where that is possible: the point is not how long a disk takes.
func newScene(t *testing.T) *scene {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dkms-crash-") //nolint:usetesting // not where temporary files are
	if err != nil {
		return &scene{t.TempDir()}
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &scene{dir}
}

func (s *scene) write(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

// lay makes two kernels and a few modules; one of the kernels has a module of the same name as one of ours.
func (s *scene) lay(t *testing.T) {
	t.Helper()
	for _, k := range []string{"6.1.0-1-test", "6.1.0-2-test"} {
		for _, f := range []string{"build/include/config/auto.conf", "build/Module.symvers", "modules.order", "modules.builtin", "modules.dep", "kernel/fs/ext.ko"} {
			s.write(t, "lib/modules/"+k+"/"+f, "")
		}
	}
	s.write(t, "lib/modules/6.1.0-1-test/kernel/drivers/lamp_a.ko", "the kernel's own\n")
	s.write(t, "var/.here", "") // the tree is there from the beginning
	for _, m := range []struct{ dir, name, version, records string }{
		{"src/lamp-1", "lamp", "1", "a b"}, {"src/lamp-2", "lamp", "2", "a"}, {"new/lamp", "lamp", "3", "a b"}, {"src/bulb-1", "bulb", "1", "a"},
	} {
		var conf strings.Builder
		fmt.Fprintf(&conf, "PACKAGE_NAME=%s\nPACKAGE_VERSION=%s\nAUTOINSTALL=yes\nMAKE=\"sh make\"\n", m.name, m.version)
		var script strings.Builder
		for n, r := range strings.Fields(m.records) {
			fmt.Fprintf(&conf, "BUILT_MODULE_NAME[%d]=%s_%s\nDEST_MODULE_LOCATION[%d]=/kernel/misc\nSTRIP[%d]=no\n", n, m.name, r, n, n)
			fmt.Fprintf(&script, "cp %s.c %s_%s.ko\n", r, m.name, r)
			s.write(t, m.dir+"/"+r+".c", fmt.Sprintf("%s %s %s\n", m.name, m.version, r))
		}
		s.write(t, m.dir+"/dkms.conf", conf.String())
		s.write(t, m.dir+"/make", script.String())
	}
}

// copy returns a copy with the same times.
func (s *scene) copy(t *testing.T) *scene {
	t.Helper()
	c := newScene(t)
	if out, err := exec.Command("cp", "-a", s.dir+"/.", c.dir).CombinedOutput(); err != nil {
		t.Errorf("cp: %v\n%s", err, out)
	}
	// Links into the source tree are absolute, and so are the notes of where originals were.
	_ = filepath.WalkDir(c.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".origin") {
			if text, err := os.ReadFile(name); err == nil {
				c.write(t, strings.TrimPrefix(name, c.dir), strings.ReplaceAll(string(text), s.dir, c.dir))
			}
		}
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			if target, err := os.Readlink(name); err == nil && strings.HasPrefix(target, s.dir+"/") {
				if err := errors.Join(os.Remove(name), os.Symlink(c.dir+strings.TrimPrefix(target, s.dir), name)); err != nil {
					t.Error(err)
				}
			}
		}
		return nil
	})
	return c
}

// dkms runs a command line.
func (s *scene) dkms(t *testing.T, line string, env []string) (string, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(strings.Fields(strings.ReplaceAll(line, "DIR", s.dir)),
		"--dkmstree", s.dir+"/var", "--sourcetree", s.dir+"/src", "--installtree", s.dir+"/lib/modules")
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Args[0] = "dkms"
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "HOME=/", "try_sign_modules=false", "parallel_jobs=1", "TMPDIR=" + s.dir}, env)
	if len(env) == 0 {
		cmd.Env = append(cmd.Env, "DKMS_CRASH=never 0 / /")
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// state lists the three trees: names, kinds, contents but for those that tell of the time.
func (s *scene) state(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for _, tree := range []string{"var", "src", "lib"} {
		err := filepath.WalkDir(filepath.Join(s.dir, tree), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel := strings.TrimPrefix(name, s.dir+"/")
			switch base := filepath.Base(name); {
			case base == ".spare": // where there is room for it
			case d.IsDir():
				state[rel] = "/"
			case d.Type()&fs.ModeSymlink != 0:
				target, err := os.Readlink(name)
				state[rel] = "-> " + strings.TrimPrefix(target, s.dir)
				return err
			case !d.Type().IsRegular(): // opening a named pipe waits for its other end
				state[rel] = d.Type().String()
			case strings.HasSuffix(base, ".log") || base == ".inputs":
				state[rel] = "something"
			default:
				text, err := os.ReadFile(name)
				state[rel] = identities.ReplaceAllString(strings.ReplaceAll(string(text), s.dir, "DIR"), "ID")
				return err
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	return state
}

// hidden lists what a disturbed run has left for the next one.
func (s *scene) hidden(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	state := s.state(t)
	for _, name := range slices.Sorted(maps.Keys(state)) {
		if strings.Contains(name, "/.") {
			fmt.Fprintf(&b, "%s: %s\n", name, state[name])
		}
	}
	return b.String()
}

// identities of directories are made of times.
var identities = regexp.MustCompile(`directory [0-9a-f]{64}`)

// contents returns what a module file may hold: its base name with a digest.
func (s *scene) contents(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(name, ".ko") {
			found[fingerprint(name)] = true
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// modules returns what module files the kernels have, as names below their directories without what is hidden.
func (s *scene) modules(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	top := filepath.Join(s.dir, "lib/modules")
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".ko") && !strings.HasPrefix(d.Name(), ".") {
			found[strings.TrimPrefix(name, top+"/")] = true
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

func fingerprint(name string) string {
	text, err := os.ReadFile(name)
	return fmt.Sprintf("%s %x %v", filepath.Base(name), sha256.Sum256(text), err)
}

// check looks at what a disturbed run has left.
func (s *scene) check(t *testing.T, goods map[string]bool) error {
	t.Helper()
	var errs []error
	for _, dir := range []string{"lib/modules", "var"} {
		errs = append(errs, filepath.WalkDir(filepath.Join(s.dir, dir), func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build"):
				return fs.SkipDir // nobody looks there
			case strings.HasSuffix(name, ".ko") && !goods[fingerprint(name)] && !strings.HasPrefix(d.Name(), "."):
				return fmt.Errorf("%s is neither old nor new", name)
			}
			return nil
		}))
	}
	errs = append(errs, s.checkStatus(t), s.checkIndexes(t))
	return errors.Join(errs...)
}

var statusInstance = regexp.MustCompile(`^(\w+)/(\S+), (\S+), (\S+): (installed|built)(.*)$`)

// checkStatus compares what status says with what there is.
func (s *scene) checkStatus(t *testing.T) error {
	t.Helper()
	out, err := s.dkms(t, "status", nil)
	if err != nil {
		return fmt.Errorf("status: %w\n%s", err, out)
	}
	said := map[string]bool{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		m := statusInstance.FindStringSubmatch(line)
		if m == nil {
			if !strings.HasSuffix(line, ": added") {
				return fmt.Errorf("status says %q", line)
			}
			said[strings.TrimSuffix(line, ": added")] = true
			continue
		}
		said[m[1]+"/"+m[2]] = true
		built, err := filepath.Glob(filepath.Join(s.dir, "var", m[1], m[2], m[3], m[4], "module/*.ko"))
		if err != nil || len(built) == 0 {
			return errors.Join(fmt.Errorf("status says %q, and there is no build", line), err)
		}
		for _, b := range built {
			placed := filepath.Join(s.dir, "lib/modules", m[3], "updates/dkms", filepath.Base(b))
			same := fingerprint(b) == fingerprint(placed)
			if m[5] == "installed" && !strings.Contains(m[6], "Differences") && !same {
				return fmt.Errorf("status says %q, but %s is another one or none", line, placed)
			}
		}
	}
	links, err := filepath.Glob(filepath.Join(s.dir, "var/*/*/source"))
	for _, link := range links {
		if m := strings.Split(strings.TrimPrefix(link, s.dir+"/var/"), "/"); !said[m[0]+"/"+m[1]] && !strings.HasPrefix(m[1], ".") {
			return fmt.Errorf("status does not speak of %s/%s:\n%s", m[0], m[1], out)
		}
	}
	return err
}

// checkIndexes has modprobe read the indexes.
func (s *scene) checkIndexes(t *testing.T) error {
	t.Helper()
	for _, k := range []string{"6.1.0-1-test", "6.1.0-2-test"} {
		if _, err := os.Stat(filepath.Join(s.dir, "lib/modules", k, "modules.dep.bin")); err != nil {
			continue // never written yet
		}
		out, err := exec.CommandContext(t.Context(), "modprobe", "-d", s.dir, "-S", k, "--show-depends", "ext").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "kernel/fs/ext.ko") {
			return fmt.Errorf("modprobe of kernel %s: %w\n%s", k, err, out)
		}
	}
	return nil
}

// disturbed is the program with something that happens to it: the value of DKMS_CRASH says what, at which change, where, and
// where the result goes.
func disturbed(how string) int {
	f := strings.Fields(how)
	at, err := strconv.Atoi(f[1])
	if err != nil {
		return 99
	}
	w := &ledger{how: f[0], at: at, dir: f[2], out: f[3]}
	status := runOn(context.Background(), os.Args[1:], os.Stdout, os.Stderr, w.open)
	if w.how == "count" {
		if err := os.WriteFile(w.out, []byte(strconv.Itoa(w.count)), 0o644); err != nil {
			return 99
		}
	}
	return status
}
