package jobserver_test

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"dkms-go/build/jobserver"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, test := range []struct {
		jobs          int
		memory, files uint64
		want          int
	}{
		{8, 0, 0, 8},
		{8, 64 * gib, 1 << 20, 8},
		{8, 4 * gib, 1 << 20, 4},
		{8, 4*gib - 1, 1 << 20, 3},
		{8, gib / 2, 1 << 20, 1},
		{8, 1, 1, 1},
		{8, 64 * gib, 64, 4},
		{64, 1 << 63, 1024, 64},
		{0, 64 * gib, 1024, 1},
		{-1, 0, 0, 1},
	} {
		if got := jobserver.Budget(test.jobs, test.memory, test.files); got != test.want {
			t.Errorf("Budget(%d, %d, %d) = %d, want %d", test.jobs, test.memory, test.files, got, test.want)
		}
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	const meminfo = "MemTotal:        8000000 kB\nMemFree:          100 kB\nMemAvailable:    4000000 kB\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"nothing known", nil, 0},
		{"no groups", map[string]string{"proc/meminfo": meminfo}, 4000000 << 10},
		{"no limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/user.slice\n",
			"sys/fs/cgroup/user.slice/memory.max": "max\n", "sys/fs/cgroup/user.slice/memory.current": "5\n",
		}, 4000000 << 10},
		{"version 2", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "3000\n", "sys/fs/cgroup/a/b/memory.current": "1000\n",
			"sys/fs/cgroup/a/b/memory.stat": "anon 600\nactive_file 300\ninactive_file 100\n",
		}, 2400},
		{"the parent's limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "3000\n", "sys/fs/cgroup/a/b/memory.current": "1000\n",
			"sys/fs/cgroup/a/memory.max": "1500\n", "sys/fs/cgroup/a/memory.current": "1000\n",
		}, 500},
		{"all used", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "3000\n", "sys/fs/cgroup/memory.current": "4000\n",
		}, 1},
		{"version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu:/x\n4:memory:/box\n0::/\n",
			"sys/fs/cgroup/memory/box/memory.limit_in_bytes": "7000\n", "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "5000\n",
			"sys/fs/cgroup/memory/box/memory.stat":       "active_file 1\ntotal_active_file 500\ntotal_inactive_file 500\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
		}, 3000},
		{"another view of the groups", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/0123\n",
			"sys/fs/cgroup/memory.max": "3000\n", "sys/fs/cgroup/memory.current": "1000\n",
		}, 2000},
	} {
		host := fstest.MapFS{}
		for name, text := range test.files {
			host[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := jobserver.Memory(host); got != test.want {
			t.Errorf("%s: Memory = %d, want %d", test.name, got, test.want)
		}
	}
}

// On this machine the answer is no more than what free(1) calls available, but
// for what others do meanwhile.
func TestMemoryHere(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "free", "--bytes").Output()
	if err != nil {
		t.Fatalf("free: %v (install procps)", err)
	}
	lines := strings.Split(string(out), "\n")
	fields := strings.Fields(lines[1])
	available, err := strconv.ParseUint(fields[len(fields)-1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if got := jobserver.Memory(os.DirFS("/")); got == 0 || got > available*5/4 {
		t.Errorf("Memory = %d, want about %d or less", got, available)
	}
}

func TestOpenFiles(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -n 100; exec "$0" "open files"`, os.Args[0]).Output()
	if got := string(bytes.TrimSpace(out)); got != "100" || err != nil {
		t.Errorf("OpenFiles under ulimit -n 100 = %s, %v", got, err)
	}
}
