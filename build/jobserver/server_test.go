package jobserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"dkms-go/build/jobserver"
	"dkms-go/conf/sysroot"
	"dkms-go/dkms/proc"
)

const searchPath = "PATH=/usr/local/bin:/usr/bin:/bin"

// here is the style that the installed make wants.
func here(t *testing.T) jobserver.Style {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "make", "--version").Output()
	if err != nil {
		t.Fatalf("make --version: %v (install make)", err)
	}
	got := jobserver.Ask(t.Context(), proc.Host{}, "", []string{searchPath})
	if want := jobserver.StyleOf(string(out)); got != want {
		t.Fatalf("Ask = %v, want %v for %.14q", got, want, out)
	}
	return got
}

// styles are those that the installed make can do.
func styles(t *testing.T) []jobserver.Style {
	t.Helper()
	if here(t) == jobserver.Fifo {
		return []jobserver.Style{jobserver.Pipe, jobserver.Fifo}
	}
	return []jobserver.Style{jobserver.Pipe}
}

func name(style jobserver.Style) string {
	return map[jobserver.Style]string{jobserver.Pipe: "pipe", jobserver.Fifo: "fifo"}[style]
}

func open(t *testing.T, tokens int, style jobserver.Style) *jobserver.Server {
	t.Helper()
	dir := t.TempDir()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	s, err := jobserver.Open(root, dir, tokens, style)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("Close leaves %v, %v", left, err)
		}
	})
	return s
}

// project lays out a Makefile with so many files of its own, and one sub-make
// for each of subs with so many.
func project(t *testing.T, files int, subs ...int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := -1; i < len(subs); i++ {
		n, where := files, dir
		if i >= 0 {
			n, where = subs[i], filepath.Join(dir, fmt.Sprint("sub", i))
		}
		var b strings.Builder
		for f := range n {
			fmt.Fprintf(&b, "all: file%d\n", f)
		}
		for sub := range subs {
			if i < 0 {
				fmt.Fprintf(&b, "all: sub%d\n.PHONY: sub%d\nsub%d: ; @$(MAKE) --no-print-directory -C $@ all\n", sub, sub, sub)
			}
		}
		b.WriteString("file%: ; @$(CC) compile $@\n.PHONY: all\n")
		if err := os.MkdirAll(where, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(where, "Makefile"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// maker runs make in a project, by way of a shell as kbuild does.
func maker(dir string, c *counter, args string) proc.Cmd {
	return proc.Cmd{
		Args: []string{"bash", "-c", "make " + args + " all"},
		Dir:  dir,
		// Under the race detector we take a second to end unless told otherwise.
		Env: []string{searchPath, "COUNTER=" + c.abs, "CC=" + os.Args[0], "GORACE=atexit_sleep_ms=0"},
	}
}

// Three makes at once, two of them with makes of their own, keep as many
// compilers at work as there are tokens, and never more.
func TestBudgetKeptAndReached(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		for _, tokens := range []int{1, 2, 4, 7} {
			t.Run(fmt.Sprint(name(style), tokens), func(t *testing.T) {
				t.Parallel()
				s, c := open(t, tokens, style), newCounter(t)
				dirs := []string{project(t, 10), project(t, 2, 5, 5), project(t, 0, 3, 6, 1)}
				var group errgroup.Group
				for i, dir := range dirs {
					group.Go(func() error {
						m, err := s.Join(t.Context())
						if err != nil {
							return err
						}
						defer m.Leave(false)
						cmd := maker(dir, c, "")
						if i == 0 && proc.Privacy(t.Context(), "") == nil {
							cmd.Private = &proc.Private{}
						}
						return proc.Host{}.Run(t.Context(), m.Attach(cmd))
					})
				}
				c.drain(t, tokens, 32)
				if err := group.Wait(); err != nil {
					t.Error(err)
				}
				if c.most != tokens || c.total != 32 {
					t.Errorf("%d of %d compilers ran at once, want %d of 32", c.most, c.total, tokens)
				}
				wantTokens(t, s, tokens)
			})
		}
	}
}

// Without a jobserver the same makes run more: the counter can tell.
func TestCounterCounts(t *testing.T) {
	t.Parallel()
	c := newCounter(t)
	var group errgroup.Group
	for _, dir := range []string{project(t, 3), project(t, 0, 2, 1)} {
		group.Go(func() error { return proc.Host{}.Run(t.Context(), maker(dir, c, "-j3")) })
	}
	c.drain(t, 6, 6)
	if err := group.Wait(); err != nil || c.most != 6 {
		t.Errorf("%d compilers ran at once, %v, want 6", c.most, err)
	}
}

// A -j of its own has a make leave the pipe alone, and draw nothing.
func TestOwnJobs(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		s, c := open(t, 2, style), newCounter(t)
		m, err := s.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var group errgroup.Group
		group.Go(func() error { return proc.Host{}.Run(t.Context(), m.Attach(maker(project(t, 5), c, "-j5"))) })
		c.await(t, 5)
		if err := s.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Release()
		c.drain(t, 5, 5)
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		m.Leave(false)
		wantTokens(t, s, 2)
	}
}

// Work of our own and make runs share one budget.
func TestOwnWork(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		s, c := open(t, 3, style), newCounter(t)
		if err := s.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		m, err := s.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var group errgroup.Group
		group.Go(func() error { return proc.Host{}.Run(t.Context(), m.Attach(maker(project(t, 8), c, ""))) })
		for range 4 {
			c.await(t, 2)
			c.end(true)
		}
		c.await(t, 2)
		if c.most != 2 {
			t.Errorf("%d compilers ran beside our own work, want 2", c.most)
		}
		s.Release()
		c.drain(t, 3, 4)
		if err := group.Wait(); err != nil || c.most != 3 {
			t.Errorf("%d compilers ran after our own work, want 3: %v", c.most, err)
		}
		m.Leave(false)
		wantTokens(t, s, 3)
	}
}

// wantTokens fails unless exactly so many tokens can be taken.
func wantTokens(t *testing.T, s *jobserver.Server, want int) {
	t.Helper()
	for i := range want {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := s.Acquire(ctx); err != nil {
			t.Errorf("token %d of %d: %v", i+1, want, err)
		} else {
			defer s.Release()
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more than %d tokens: %v", want, err)
		s.Release()
	}
}

// Tokens of a make that was killed come back, at once if it was alone.
func TestKilledAlone(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		s, c := open(t, 4, style), newCounter(t)
		m, err := s.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		killed(t, m, c, 4)
		m.Leave(true)
		wantTokens(t, s, 4)
	}
}

// killed runs a make until it has so many tokens, and kills it.
func killed(t *testing.T, m *jobserver.Member, c *counter, tokens int) {
	t.Helper()
	dir := project(t, 20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group errgroup.Group
	cmd := maker(dir, c, "")
	cmd.Args[2] = "trap '' TERM; " + cmd.Args[2] // make keeps it ignored, and so does not tidy up
	group.Go(func() error { return proc.Host{Grace: time.Nanosecond}.Run(ctx, m.Attach(cmd)) })
	c.await(t, tokens)
	cancel()
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
}

// While others are at work nobody knows who has which token: the next ones wait
// until these are done, and then all tokens are back.
func TestKilledAmongOthers(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		s, victims, c := open(t, 4, style), newCounter(t), newCounter(t)
		other, err := s.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var group errgroup.Group
		group.Go(func() error {
			defer other.Leave(false)
			return proc.Host{}.Run(t.Context(), other.Attach(maker(project(t, 1), c, "")))
		})
		c.await(t, 1)
		m, err := s.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		killed(t, m, victims, 3)
		m.Leave(true)
		if err := s.Acquire(t.Context()); err != nil { // what the victim owned
			t.Fatal(err)
		}
		s.Release()
		joined := make(chan error)
		var next *jobserver.Member
		go func() {
			var err error
			next, err = s.Join(t.Context())
			joined <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := s.Join(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Join with lost tokens = %v, want %v", err, context.DeadlineExceeded)
		}
		c.end(true)
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		wantTokens(t, s, 3)
		next.Leave(false)
		wantTokens(t, s, 4)
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	s := open(t, 3, jobserver.Pipe)
	m, err := s.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Leave(false)
	const jobs = "-j3 --jobserver-fds=4,5 --jobserver-auth=4,5"
	for old, want := range map[string]string{
		"":                                       " " + jobs,
		"k":                                      "k " + jobs,
		"ks -j8 --jobserver-auth=3,4":            "ks " + jobs,
		" -j --jobserver-auth=fifo:/tmp/x":       " " + jobs,
		"--jobs=4 -l2.5":                         "-l2.5 " + jobs,
		"s --no-print-directory -- V=1 A=b\\ -j": "s --no-print-directory " + jobs + " -- V=1 A=b\\ -j",
	} {
		c := proc.Cmd{Env: []string{"MAKEFLAGS=" + old, "A=b"}, ExtraFiles: []*os.File{os.Stdin}}
		got := m.Attach(c)
		if diff := cmp.Diff([]string{"A=b", "MAKEFLAGS=" + want}, got.Env); diff != "" || len(got.ExtraFiles) != 3 {
			t.Errorf("Attach with %q: %d files, environment (-want +got):\n%s", old, len(got.ExtraFiles), diff)
		}
		if len(c.ExtraFiles) != 1 || c.Env[0] != "MAKEFLAGS="+old {
			t.Errorf("Attach changed its argument to %+v", c)
		}
	}
}

// make itself says what it has understood.
func TestMakeUnderstands(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		for _, old := range []string{"", "k", "k -j7", "k -- V=1", "V=1"} {
			s := open(t, 3, style)
			m, err := s.Join(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			c := m.Attach(proc.Cmd{
				Args: []string{"bash", "-c", `make -f - all <<< 'all: ; @echo "k=$(findstring k,$(firstword -$(MAKEFLAGS))) V=$(V)"; echo "$$MAKEFLAGS" >&2'`},
				Env:  []string{searchPath, "MAKEFLAGS=" + old}, Stdout: &out, Stderr: &out,
			})
			if err := (proc.Host{}).Run(t.Context(), c); err != nil {
				t.Fatalf("make with %q: %v\n%s", old, err, out.String())
			}
			m.Leave(false)
			k, v := "", ""
			if strings.HasPrefix(old, "k") {
				k = "k"
			}
			if strings.Contains(old, "V=1") {
				v = "1"
			}
			got := out.String()
			if !strings.HasPrefix(got, "k="+k+" V="+v+"\n") || !strings.Contains(got, "-j3") || !strings.Contains(got, "--jobserver-auth=") ||
				strings.Contains(got, "warning") {
				t.Errorf("%s, MAKEFLAGS %q: make says %q", name(style), old, got)
			}
		}
	}
}

func TestStyleOf(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]jobserver.Style{
		"GNU Make 3.81\n":                  jobserver.Pipe,
		"GNU Make 4.3\nBuilt for x86_64\n": jobserver.Pipe,
		"GNU Make 4.4\n":                   jobserver.Fifo,
		"GNU Make 4.4.1\nBuilt for x86_64": jobserver.Fifo,
		"GNU Make 4.10\n":                  jobserver.Fifo,
		"GNU Make 5.0\n":                   jobserver.Fifo,
		"bmake: no such option":            jobserver.Pipe,
		"Not quite GNU Make 4.4\n":         jobserver.Pipe,
		"":                                 jobserver.Pipe,
	} {
		if got := jobserver.StyleOf(version); got != want {
			t.Errorf("StyleOf(%q) = %v, want %v", version, got, want)
		}
	}
	if got := jobserver.Ask(t.Context(), proc.Host{}, "", []string{"PATH=/nowhere"}); got != jobserver.Pipe {
		t.Errorf("Ask without a make = %v, want %v", got, jobserver.Pipe)
	}
}

// Pipes that killed programs have left are removed, those in use are not.
func TestSweep(t *testing.T) {
	t.Parallel()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	left, err := root.MkfifoTemp(dir, ".jobserver-*")
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(left, long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".jobserver-file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var servers []*jobserver.Server
	for range 3 {
		s, err := jobserver.Open(root, dir, 2, jobserver.Fifo)
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, s)
	}
	if _, err := os.Lstat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
	names, err := filepath.Glob(dir + "/.jobserver-*")
	if err != nil || len(names) != 4 {
		t.Errorf("names = %q, %v, want three pipes and a file", names, err)
	}
	for _, s := range servers {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if names, _ := filepath.Glob(dir + "/.jobserver-*"); len(names) != 1 {
		t.Errorf("after Close there are %q", names)
	}
}

// Servers of several programs come and go in one directory: none takes the name of
// another one, which make runs still have to open, for a rest.
func TestManyServers(t *testing.T) {
	t.Parallel()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			for range 200 {
				s, err := jobserver.Open(root, dir, 1, []jobserver.Style{jobserver.Pipe, jobserver.Fifo}[i%2])
				if err != nil {
					return err
				}
				if name := s.Name(); name != "" {
					_, err = os.Lstat(name)
				}
				if err := errors.Join(err, s.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// A server that cannot be opened leaves nothing behind.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, fails := range map[string]*sysroot.Root{
		"no directory": root,
		"no room":      root.Before(func(sysroot.Step) error { return unix.ENOSPC }),
	} {
		in := dir
		if name == "no directory" {
			in += "/none"
		}
		for _, style := range []jobserver.Style{jobserver.Pipe, jobserver.Fifo} {
			if s, err := jobserver.Open(fails, in, 1, style); err == nil || s != nil {
				t.Errorf("%s: Open = %v, %v, want an error", name, s, err)
			}
		}
	}
	if names, _ := filepath.Glob(dir + "/.jobserver-*"); len(names) > 0 {
		t.Errorf("there are %q", names)
	}
}

// Many take and return tokens, and some give up waiting. No token gets lost, and
// nobody who waits is left behind.
func TestAcquire(t *testing.T) {
	before := runtime.NumGoroutine()
	const tokens = 3
	s := open(t, tokens, jobserver.Pipe)
	slots := make(chan struct{}, tokens)
	var group errgroup.Group
	for i := range 50 {
		group.Go(func() error {
			for range 40 {
				if err := takeOne(t.Context(), s, slots, i%5 == 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	wantTokens(t, s, tokens)
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

// takeOne takes and returns a token, unless it is impatient and gives up.
func takeOne(ctx context.Context, s *jobserver.Server, slots chan struct{}, impatient bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if impatient {
		go cancel()
	}
	err := s.Acquire(ctx)
	if impatient && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Release()
	select {
	case slots <- struct{}{}:
	default:
		return errors.New("too many tokens")
	}
	runtime.Gosched()
	<-slots
	return nil
}

// What ends a build comes before what begins one.
func TestAcquireComesBeforeJoin(t *testing.T) {
	t.Parallel()
	for _, style := range styles(t) {
		t.Run(name(style), func(t *testing.T) {
			t.Parallel()
			s := open(t, 1, style)
			first, err := s.Join(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			const joining = 8
			order := make(chan string, joining+1)
			var g errgroup.Group
			for range joining {
				g.Go(func() error {
					m, err := s.Join(t.Context())
					if err != nil {
						return err
					}
					order <- "join"
					m.Leave(false)
					return nil
				})
			}
			g.Go(func() error {
				if err := s.Acquire(t.Context()); err != nil {
					return err
				}
				order <- "acquire"
				s.Release()
				return nil
			})
			for s.Hurried() == 0 {
				runtime.Gosched()
			}
			first.Leave(false)
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			if got := <-order; got != "acquire" {
				t.Errorf("the token went to %q first, want Acquire", got)
			}
		})
	}
}
