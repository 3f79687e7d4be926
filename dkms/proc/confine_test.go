package proc_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dkms-go/dkms/proc"

	"github.com/google/go-cmp/cmp"
)

func itoa(n int) string { return strconv.Itoa(n) }

// needNamespaces skips the test where unshare(1) cannot have the namespaces that
// a confined program is put into either.
func needNamespaces(t *testing.T) {
	t.Helper()
	for _, user := range []string{"--ipc", "--user"} {
		if exec.CommandContext(t.Context(), "unshare", user, "--fork", "--pid", "--net", "true").Run() == nil {
			return
		}
	}
	t.Skip("unshare(1) cannot have new namespaces here")
}

// needLandlock skips the test where the kernel has no Landlock.
func needLandlock(t *testing.T) {
	t.Helper()
	if proc.LandlockVersion() < 1 {
		t.Skip("the kernel has no Landlock")
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// open makes dir a directory that everybody may write to, up to the root.
func open(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for parent := dir; parent != filepath.Clean(os.TempDir()) && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// attempt runs script in dir and tells whether it succeeded.
func attempt(t *testing.T, dir, script string, confine *proc.Confine) bool {
	t.Helper()
	c := bash(script)
	c.Dir = dir
	c.Confine = confine
	err := proc.Host{}.Run(t.Context(), c)
	t.Logf("%q with %+v: %v", script, confine, err)
	return err == nil
}

// Each script succeeds without confinement, which proves that it is able to
// do what it is then kept from.
func TestConfineDenies(t *testing.T) {
	t.Parallel()
	var (
		readOnly = &proc.Confine{ReadOnly: true}
		both     = &proc.Confine{ReadOnly: true, User: true}
		user     = &proc.Confine{User: true}
		readAll  = &proc.Confine{ReadOnly: true, User: true, ReadAll: true}
	)
	tests := []struct {
		name    string
		script  string
		confine []*proc.Confine
		need    []func(*testing.T)
	}{
		{"write", "echo x > file", list(readOnly, both, readAll), needs(needLandlock)},
		{"create", "> new", list(readOnly, both, readAll), needs(needLandlock)},
		{"truncate", "truncate -s 0 file", list(readOnly, both), needs(needLandlock)},
		{"remove", "rm file", list(readOnly, both), needs(needLandlock)},
		{"rename", "mv file other", list(readOnly, both), needs(needLandlock)},
		{"mkdir", "mkdir new", list(readOnly, both), needs(needLandlock)},
		{"rmdir", "rmdir dir", list(readOnly, both), needs(needLandlock)},
		{"link", "ln file dir/link", list(readOnly, both), needs(needLandlock)},
		{"symlink", "ln -s file link", list(readOnly, both), needs(needLandlock)},
		{"fifo", "mkfifo fifo", list(readOnly, both), needs(needLandlock)},
		{"chmod", "chmod 700 file", list(both, user, readAll), needs(needRoot)},
		{"chown", "chown 1:1 file", list(both, user, readAll), needs(needRoot)},
		{"touch", "touch -d @0 file", list(both, user, readAll), needs(needRoot)},
		{"read what is root's", "cat secret", list(both, user), needs(needRoot)},
		{"read shadow", "cat /etc/shadow", list(both, user), needs(needRoot)},
		{"kill", "kill -0 $PPID && [ $PPID -gt 0 ]", list(readOnly, both), needs(needNamespaces)},
		{"setuid", "setpriv --reuid 1000 --clear-groups true", list(both, user, readAll), needs(needRoot)},
		{"mount", "unshare -m mount -t tmpfs none dir", list(both, user, readOnly), needs(needRoot, needLandlock, needNamespaces)},
		{"chroot", "chroot / true", list(both, user, readAll), needs(needRoot)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, need := range test.need {
				need(t)
			}
			for _, confine := range test.confine {
				dir := open(t)
				write(t, filepath.Join(dir, "file"), "content", 0o666)
				write(t, filepath.Join(dir, "secret"), "content", 0o600)
				if err := os.Mkdir(filepath.Join(dir, "dir"), 0o777); err != nil {
					t.Fatal(err)
				}
				if attempt(t, dir, test.script, confine) {
					t.Errorf("%q with %+v succeeded, want it denied", test.script, confine)
				}
				if !attempt(t, dir, test.script, nil) {
					t.Errorf("%q failed without confinement, so this test shows nothing", test.script)
				}
			}
		})
	}
}

func TestConfineAllows(t *testing.T) {
	t.Parallel()
	full := &proc.Confine{ReadOnly: true, NoNetwork: true, User: true}
	readAll := &proc.Confine{ReadOnly: true, NoNetwork: true, User: true, ReadAll: true}
	tests := []struct {
		name    string
		script  string
		confine *proc.Confine
		need    []func(*testing.T)
	}{
		{"/dev/null", "echo x > /dev/null; cat < /dev/null", full, nil},
		{"/dev/stderr", "echo x > /dev/stderr", full, nil},
		{"/dev/stdout", "echo x > /dev/stdout", full, nil},
		{"/dev/zero", "head -c 1 /dev/zero", full, nil},
		{"read", "cat file", full, nil},
		{"list", "ls /etc", full, nil},
		{"pipe", "echo x | cat", full, nil},
		{"process substitution", "cat <(echo x)", full, nil},
		{"shell as child", "bash -c 'sh -c true'", full, nil},
		{"read all", "cat secret", readAll, needs(needRoot)},
		{"read shadow", "cat /etc/shadow", readAll, needs(needRoot)},
		{"children read all", "bash -c 'sh -c \"cat secret\"'", readAll, needs(needRoot)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, need := range test.need {
				need(t)
			}
			dir := open(t)
			write(t, filepath.Join(dir, "file"), "content", 0o644)
			write(t, filepath.Join(dir, "secret"), "content", 0o600)
			if !attempt(t, dir, test.script, test.confine) {
				t.Errorf("%q with %+v failed, want success", test.script, test.confine)
			}
		})
	}
}

func TestConfineIdentity(t *testing.T) {
	t.Parallel()
	needRoot(t)
	status := func(confine *proc.Confine) map[string]string {
		c := proc.Cmd{Args: []string{"cat", "/proc/self/status"}, Env: []string{path}, Confine: confine}
		text, err := output(t, c)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(line, ":")
			switch name {
			case "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs":
				got[name] = strings.TrimSpace(strings.ReplaceAll(value, "\t", " "))
			}
		}
		return got
	}
	const none, search = "0000000000000000", "0000000000000004" // CAP_DAC_READ_SEARCH
	for _, test := range []struct {
		readAll bool
		caps    string
	}{{false, none}, {true, search}} {
		want := map[string]string{
			"Uid": "65534 65534 65534 65534", "Gid": "65534 65534 65534 65534", "Groups": "", "NoNewPrivs": "1",
			"CapInh": test.caps, "CapPrm": test.caps, "CapEff": test.caps, "CapBnd": test.caps, "CapAmb": test.caps,
		}
		got := status(&proc.Confine{User: true, ReadAll: test.readAll})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("status with ReadAll %t (-want +got):\n%s", test.readAll, diff)
		}
	}
}

// An ordinary user does not end up with more rights in a user namespace.
func TestConfineGivesNothing(t *testing.T) {
	t.Parallel()
	c := proc.Cmd{Args: []string{"sh", "-c", "id -u; grep -E 'CapEff|CapPrm|CapAmb' /proc/self/status"}, Env: []string{path}}
	plain, err := output(t, c)
	if err != nil {
		t.Fatal(err)
	}
	c.Confine = &proc.Confine{}
	got, err := output(t, c)
	if diff := cmp.Diff(plain, got); diff != "" || err != nil {
		t.Errorf("identity of a confined program: %v (-plain +confined):\n%s", err, diff)
	}
}

func TestConfineWritable(t *testing.T) {
	t.Parallel()
	needLandlock(t)
	for _, user := range []bool{false, true} {
		t.Run(fmt.Sprint("user ", user), func(t *testing.T) {
			t.Parallel()
			dir := open(t)
			for _, sub := range []string{"build/a", "build/b", "source"} {
				if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
					t.Fatal(err)
				}
				chmod(t, filepath.Join(dir, filepath.Dir(sub)), 0o777)
				chmod(t, filepath.Join(dir, sub), 0o777)
			}
			write(t, filepath.Join(dir, "log"), "", 0o666)
			confine := &proc.Confine{
				ReadOnly: true, User: user,
				Writable: []string{filepath.Join(dir, "build"), filepath.Join(dir, "log"), filepath.Join(dir, "missing")},
			}
			for _, script := range []string{
				"echo x > build/new", "mkdir build/dir", "echo line >> log", "mv build/new build/b/moved",
				"ln build/b/moved build/a/linked", "rm -r build/dir", "truncate -s 0 log",
			} {
				if !attempt(t, dir, script, confine) {
					t.Errorf("%q failed, want success", script)
				}
			}
			for _, script := range []string{"echo x > source/new", "rm log", "> missing", "mv build/b/moved source/", "> new"} {
				if attempt(t, dir, script, confine) {
					t.Errorf("%q succeeded, want it denied", script)
				}
			}
		})
	}
}

func TestConfineNetwork(t *testing.T) {
	t.Parallel()
	needNamespaces(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, network := range []net.Addr{tcp.Addr(), udp.LocalAddr()} {
		_, port, err := net.SplitHostPort(network.String())
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("exec 3<>/dev/%s/127.0.0.1/%s && echo x >&3", network.Network(), port)
		for _, confine := range []*proc.Confine{{NoNetwork: true}, {NoNetwork: true, ReadOnly: true, User: true}} {
			if attempt(t, "", script, confine) {
				t.Errorf("%q with %+v succeeded, want it denied", script, confine)
			}
		}
		for _, confine := range []*proc.Confine{nil, {}, {ReadOnly: true, User: true}} {
			if !attempt(t, "", script, confine) {
				t.Errorf("%q with %+v failed, want success", script, confine)
			}
		}
	}
}

// A user who gives the helper's arguments by hand gets no rights by it, and a
// program that happens to be called with other ones is left alone.
func TestHelperLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil,
		{},
		{""},
		{"dkms"},
		{"dkms", "status", "-m", "x"},
		{"dkms", "--confine-as={}", "x"},
		{"dkms: confined program, about to start"},
		{"dkms: confined program, about to start", "status", "x"},
	} {
		if done, status := proc.Helper(args); done || status != 0 {
			t.Errorf("Helper(%q) = %t, %d, want false, 0", args, done, status)
		}
	}
}

// A program that forgot to call Helper must not run itself over and over.
func TestHelperForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module forgetful\n\ngo 1.26\n", 0o644)
	write(t, filepath.Join(dir, "forgetful_test.go"), `package forgetful

import (
	"os"
	"os/exec"
	"testing"
)

func TestX(t *testing.T) {
	c := exec.Command("/proc/self/exe")
	c.Args = []string{os.Getenv("NAME"), os.Getenv("OPTION"), "true"}
	if err := c.Run(); err == nil || c.ProcessState.ExitCode() != 2 {
		t.Error("ran itself:", err)
	}
}
`, 0o644)
	c := exec.CommandContext(t.Context(), "go", "test", ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "GOFLAGS=", "NAME="+proc.HelperName, "OPTION="+proc.HelperOption+"{}")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("go test: %v\n%s", err, out)
	}
}

func TestConfineBigEnvironment(t *testing.T) {
	t.Parallel()
	c := proc.Cmd{Args: []string{"env"}, Env: []string{path}, Confine: &proc.Confine{ReadOnly: true}}
	for i := range 15 {
		c.Env = append(c.Env, fmt.Sprintf("V%02d=%s", i, strings.Repeat("x", 100<<10)))
	}
	var out bytes.Buffer
	c.Stdout = &out
	err := proc.Host{}.Run(t.Context(), c)
	if want := strings.Join(c.Env, "\n") + "\n"; err != nil || out.String() != want {
		t.Errorf("Run = %v, %d bytes of environment, want %d", err, out.Len(), len(want))
	}
}

func BenchmarkRun(b *testing.B) {
	for _, test := range []struct {
		name    string
		confine *proc.Confine
	}{
		{"plain", nil},
		{"confined", &proc.Confine{}},
		{"readonly", &proc.Confine{ReadOnly: true}},
		{"full", &proc.Confine{ReadOnly: true, NoNetwork: true, User: true, ReadAll: true}},
	} {
		b.Run(test.name, func(b *testing.B) {
			c := bash(":")
			c.Confine = test.confine
			for b.Loop() {
				if err := (proc.Host{}).Run(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func list(confine ...*proc.Confine) []*proc.Confine { return confine }

func needs(need ...func(*testing.T)) []func(*testing.T) { return need }

func write(t *testing.T, name, text string, perm os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), perm); err != nil {
		t.Fatal(err)
	}
	chmod(t, name, perm)
}

func chmod(t *testing.T, name string, perm os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, perm); err != nil {
		t.Fatal(err)
	}
}
