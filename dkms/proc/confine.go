package proc

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Confine says which rights a program loses. Each is taken away by the means
// that the kernel and our own rights allow, and where there are none it stays:
// a program is always run, since an administrator in a container without
// namespaces still wants the module built.
//
// A confined program is always alone in new PID and IPC namespaces where
// these can be had, in a user namespace if we are not root. What it leaves
// running in the background dies with it, even outside its process group. As
// the first process there it ignores signals it has no handler for, its own
// included, except SIGKILL from outside. And it cannot gain rights by running
// setuid programs.
type Confine struct {
	// ReadOnly forbids writing to files, but for /dev/null and what Writable
	// lists (Landlock). Descriptors that the program was given stay as they
	// are. As root it goes together with User, because Landlock knows no
	// chmod and chown.
	ReadOnly bool

	// NoNetwork forbids reaching the network (an empty network namespace, and
	// Landlock for TCP).
	NoNetwork bool

	// User runs the program as nobody, without any capability, if we are root.
	User bool

	// Writable lists the files and directories inside the root that
	// ReadOnly does not cover. Those that do not exist are passed over.
	Writable []string

	// ReadAll lets the user nobody read all files that root can read
	// (CAP_DAC_READ_SEARCH).
	ReadAll bool
}

// nobody is the user and the group that owns nothing: the kernel's own number
// for one that it cannot express (overflowuid, proc_sys_kernel(5)).
const nobody = 65534

// harmless tells whether a program confined like this leaves nothing half done
// when it is killed.
func (c *Confine) harmless() bool {
	return c != nil && c.ReadOnly && len(c.Writable) == 0
}

// startConfined starts the program by way of the helper, with as many new
// namespaces as can be had.
func startConfined(c Cmd, program string, files []*os.File) (*leader, error) {
	for _, sys := range namespaces(c.Confine) {
		l, err := startHelper(c, program, files, sys)
		if err == nil {
			return l, nil
		}
	}
	// Without /proc there is no helper.
	return startUnhelped(c, program, files)
}

// namespaces lists the ways to start the helper, the most confined one first.
func namespaces(c *Confine) []*syscall.SysProcAttr {
	separate := uintptr(unix.CLONE_NEWPID | unix.CLONE_NEWIPC)
	flags := []uintptr{separate}
	if c.NoNetwork {
		flags = []uintptr{separate | unix.CLONE_NEWNET, unix.CLONE_NEWNET, separate}
	}
	var ways []*syscall.SysProcAttr
	for _, flag := range flags {
		direct := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: flag}
		user := *direct
		inUserNamespace(&user)
		ways = append(ways, direct, &user)
	}
	return append(ways, &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL})
}

// inUserNamespace has the child start in a new user namespace, where it has the
// capabilities that it lacks outside: to chroot, and to have the other
// namespaces. It keeps its user, and root keeps the way to nobody open.
func inUserNamespace(sys *syscall.SysProcAttr) {
	sys.Cloneflags |= unix.CLONE_NEWUSER
	uid, gid := os.Geteuid(), os.Getegid()
	sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	if uid == 0 {
		to := syscall.SysProcIDMap{ContainerID: nobody, HostID: nobody, Size: 1}
		sys.UidMappings = append(sys.UidMappings, to)
		sys.GidMappings = append(sys.GidMappings, to)
		sys.GidMappingsEnableSetgroups = true
		return
	}
	sys.AmbientCaps = []uintptr{unix.CAP_SYS_CHROOT} // for the helper; it gives it back
}

// startUnhelped starts the program without the helper, as nobody if that is
// asked for and possible.
func startUnhelped(c Cmd, program string, files []*os.File) (*leader, error) {
	if !c.Confine.User || c.Confine.ReadAll || os.Geteuid() != 0 {
		return startPlain(c, program, files)
	}
	process, err := os.StartProcess(program, c.Args, &os.ProcAttr{
		Dir: c.Dir, Env: environ(c), Files: files, Sys: &syscall.SysProcAttr{
			Setpgid:    true,
			Pdeathsig:  syscall.SIGTERM,
			Chroot:     c.Root,
			Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		},
	})
	if err != nil {
		return startPlain(c, program, files)
	}
	return &leader{Process: process, program: program}, nil
}
