package proc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dkms-go/dkms/proc"

	"github.com/google/go-cmp/cmp"
)

// path is the environment of most programs here.
const path = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

// bash is a command that runs script.
func bash(script string) proc.Cmd {
	return proc.Cmd{Args: []string{"bash", "-c", script}, Env: []string{path}}
}

// output runs c and returns what it wrote to stdout and stderr.
func output(t *testing.T, c proc.Cmd) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := proc.Host{}.Run(t.Context(), c)
	return out.String(), err
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name string
		cmd  proc.Cmd
		want string
	}{
		{"lookup", proc.Cmd{Args: []string{"echo", "a b", "c"}, Env: []string{path}}, "a b c\n"},
		{"absolute", proc.Cmd{Args: []string{"/bin/echo", "x"}}, "x\n"},
		{"empty environment", proc.Cmd{Args: []string{"/usr/bin/env"}}, ""},
		{"environment", proc.Cmd{Args: []string{"/usr/bin/env"}, Env: []string{"A=1", "B=x y"}}, "A=1\nB=x y\n"},
		{"directory", proc.Cmd{Args: []string{"/bin/pwd", "-P"}, Dir: dir}, dir + "\n"},
		{"no stdin", proc.Cmd{Args: []string{"cat"}, Env: []string{path}}, ""},
		{"stdin", proc.Cmd{Args: []string{"cat"}, Env: []string{path}, Stdin: strings.NewReader("in")}, "in"},
		{"order of both", bash("echo 1; echo 2 >&2; echo 3; echo 4 >&2"), "1\n2\n3\n4\n"},
		{"much output", bash("head -c 3000000 /dev/zero | tr '\\0' x"), strings.Repeat("x", 3000000)},
		{"own group", bash("kill -0 -- -$$ && echo leader"), "leader\n"},
		{"stdin not read", proc.Cmd{Args: []string{"true"}, Env: []string{path}, Stdin: strings.NewReader(strings.Repeat("y", 1<<20))}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := output(t, test.cmd)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("Run(%q) = %v, output differs (-want +got):\n%s", test.cmd.Args, err, diff)
			}
		})
	}
}

func TestRunRelativeProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script(t, filepath.Join(dir, "tools", "hello"), "#!/bin/sh\necho hello\n")
	c := proc.Cmd{Args: []string{"./tools/hello"}, Dir: dir}
	if got, err := output(t, c); got != "hello\n" || err != nil {
		t.Errorf("Run(%q) = %q, %v, want %q", c.Args, got, err, "hello\n")
	}
}

func TestRunSeparateStreams(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	c := bash("echo out; echo err >&2")
	c.Stdout, c.Stderr = &out, &errs
	err := proc.Host{}.Run(t.Context(), c)
	if out.String() != "out\n" || errs.String() != "err\n" || err != nil {
		t.Errorf("Run(%q) = %v, %q, %q, want separate streams", c.Args, err, &out, &errs)
	}
}

// A file goes to the program as it is: it can tell its number of bytes, and
// nobody has to copy.
func TestRunFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := create(t, dir, "in"), create(t, dir, "out")
	if _, err := in.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	c := bash("cat; stat -L -c %F /proc/self/fd/0 /proc/self/fd/1")
	c.Stdin, c.Stdout = in, out
	if err := (proc.Host{}).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out.Name())
	want := "contentregular file\nregular file\n"
	if string(got) != want || err != nil {
		t.Errorf("Run(%q) wrote %q, %v, want %q", c.Args, got, err, want)
	}
}

func TestRunExtraFiles(t *testing.T) {
	t.Parallel()
	for _, confine := range []*proc.Confine{nil, {}, {ReadOnly: true, NoNetwork: true, User: true}} {
		t.Run(fmt.Sprintf("%+v", confine), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			third, fourth := create(t, dir, "3"), create(t, dir, "4")
			c := bash("echo three >&3; echo four >&4")
			c.ExtraFiles = []*os.File{third, fourth}
			c.Confine = confine
			if err := (proc.Host{}).Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got, want := read(t, third.Name()), "three\n"; got != want {
				t.Errorf("descriptor 3 got %q, want %q", got, want)
			}
			if got, want := read(t, fourth.Name()), "four\n"; got != want {
				t.Errorf("descriptor 4 got %q, want %q", got, want)
			}
		})
	}
}

// The status is what the shell reports for the same program.
func TestExitErrorConfirm(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"exit 1", "exit 77", "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -SEGV $$",
		"echo first >&2; echo last >&2; exit 3",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			want, err := output(t, proc.Cmd{
				Args: []string{"bash", "-c", `exec 2>/dev/null; bash -c "$1" >/dev/null; echo -n $?`, "bash", script},
				Env:  []string{path},
			})
			if err != nil {
				t.Fatal(err)
			}
			var exit *proc.ExitError
			err = proc.Host{}.Run(t.Context(), bash(script))
			if !errors.As(err, &exit) || strconv.Itoa(exit.Status) != want {
				t.Errorf("Run(%q) = %#v, want status %s", script, err, want)
			}
		})
	}
}

func TestExitErrorText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cmd  proc.Cmd
		want string
	}{
		{bash("exit 2"), `program "bash" ended with status 2`},
		{bash("echo a >&2; echo ' b ' >&2; echo >&2; exit 2"), `program "bash" ended with status 2: b`},
		{bash("kill -KILL $$"), `program "bash" was ended by signal SIGKILL`},
		{timed(bash("exec sleep 1000"), time.Millisecond), `program "bash" took too long and was stopped`},
		{proc.Cmd{Args: []string{"no-such"}}, `program "no-such" not found`},
		{proc.Cmd{Args: []string{"/no/such"}}, `program "/no/such" not found`},
		{proc.Cmd{Args: []string{"./such"}, Dir: "/"}, `program "./such" not found`},
		{proc.Cmd{Args: []string{"/bin/true"}, Dir: "/no/such"}, `readlink /no: no such file or directory`},
		{proc.Cmd{}, `no program to run`},
		{confined(proc.Cmd{Args: []string{"no-such"}}), `program "no-such" not found`},
		{confined(proc.Cmd{Args: []string{"/no/such"}}), `program "/no/such" not found`},
		{confined(proc.Cmd{Args: []string{"/etc/passwd"}}), `fork/exec /etc/passwd: permission denied`},
		{proc.Cmd{Args: []string{"/etc/passwd"}}, `fork/exec /etc/passwd: permission denied`},
		{confined(bash("exit 2")), `program "bash" ended with status 2`},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			if err := (proc.Host{}).Run(t.Context(), test.cmd); err == nil || err.Error() != test.want {
				t.Errorf("Run(%q) = %v, want %s", test.cmd.Args, err, test.want)
			}
		})
	}
}

func TestMissingInterpreter(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "tool")
	script(t, name, "#!/no/such/interpreter\n")
	for _, confine := range []*proc.Confine{nil, {ReadOnly: true}} {
		c := proc.Cmd{Args: []string{name}, Confine: confine}
		err := proc.Host{}.Run(t.Context(), c)
		if want := "start interpreter of " + name + ": no such file or directory"; err == nil || err.Error() != want {
			t.Errorf("Run(%q) = %v, want %s", c.Args, err, want)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	var want strings.Builder
	for i := 981; i <= 1000; i++ {
		fmt.Fprintln(&want, i)
	}
	tests := []struct{ script, want string }{
		{"seq 1000 >&2; exit 1", want.String()},
		{"seq 100000 >&2; seq 1000 >&2; exit 1", want.String()},
		{"echo -n short >&2; exit 1", "short"},
		{"echo a >&2; echo out; echo b >&2; exit 1", "a\nb\n"},
		{"head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1", strings.Repeat("x", 8<<10)},
		{"exit 1", ""},
	}
	for _, test := range tests {
		t.Run(test.script, func(t *testing.T) {
			t.Parallel()
			var exit *proc.ExitError
			err := proc.Host{}.Run(t.Context(), bash(test.script))
			if !errors.As(err, &exit) {
				t.Fatalf("Run(%q) = %v, want an ExitError", test.script, err)
			}
			if diff := cmp.Diff(test.want, exit.Tail); diff != "" {
				t.Errorf("Run(%q): tail differs (-want +got):\n%s", test.script, diff)
			}
		})
	}
}

func TestErrorsAre(t *testing.T) {
	t.Parallel()
	var missing *proc.NotFoundError
	err := proc.Host{}.Run(t.Context(), proc.Cmd{Args: []string{"no-such"}, Env: []string{path}})
	if !errors.As(err, &missing) || missing.Name != "no-such" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Run(no-such) = %#v, want a NotFoundError that is fs.ErrNotExist", err)
	}
	var exit *proc.ExitError
	err = proc.Host{}.Run(t.Context(), timed(bash("exec sleep 1000"), time.Millisecond))
	if !errors.As(err, &exit) || !exit.TimedOut || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run(sleep) = %#v, want an ExitError that is context.DeadlineExceeded", err)
	}
	if want := 128 + int(syscall.SIGTERM); exit.Status != want || exit.Signal != "SIGTERM" {
		t.Errorf("Run(sleep) = %+v, want status %d by SIGTERM", exit, want)
	}
}

// failingWriter takes n bytes and no more.
type failingWriter struct{ n int }

var errFull = errors.New("full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterFails(t *testing.T) {
	t.Parallel()
	c := proc.Cmd{Args: []string{"yes"}, Env: []string{path}, Stdout: &failingWriter{n: 1 << 20}}
	if err := (proc.Host{}).Run(t.Context(), c); !errors.Is(err, errFull) {
		t.Errorf("Run(yes) = %v, want %v", err, errFull)
	}
}

// incomparable may not be compared with ==.
type incomparable struct{ parts []io.Writer }

func (w incomparable) Write(p []byte) (int, error) { return w.parts[0].Write(p) }

func TestWritersNotComparable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := incomparable{[]io.Writer{&out}}
	c := bash("echo x")
	c.Stdout, c.Stderr = w, w
	if err := (proc.Host{}).Run(t.Context(), c); err != nil || out.String() != "x\n" {
		t.Errorf("Run(%q) = %v, %q, want %q", c.Args, err, &out, "x\n")
	}
}

func timed(c proc.Cmd, d time.Duration) proc.Cmd {
	c.Timeout = d
	return c
}

// confined takes as much as possible away from c.
func confined(c proc.Cmd) proc.Cmd {
	c.Confine = &proc.Confine{ReadOnly: true, NoNetwork: true, User: true}
	return c
}

func create(t *testing.T, dir, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// script writes an executable file and the directories above it.
func script(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
