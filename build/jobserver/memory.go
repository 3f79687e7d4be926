package jobserver

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Memory returns how many bytes of memory are to be had: what the machine has
// available (MemAvailable of proc_meminfo(5)), or what the limits of our control
// groups leave if that is less. host is the running system's "/". Zero means
// that it cannot be told.
func Memory(host fs.FS) uint64 {
	available := value(host, "proc/meminfo", "MemAvailable:") << 10
	for _, c := range controllers() {
		for dir := c.group(host); dir != ""; dir = parent(dir) {
			left, ok := c.left(host, path.Join(c.mount, dir))
			if ok && (available == 0 || left < available) {
				available = max(left, 1)
			}
		}
	}
	return available
}

// controller is where one version of control groups keeps its numbers
// (cgroups(7), and the kernel's cgroup-v2.rst and cgroup-v1/memory.rst).
type controller struct {
	name        string // the second field of its line in /proc/self/cgroup
	mount       string
	limit, used string   // files
	cache       []string // lines of memory.stat: used, but given back when somebody wants it
}

func controllers() []controller {
	return []controller{
		{"", "sys/fs/cgroup", "memory.max", "memory.current", []string{"active_file", "inactive_file"}},
		{
			"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
			[]string{"total_active_file", "total_inactive_file"},
		},
	}
}

// group returns the path of our group below the mount point, or "" where the
// controller does not know us.
func (c controller) group(host fs.FS) string {
	text, _ := fs.ReadFile(host, "proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[1] == c.name {
			return path.Join("/", fields[2])
		}
	}
	return ""
}

// parent returns the group that dir is in. A limit holds for all groups below.
// Inside of a container the path may be the one outside; its top is then ours.
func parent(dir string) string {
	if dir == "/" {
		return ""
	}
	return path.Dir(dir)
}

// left returns what the group in dir has not used of its limit, if it has one.
func (c controller) left(host fs.FS, dir string) (uint64, bool) {
	limit, err := number(host, path.Join(dir, c.limit))
	if err != nil {
		return 0, false // "max", or no such file
	}
	used, err := number(host, path.Join(dir, c.used))
	if err != nil {
		return 0, false
	}
	for _, name := range c.cache {
		used -= min(used, value(host, path.Join(dir, "memory.stat"), name))
	}
	return limit - min(limit, used), true
}

// number reads a file that holds one number.
func number(host fs.FS, name string) (uint64, error) {
	text, err := fs.ReadFile(host, name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// value reads the number that follows the word name at the beginning of a line.
func value(host fs.FS, file, name string) uint64 {
	text, _ := fs.ReadFile(host, file)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == name {
			n, _ := strconv.ParseUint(fields[1], 10, 64)
			return n
		}
	}
	return 0
}
