package proc_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dkms-go/dkms/proc"

	"github.com/google/go-cmp/cmp"
)

// needPrivacy skips the test where unshare(1) cannot have the namespaces of a
// private view either.
func needPrivacy(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "mount", "--bind", "/etc", "/etc").CombinedOutput()
	if err != nil {
		t.Skipf("unshare(1) cannot have mount and PID namespaces here: %v\n%s", err, out)
	}
	if err := proc.Privacy(t.Context(), ""); err != nil {
		t.Fatalf("Privacy = %v, but unshare(1) can have mount and PID namespaces", err)
	}
}

// private is a command that runs script with binds.
func private(script string, binds ...proc.Bind) proc.Cmd {
	c := bash(script)
	c.Private = &proc.Private{Binds: binds}
	return c
}

// Two programs at once see their own directory at the same place, and nobody
// else sees either.
func TestPrivateBinds(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	dir := t.TempDir()
	for _, sub := range []string{"build", "1", "2"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	meet := newMeeting(t)
	for _, own := range []string{"1", "2"} {
		t.Run(own, func(t *testing.T) {
			t.Parallel()
			c := private("echo "+own+" > file; echo >&3; read -u 4; pwd -P; cat file", proc.Bind{Source: dir + "/" + own, Target: dir + "/build"})
			c.Dir = dir + "/build"
			c.ExtraFiles = meet.files(own)
			got, err := output(t, c)
			if want := dir + "/build\n" + own + "\n"; got != want || err != nil {
				t.Errorf("Run = %q, %v, want %q", got, err, want)
			}
			if text, err := os.ReadFile(filepath.Join(dir, own, "file")); err != nil || string(text) != own+"\n" {
				t.Errorf("%s/file holds %q, %v, want %q", own, text, err, own+"\n")
			}
			if _, err := os.Stat(filepath.Join(dir, "build/file")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("build/file is seen from outside: %v", err)
			}
		})
	}
}

// meeting has two programs wait for each other: each writes a line to its
// descriptor 3 and reads the other's from 4.
type meeting struct{ r, w [2]*os.File }

func newMeeting(t *testing.T) *meeting {
	t.Helper()
	var m meeting
	for i := range m.r {
		var err error
		if m.r[i], m.w[i], err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.r[i].Close(); m.w[i].Close() })
	}
	return &m
}

func (m *meeting) files(who string) []*os.File {
	if who == "1" {
		return []*os.File{m.w[0], m.r[1]}
	}
	return []*os.File{m.w[1], m.r[0]}
}

// A private program is what a plain one is in every other respect.
func TestPrivateLikePlain(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	for _, script := range []string{
		"exit 7",
		"kill -9 $$",
		"kill -TERM $$",
		"kill -SEGV $$",
		"echo out; echo err >&2",
		"kill -0 -- -$$ && echo leader",
		"cat",
		"echo x > /dev/stderr; echo y >&2",
		"cat <(echo substituted)",
		"exec > >(tr a b); echo a",
		"trap 'echo term' TERM; kill -TERM $$; exit 3",
		"env; ulimit -a; umask; grep -E '^(Uid|Gid|Groups|Sig...|Cap...|NoNewPrivs|Seccomp):' /proc/self/status",
	} {
		run := func(c proc.Cmd) string {
			c.Stdin = strings.NewReader("in")
			text, err := output(t, c)
			if err != nil {
				text += err.Error()
			}
			var exit *proc.ExitError
			if errors.As(err, &exit) {
				text += exit.Signal
			}
			return text
		}
		if diff := cmp.Diff(run(bash(script)), run(private(script))); diff != "" {
			t.Errorf("%q (-plain +private):\n%s", script, diff)
		}
	}
}

// The program sees its own processes and no others, and is not the first one.
func TestPrivateProcesses(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	got, err := output(t, private(`[ $$ != 1 ] && grep -c . /proc/$$/comm && set -- /proc/[0-9]* && echo $#`))
	if want := "1\n2\n"; got != want || err != nil { // the first one and bash
		t.Errorf("Run = %q, %v, want %q", got, err, want)
	}
}

// Nobody outlives the program, not even in a session of its own, and what such a
// one still says at once is heard.
func TestPrivateStragglers(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	alive := newWatch(t)
	c := private(`setsid bash -c 'trap "" TERM HUP; echo >&3; while :; do sleep 1000; done' & read -u 4 & setsid sleep 1000 & exit 5`)
	c.ExtraFiles = []*os.File{alive.w}
	var exit *proc.ExitError
	if err := (proc.Host{}).Run(t.Context(), c); !errors.As(err, &exit) || exit.Status != 5 {
		t.Errorf("Run = %v, want status 5", err)
	}
	alive.wantAllGone(t)
}

func TestPrivateCancel(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	for _, test := range []struct {
		name, script string
		grace        time.Duration
		want         string
	}{
		{"asks first", `trap 'echo tidied; exit 9' TERM; bash -c 'echo >&3; exec sleep 1000'; exit 0`, forever, "tidied\n"},
		{"asks all", `setsid -w bash -c 'trap "echo tidied; exit" TERM; echo >&3; while :; do read -t 0.1 <> <(:); done'`, forever, "tidied\n"},
		{"insists", `trap '' TERM; setsid sleep 1000 & echo >&3; sleep 1000; sleep 1000`, time.Millisecond, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c := private(test.script)
			c.Stdout = &out
			alive, err := cancelWhenReady(t, proc.Host{Grace: test.grace}, c)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run = %v, want %v", err, context.Canceled)
			}
			if got := out.String(); got != test.want {
				t.Errorf("after cancel the program wrote %q, want %q", got, test.want)
			}
			alive.wantAllGone(t)
		})
	}
}

func TestPrivateTimeout(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	c := private("sleep 1000")
	c.Timeout = time.Millisecond
	var exit *proc.ExitError
	if err := (proc.Host{}).Run(t.Context(), c); !errors.As(err, &exit) || !exit.TimedOut {
		t.Errorf("Run = %v, want a timeout", err)
	}
}

// What cannot be set up is an error, and the program does not run.
func TestPrivateErrors(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	missing := private("> "+ran, proc.Bind{Source: dir + "/missing", Target: dir})
	if err := (proc.Host{}).Run(t.Context(), missing); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("Run with a bind of nothing = %v, want %v", err, syscall.ENOENT)
	}
	both := private("> " + ran)
	both.Confine = &proc.Confine{}
	if err := (proc.Host{}).Run(t.Context(), both); err == nil {
		t.Error("Run with Confine = nil, want an error")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the program ran")
	}
	var missingProgram *proc.NotFoundError
	for _, name := range []string{"no-such-program", dir + "/no-such-program"} {
		err := proc.Host{}.Run(t.Context(), proc.Cmd{Args: []string{name}, Private: &proc.Private{}})
		if !errors.As(err, &missingProgram) {
			t.Errorf("Run(%q) = %v, want %T", name, err, missingProgram)
		}
	}
}

// In another root the paths are those inside.
func TestPrivateRoot(t *testing.T) {
	t.Parallel()
	needPrivacy(t)
	root := newRoot(t)
	for _, dir := range []string{"own", "kept", "proc"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/kept", filepath.Join(root, "build")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "own", "file"), "mine\n", 0o644)
	c := proc.Cmd{
		Args: []string{"cat", "/build/file"}, Root: root,
		Private: &proc.Private{Binds: []proc.Bind{{Source: "/own", Target: "/build"}}},
	}
	if got, err := output(t, c); got != "mine\n" || err != nil {
		t.Errorf("Run = %q, %v, want %q", got, err, "mine\n")
	}
	if err := proc.Privacy(t.Context(), root); err != nil {
		t.Errorf("Privacy(%s) = %v, want nil", root, err)
	}
}

// Without the right to mount there is an answer beforehand, and no run.
func TestPrivateRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if err := proc.Privacy(t.Context(), ""); !errors.Is(err, syscall.EPERM) {
			t.Errorf("Privacy = %v, want %v", err, syscall.EPERM)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", self, "no privacy")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "operation not permitted") {
		t.Errorf("Privacy without CAP_SYS_ADMIN: %v\n%s", err, out)
	}
}
