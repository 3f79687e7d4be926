package sign

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Jail is what the question "is this a chroot?" is decided by.
type Jail struct {
	Env  []string
	Proc string // where proc is mounted, normally /proc
	Top  string // what is / here, compared with that of process 1; normally /
	UID  int    // only root can compare the two
}

// InChroot reports whether the program seems to run in a chroot
// (running_in_chroot, which follows Debian's ischroot): under fakechroot, or
// with other mounts than process 1, or, for root, with another root directory
// than process 1. A private mount namespace of any kind counts as well.
func (j Jail) InChroot() bool {
	return j.fakechroot() || j.otherMounts() || (j.UID == 0 && j.otherRoot())
}

func (j Jail) fakechroot() bool {
	isSet := slices.ContainsFunc(j.Env, func(s string) bool { return strings.HasPrefix(s, "FAKECHROOT_BASE=") })
	return isSet && lastSetting(j.Env, "FAKECHROOT") == "true" &&
		strings.Contains(lastSetting(j.Env, "LD_PRELOAD"), "libfakechroot.so")
}

func (j Jail) otherMounts() bool {
	first, err := os.ReadFile(filepath.Join(j.Proc, "1/mountinfo"))
	if err != nil {
		return false
	}
	own, err := os.ReadFile(filepath.Join(j.Proc, "self/mountinfo"))
	return err == nil && !bytes.Equal(first, own)
}

func (j Jail) otherRoot() bool {
	first, err := os.Stat(filepath.Join(j.Proc, "1/root"))
	if err != nil {
		return true
	}
	own, err := os.Stat(j.Top)
	return err != nil || !os.SameFile(first, own)
}
