package proc

import "golang.org/x/sys/unix"

// dropUser makes this thread, and so the program it executes, the user nobody
// without capabilities, as far as c says and the kernel allows. An ordinary
// user only loses what a new user namespace gave. (capabilities(7))
func (c *Confine) dropUser() {
	root := unix.Geteuid() == 0
	if root && !c.User {
		return
	}
	var keep uint64
	if root {
		if c.ReadAll {
			keep = 1 << unix.CAP_DAC_READ_SEARCH
		}
		// Without CAP_SETUID we stay root, but one that execve gives nothing
		// back to, because the bounding set is empty.
		limitBounding(keep)
		_ = unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
		_ = unix.Setgroups([]int{})
		_ = unix.Setresgid(nobody, nobody, nobody)
		_ = unix.Setresuid(nobody, nobody, nobody)
	}
	limitCapabilities(keep)
	// Changing the user has cleared it (prctl(2)).
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// limitBounding takes all capabilities but those in keep out of the bounding
// set.
func limitBounding(keep uint64) {
	for number := range uintptr(64) {
		if keep>>number&1 == 1 {
			continue
		}
		if unix.Prctl(unix.PR_CAPBSET_DROP, number, 0, 0, 0) == unix.EINVAL {
			return // the kernel's last one has been passed
		}
	}
}

// limitCapabilities makes the thread's capabilities those in keep, as far as it
// has them, and lets the program inherit them (as ambient ones).
func limitCapabilities(keep uint64) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return
	}
	for i := range data {
		have := data[i].Permitted & uint32(keep>>(32*i))
		data[i] = unix.CapUserData{Effective: have, Permitted: have, Inheritable: have}
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	if unix.Capset(&header, &data[0]) != nil {
		return
	}
	for number := range uintptr(64) {
		if keep>>number&1 == 1 {
			_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, number, 0, 0)
		}
	}
}
