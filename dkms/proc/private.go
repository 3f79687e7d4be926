package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Private is a view of the machine that a program shares with nobody but what
// it starts: mount and PID namespaces (namespaces(7)). Unlike with Confine the
// program does not run where they cannot be had, because it would find itself
// in a wrong place; Privacy tells in advance.
//
// What the program leaves running in the background ends with it, even outside
// its process group, after the same short while for a last word that it has
// otherwise. A signal for the program reaches all of them.
type Private struct {
	// Binds are laid over the tree in this order. Nobody outside sees them.
	Binds []Bind

	probe bool // end instead of executing the program
}

// Bind lays one directory over another (mount(8), --bind). Both are paths inside
// Root, both exist, and links are followed.
//
// The kernel takes the bind away when somebody outside removes or renames Target
// itself, though not when its contents change.
type Bind struct {
	Source string // what is to be seen
	Target string // where it is to be seen
}

// Privacy returns nil if programs in the directory root (a host path) can have a
// view of the machine of their own, and otherwise what stands in the way: we
// are not root, or in a container that allows no mounts, or in a chroot that is
// no mount point. It starts a process to find out.
func Privacy(ctx context.Context, root string) error {
	return Host{}.Run(ctx, Cmd{Args: []string{"/"}, Root: root, Private: &Private{probe: true}})
}

// startPrivate starts the helper as the first process of new namespaces. It
// stays there: a program that is the first process itself would ignore the
// signals it has no handler for, and be given the orphans of all others.
func startPrivate(c Cmd, program string, files []*os.File) (*leader, error) {
	if c.Private.probe {
		program = ""
	}
	if c.Confine != nil {
		return nil, errors.New("a program cannot be both confined and private")
	}
	l, err := startHelper(c, program, files, &syscall.SysProcAttr{
		Setpgid:    true,
		Pdeathsig:  syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID,
	})
	if err != nil {
		return nil, fmt.Errorf("new namespaces for program %q: %w", c.Args[0], err)
	}
	return l, nil
}

// detach keeps mounts made from now on to ourselves. Changes outside still
// reach us, so that a file system that is unmounted there does not stay in use.
func (*Private) detach() error {
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
}

// arrange lays the binds over the tree, inside the root, and has /proc show the
// processes of the new namespace. Where there is no /proc, or another one may
// not be had, what is there stays.
func (p *Private) arrange() error {
	for _, bind := range p.Binds {
		if err := unix.Mount(bind.Source, bind.Target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	var stat unix.Statfs_t
	if unix.Statfs("/proc", &stat) == nil && stat.Type == unix.PROC_SUPER_MAGIC {
		_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	return nil
}
