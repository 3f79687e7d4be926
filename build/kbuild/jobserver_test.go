package kbuild_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"dkms-go/build/jobserver"
	"dkms-go/build/kbuild"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

func openServer(t *testing.T, tokens int) *jobserver.Server {
	t.Helper()
	root := openRoot(t, "/")
	style := jobserver.Ask(t.Context(), proc.Host{}, "/", []string{"PATH=/usr/bin:/bin"})
	s, err := jobserver.Open(root, t.TempDir(), tokens, style)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// With a jobserver there is no -j on the command line that is run, though the one that is recorded has it, and make knows of it only
// where there would have been one.
func TestJobserverCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ make, want, flags string }{
		{"make all", "make -j4 KERNELRELEASE=" + release + " all", "-j2 --jobserver"},
		{"make -j7 all", "make -j4 KERNELRELEASE=" + release + " -j7 all", "-j2 --jobserver"},
		{`'make' all`, "'make' all", "none"},
	} {
		s := newSite(t, "served", simple("served", `MAKE="`+test.make+`; ./flags.sh make"`, "PRE_BUILD=\"flags.sh script\""))
		s.write(t, "src/served-1.0/flags.sh", "#!/bin/sh\necho $1 ${MAKEFLAGS-none}\n")
		s.job.Jobserver = openServer(t, 2)
		if _, err := kbuild.Build(t.Context(), s.job); err != nil {
			t.Fatal(err)
		}
		log := s.log(t)
		for _, want := range []string{"# command: " + test.want, "\nscript none\n", "\nmake " + test.flags} {
			if !strings.Contains(log, want) {
				t.Errorf("MAKE=%s: log without %q:\n%s", test.make, want, log)
			}
		}
	}
}

// A build waits for a token, and that takes nothing off its time. After a
// timeout its tokens are back.
func TestJobserverWait(t *testing.T) {
	t.Parallel()
	s := newSite(t, "waits", simple("waits", `MAKE="make; read < fifo"`, "PRE_BUILD=pre.sh"))
	s.write(t, "src/waits-1.0/pre.sh", "#!/bin/sh\nmkfifo fifo\n")
	server := openServer(t, 1)
	s.job.Jobserver = server
	s.job.Timeout = 300 * time.Millisecond
	if err := server.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*s.job.Timeout, server.Release)
	_, err := kbuild.Build(t.Context(), s.job)
	if err == nil || !strings.Contains(err.Error(), "Building module(s)") {
		t.Errorf("Build = %v, want a timeout of the second step", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.Acquire(ctx); err != nil {
		t.Errorf("after the build: %v", err)
	}
}

// compilers counts the compilers that run, by the connections that they hold
// from beginning to end.
type compilers struct{ most, total int }

// serve counts until stop is called.
func (c *compilers) serve(t *testing.T, abs string) (stop func()) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", abs)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.Go(func() error {
		var running []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				return nil //nolint:nilerr // closed
			}
			running = append(slices.DeleteFunc(running, ended), conn)
			c.most, c.total = max(c.most, len(running)), c.total+1
			_, _ = conn.Write([]byte("go\n"))
		}
	})
	return func() { l.Close(); _ = group.Wait() }
}

// ended tells whether nobody is at the other end any more, without waiting for
// the news.
func ended(conn net.Conn) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	gone := err != nil
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
			n, _ := unix.Poll(fds, 0)
			gone = n > 0
		})
	}
	if gone {
		conn.Close()
	}
	return gone
}

// Real builds at once, with fewer tokens than each of them has files to compile:
// the kernel's own makefiles keep to the budget. (That it is reached as well is
// for build/jobserver to show, where compilers wait for each other.)
func TestRealBudget(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	const tokens = 2
	server := openServer(t, tokens)
	var counted compilers
	dir := t.TempDir()
	stop := counted.serve(t, filepath.Join(dir, "socket"))
	defer stop()
	var group errgroup.Group
	for range 2 {
		for _, headers := range installedHeaders(t)[:1] {
			s := realSite(t, headers)
			s.write(t, "src/hello-1.0/Makefile", "obj-m := hello.o\nhello-y := a.o b.o c.o d.o e.o\n")
			for _, part := range []string{"a", "b", "c", "d", "e"} {
				s.write(t, "src/hello-1.0/"+part+".c", "#include <linux/module.h>\nint hello_"+part+";\nMODULE_LICENSE(\"GPL\");\n")
			}
			j := s.job
			j.Jobserver, j.Private, j.Report = server, true, nil
			j.Kernel = findKernel(t, j.Root, kernel.Options{InstallTree: "/lib/modules"}, filepath.Base(filepath.Dir(headers)))
			countCompilers(t, s, filepath.Join(dir, "socket"))
			j.Env = []string{"PATH=" + s.dir + "/bin-counted:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
			group.Go(func() error {
				tree, err := kbuild.Build(t.Context(), j)
				if err != nil {
					return err
				}
				return tree.Discard()
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	stop()
	if counted.most > tokens || counted.total < 20 {
		t.Errorf("%d of %d compilers ran at once, want at most %d", counted.most, counted.total, tokens)
	}
	t.Logf("%d compilers, at most %d at once", counted.total, counted.most)
}

// countCompilers puts a compiler into the site's bin-counted that tells the
// counter and becomes the real one, keeping the connection.
func countCompilers(t *testing.T, s *site, socket string) {
	t.Helper()
	bin := filepath.Join(s.dir, "bin-counted")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob("/usr/bin/*gcc*[0-9c]") // not gcc-ar and its like
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, gcc := range found {
		text := "#!/bin/sh\nexec " + self + " count " + socket + " " + gcc + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(bin, filepath.Base(gcc)), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
