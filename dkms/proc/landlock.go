package proc

import (
	"os"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// landlock forbids writing and the network as far as the kernel's Landlock
// knows how to (landlock(7)), and confines signals and abstract sockets to the
// program and its children. It always forbids to gain rights by a setuid bit
// (no_new_privs).
//
// Only this thread is restricted, the one that execve turns into the program.
// The package landlock restricts all threads, which it finds in /proc/PID/task,
// and so runs in circles where /proc belongs to another PID namespace.
func (c *Confine) landlock() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	abi, err := landlock.LandlockGetABIVersion()
	if err != nil {
		return err
	}
	handled := c.handled(abi)
	if handled == (landlock.RulesetAttr{}) {
		return nil
	}
	ruleset, err := landlock.LandlockCreateRuleset(&handled, 0)
	if err != nil {
		return err
	}
	if handled.HandledAccessFS != 0 {
		if err := c.allow(ruleset, handled.HandledAccessFS); err != nil {
			return err
		}
	}
	return landlock.LandlockRestrictSelf(ruleset, 0)
}

// handled returns what is forbidden unless a rule allows it: all that c asks
// for and this version of Landlock knows.
func (c *Confine) handled(abi int) landlock.RulesetAttr {
	var attr landlock.RulesetAttr
	if c.ReadOnly {
		attr.HandledAccessFS = knownFS(abi)
	}
	if c.NoNetwork && abi >= 4 {
		attr.HandledAccessNet = landlock.AccessNetBindTCP | landlock.AccessNetConnectTCP
	}
	if c.NoNetwork && abi >= 10 {
		attr.HandledAccessNet |= landlock.AccessNetBindUDP | landlock.AccessNetConnectSendUDP
	}
	if abi >= 6 {
		attr.Scoped = landlock.ScopeAbstractUnixSocket | landlock.ScopeSignal
	}
	return attr
}

// knownFS returns the rights to files that a version of Landlock knows. They
// are numbered in the order in which they came.
func knownFS(abi int) uint64 {
	last := uint64(landlock.AccessFSMakeSym)
	switch {
	case abi >= 9:
		last = landlock.AccessFSResolveUnix
	case abi >= 5:
		last = landlock.AccessFSIoctlDev
	case abi >= 3:
		last = landlock.AccessFSTruncate
	case abi >= 2:
		last = landlock.AccessFSRefer
	}
	return last<<1 - 1
}

// allow adds to the ruleset that everything may be read, and what may be
// written. The rights in handled are those there are.
func (c *Confine) allow(ruleset int, handled uint64) error {
	const (
		reading = landlock.AccessFSExecute | landlock.AccessFSReadFile | landlock.AccessFSReadDir
		file    = landlock.AccessFSExecute | landlock.AccessFSReadFile |
			landlock.AccessFSWriteFile | landlock.AccessFSTruncate | landlock.AccessFSIoctlDev
		writing = ^uint64(landlock.AccessFSIoctlDev | landlock.AccessFSResolveUnix)
	)
	if err := allow(ruleset, handled, "/", reading, file); err != nil {
		return err
	}
	for _, path := range append([]string{os.DevNull}, c.Writable...) {
		if err := allow(ruleset, handled, path, writing, file); err != nil {
			return err
		}
	}
	return nil
}

// allow adds a rule for what is at and below path. A right that makes sense for
// directories only would be an error on a file, so there is a second set. A path
// that cannot be opened is passed over.
func allow(ruleset int, handled uint64, path string, dir, file uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	rights := dir
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights = file
	}
	rule := landlock.PathBeneathAttr{AllowedAccess: rights & handled, ParentFd: fd}
	return landlock.LandlockAddPathBeneathRule(ruleset, &rule, 0)
}
