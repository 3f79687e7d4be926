package jobserver

import "golang.org/x/sys/unix"

const (
	memoryPerJob = 1 << 30 // what a compiler, or a linker with debug information, may need at worst
	filesPerJob  = 16      // pipes, logs and directories that a make run costs us
)

// Budget returns how many jobs are sensible at once: jobs, or fewer where memory
// (in bytes) or openFiles (our limit of descriptors) are short, and at least
// one. Zero stands for a limit that is not known.
func Budget(jobs int, memory, openFiles uint64) int {
	for _, limit := range []struct{ have, each uint64 }{{memory, memoryPerJob}, {openFiles, filesPerJob}} {
		if limit.have > 0 {
			jobs = int(min(uint64(max(jobs, 1)), limit.have/limit.each))
		}
	}
	return max(jobs, 1)
}

// OpenFiles returns how many descriptors this process may have (RLIMIT_NOFILE),
// or zero if that cannot be told.
func OpenFiles() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}
