package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// What dkms.service starts costs next to nothing when everything is in place: it is in the way of every boot. What is measured
// is the time of the processor, because other tests are at work, and one run below the limit will do. The race detector makes
// everything several times as slow; with it, only what the commands do is looked at.
func TestNothingToDoAtBoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	const limit = 20 * time.Millisecond
	dir := t.TempDir()
	manyModules(t, dir, 10, 2)
	if out, _ := boot(t, dir); strings.Count(out, "Installing ") != 10 {
		t.Fatalf("the first boot printed\n%s\nwant ten installations", out)
	}
	best, before := time.Hour, lastChange(t, dir)
	for n := 0; n < 3 || n < 50 && best > limit && !raced; n++ {
		out, took := boot(t, dir)
		if out != "" {
			t.Fatalf("with everything in place it printed\n%s", out)
		}
		best = min(best, took)
	}
	if after := lastChange(t, dir); after != before {
		t.Errorf("with everything in place something has changed: %s, before it %s", after, before)
	}
	t.Logf("nothing to do: %v of the processor", best)
	if best > limit && !raced {
		t.Errorf("nothing to do took %v of the processor, want less than %v", best, limit)
	}
}

// What a crash has left undone, of whatever kernel, is completed or taken back at boot before anything else.
func TestBootRecoversFirst(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	dir := t.TempDir()
	manyModules(t, dir, 1, 2)
	boot(t, dir)
	left := dir + "/var/mod0/1/6.1.0-1-test/.tmp_x86_64_AbC123"
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/var/.lock", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/var/.lock/build!mod0!1!6.1.0-1-test!x86_64", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	boot(t, dir)
	for _, name := range []string{left, dir + "/var/.lock"} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("after the boot there is %s", name)
		}
	}
}

// BenchmarkBoot measures what dkms.service starts when there is nothing to do, from the start of the first process to the end
// of the last. It is to be less than 20 ms.
func BenchmarkBoot(b *testing.B) {
	for _, modules := range []int{10, 50} {
		b.Run(fmt.Sprintf("%dx2", modules), func(b *testing.B) {
			dir := b.TempDir()
			manyModules(b, dir, modules, 2)
			boot(b, dir)
			var busy time.Duration
			for b.Loop() {
				out, took := boot(b, dir)
				if out != "" {
					b.Fatalf("with everything in place it printed\n%s", out)
				}
				busy += took
			}
			b.ReportMetric(busy.Seconds()*1e3/float64(b.N), "cpu-ms/op") // whatever else the machine does
		})
	}
}

// boot starts what dkms.service says, for the first kernel of manyModules, and returns what is printed and the processor time.
func boot(tb testing.TB, dir string) (string, time.Duration) {
	tb.Helper()
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	var took time.Duration
	for _, args := range bootCommands(tb) {
		cmd := exec.CommandContext(tb.Context(), exe, slices.Concat(args[1:],
			[]string{"--dkmstree", dir + "/var", "--sourcetree", dir + "/src", "--installtree", dir + "/lib"})...)
		cmd.Args[0] = "dkms"
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "try_sign_modules=false", "DKMS_CRASH=never 0 / /"}
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			tb.Fatalf("%v: %v\n%s", args, err, out.String())
		}
		took += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return out.String(), took
}

// bootCommands returns the command lines of dkms.service, with the specifier of the kernel filled in.
func bootCommands(tb testing.TB) [][]string {
	tb.Helper()
	unit, err := os.ReadFile("../../packaging/systemd/dkms.service")
	if err != nil {
		tb.Fatal(err)
	}
	var commands [][]string
	for line := range strings.Lines(string(unit)) {
		key, command, _ := strings.Cut(strings.TrimSpace(line), "=")
		if strings.HasPrefix(key, "ExecStart") {
			commands = append(commands, strings.Fields(strings.ReplaceAll(strings.TrimPrefix(command, "-"), "%v", "6.1.0-0-test")))
		}
	}
	if len(commands) == 0 {
		tb.Fatal("dkms.service starts nothing")
	}
	return commands
}
