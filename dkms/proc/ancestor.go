package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Parent returns the process that has started a process, as proc_pid_status(5) tells; 0 where that is not known.
func Parent(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent, _ := strconv.Atoi(strings.TrimSpace(v)) // the kernel writes numbers
			return parent
		}
	}
	return 0
}

// Descends reports whether a process is the one that started this one, or the one that started that one, and so on. Where there
// is no /proc only the first is known.
func Descends(ancestor int) bool {
	for pid := os.Getppid(); pid > 0; pid = Parent(pid) {
		if pid == ancestor {
			return true
		}
	}
	return false
}
