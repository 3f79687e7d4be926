package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// When there is nothing to do, sync starts no process: the kernel would end it if it did.
func TestSyncOfNothingStartsNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	dir := t.TempDir()
	manyModules(t, dir, 3, 2)
	choosy(t, dir+"/src/mod2-1/dkms.conf")
	args := syncArgs(dir)
	if out, err := alone(t, args); err == nil {
		t.Fatalf("the first sync, which has to run make, was not ended:\n%s", out)
	}
	if out, err := dkmsProcess(t, args).CombinedOutput(); err != nil {
		t.Fatalf("dkms sync: %v\n%s", err, out)
	}
	before := lastChange(t, dir)
	if out, err := alone(t, args); err != nil || out != "" {
		t.Errorf("the second sync: %v\n%s", err, out)
	}
	if after := lastChange(t, dir); after != before {
		t.Errorf("the second sync has changed something: %s, before it %s", after, before)
	}
}

// Status starts no process for plain files, and has no need to look through the modules of a kernel.
func TestStatusStartsNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("installing needs root")
	}
	dir := t.TempDir()
	manyModules(t, dir, 3, 2)
	args := syncArgs(dir)
	if out, err := dkmsProcess(t, args).CombinedOutput(); err != nil {
		t.Fatalf("dkms sync: %v\n%s", err, out)
	}
	modules := dir + "/lib/6.1.0-0-test/kernel"
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	opened := watchOpens(t, modules)
	args = slices.Concat([]string{"status"}, args[3:])
	if out, err := alone(t, args); err != nil || strings.Count(out, ": installed\n") != 6 {
		t.Errorf("dkms status: %v\n%s", err, out)
	}
	if opened() {
		t.Errorf("dkms status has opened %s", modules)
	}
	if _, err := os.ReadDir(modules); err != nil || !opened() {
		t.Errorf("opening %s is not seen, %v", modules, err)
	}
	conf, err := os.OpenFile(dir+"/src/mod0-1/dkms.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conf.WriteString("STRIP=$(echo no)\n"); err != nil {
		t.Fatal(err)
	}
	if err := conf.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := alone(t, args); err == nil {
		t.Errorf("dkms status of a file that only bash can read was not ended:\n%s", out)
	}
}

// watchOpens returns a function that tells whether a directory was opened since it was asked last.
func watchOpens(t *testing.T, dir string) func() bool {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		n, err := unix.Read(fd, make([]byte, 4096))
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		return n > 0
	}
}

// choosy has a module not want any kernel.
func choosy(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(text, "BUILD_EXCLUSIVE_KERNEL=^5\n"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkSyncNothing measures "dkms sync" of modules × kernels that are all up to date, from argument list to end. 50 × 5
// are to take less than 50 ms.
func BenchmarkSyncNothing(b *testing.B) {
	for _, size := range []struct{ modules, kernels int }{{10, 5}, {50, 5}} {
		b.Run(fmt.Sprintf("%dx%d", size.modules, size.kernels), func(b *testing.B) {
			dir := b.TempDir()
			manyModules(b, dir, size.modules, size.kernels)
			args := syncArgs(dir)
			var out bytes.Buffer
			if status := run(b.Context(), args, &out, &out); status != 0 {
				b.Fatalf("dkms sync: exit status %d\n%s", status, out.String())
			}
			out.Reset()
			if status := run(b.Context(), args, &out, &out); status != 0 || out.Len() > 0 {
				b.Fatalf("the second dkms sync: exit status %d\n%s", status, out.String())
			}
			began := processorTime(b)
			for b.Loop() {
				run(context.Background(), args, &out, &out)
			}
			b.ReportMetric(float64(processorTime(b)-began)/1e6/float64(b.N), "cpu-ms/op") // whatever else the machine does
		})
	}
}

// processorTime is what this process has used of the processors, in nanoseconds.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func syncArgs(dir string) []string {
	return []string{"sync", "-j", "2", "--dkmstree", dir + "/var", "--sourcetree", dir + "/src", "--installtree", dir + "/lib"}
}

// manyModules fabricates modules that need no compiler, with sources of twenty files, and kernels with headers.
func manyModules(tb testing.TB, dir string, modules, kernels int) {
	tb.Helper()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	for m := range modules {
		name := fmt.Sprintf("mod%d", m)
		src := dir + "/src/" + name + "-1"
		write(src+"/dkms.conf", fmt.Sprintf("PACKAGE_NAME=%q\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME[0]=%q\nDEST_MODULE_LOCATION[0]=/kernel/misc\n"+
			"AUTOINSTALL=yes\nSTRIP=no\nMAKE[0]=\"cp file0.c %s.ko\"\n", name, name, name))
		for n := range 20 {
			write(fmt.Sprintf("%s/file%d.c", src, n), name)
		}
		if err := os.MkdirAll(dir+"/var/"+name+"/1", 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.Symlink(src, dir+"/var/"+name+"/1/source"); err != nil {
			tb.Fatal(err)
		}
	}
	for k := range kernels {
		for _, f := range []string{"build/include/config/auto.conf", "build/Module.symvers", "modules.order", "modules.builtin", "modules.dep"} {
			write(fmt.Sprintf("%s/lib/6.1.0-%d-test/%s", dir, k, f), "")
		}
	}
}

// dkmsProcess is the program in a process of its own.
func dkmsProcess(t *testing.T, args []string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Args[0] = "dkms"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "try_sign_modules=false", "DKMS_CRASH=never 0 / /"}
	return cmd
}

// alone runs the program so that the kernel ends it as soon as it starts another process.
func alone(t *testing.T, args []string) (string, error) {
	t.Helper()
	cmd := dkmsProcess(t, args)
	cmd.Env = append(cmd.Env, "DKMS_ALONE=yes")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// stayAlone has the kernel end this process if it starts another one; threads are no processes (seccomp(2)).
func stayAlone() error {
	const number, firstArg = 0, 16 // offsets in struct seccomp_data; of the argument the low half
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: k}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	filter := []unix.SockFilter{
		load(number),
		equal(unix.SYS_CLONE3, 0, 1),
		ret(unix.SECCOMP_RET_ERRNO | uint32(syscall.ENOSYS)), // who gets this tries clone
		equal(unix.SYS_CLONE, 0, 3),
		load(firstArg),
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 1, Jf: 0, K: unix.CLONE_THREAD},
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		ret(unix.SECCOMP_RET_ALLOW),
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// lastChange names what was changed last below dir, and when.
func lastChange(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "find", dir, "-printf", `%C+ %p\n`).Output()
	if err != nil {
		t.Fatal(err)
	}
	var last string
	for line := range strings.Lines(string(out)) {
		last = max(last, line)
	}
	return last
}
