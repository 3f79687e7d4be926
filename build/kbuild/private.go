package kbuild

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"dkms-go/conf/sysroot"
)

// PrivateDir is where the build directory of a private build for this kernel and
// architecture lies while it is at work; afterwards, the make.log of a build that
// failed. It is a neighbour of buildDir, hidden from those who look for kernels
// there.
func PrivateDir(buildDir, release, arch string) string {
	return path.Join(path.Dir(buildDir), ".build-"+release+"-"+arch)
}

// claim makes the directory at BuildDir that private builds are laid over, and
// locks it for as long as the build lasts. The kernel takes our directory away
// from us when somebody removes or renames that one, so whoever means to must
// have it locked for himself.
func (t *Tree) claim() error {
	root, dir := t.job.Root, t.job.BuildDir
	for {
		if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
			if err := root.Remove(dir); err != nil {
				return err
			}
		}
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		point, err := root.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody else was done with it just now
		}
		if err != nil {
			return err
		}
		if err := t.lockPoint(point); err != nil {
			return errors.Join(err, point.Close())
		}
		if t.isPoint(point) {
			t.point = point
			return nil
		}
		_ = point.Close() // read only
	}
}

// lockPoint locks the directory as one of those who use it. Who finds himself
// alone clears away what an earlier build has left.
func (t *Tree) lockPoint(point *os.File) error {
	if flock(point, unix.LOCK_EX|unix.LOCK_NB) == nil && t.isPoint(point) && t.leftBefore() {
		if err := t.empty(t.job.BuildDir); err != nil {
			return err
		}
	}
	return flock(point, unix.LOCK_SH)
}

// isPoint tells whether point still is what lies at BuildDir.
func (t *Tree) isPoint(point *os.File) bool {
	locked, err := point.Stat()
	if err != nil {
		return false
	}
	there, err := t.job.Root.Lstat(t.job.BuildDir)
	return err == nil && sysroot.SameFile(locked, there)
}

// leftBefore tells whether what lies at BuildDir is from before this run.
func (t *Tree) leftBefore() bool {
	if t.job.Began.IsZero() {
		return true
	}
	info, err := t.job.Root.Lstat(path.Join(t.job.BuildDir, "make.log"))
	return err != nil || info.ModTime().Add(roundedOff(info.ModTime())).Before(t.job.Began)
}

// roundedOff is by how much a file may be younger than its time says. Most file systems take the kernel's coarse clock, which
// is behind by up to a tick; some keep whole seconds, or every other one.
func roundedOff(mtime time.Time) time.Duration {
	if mtime.Nanosecond() == 0 {
		return 2 * time.Second
	}
	return 20 * time.Millisecond
}

// Discard removes the build directory after a build that has succeeded.
func (t *Tree) Discard() error {
	root := t.job.Root
	if t.point == nil {
		return root.RemoveAll(t.job.BuildDir)
	}
	err := root.RemoveAll(t.dir)
	// The last one to go takes the directory along that was covered, unless a
	// build that failed has left its own there.
	if flock(t.point, unix.LOCK_EX|unix.LOCK_NB) == nil && t.isPoint(t.point) {
		if entries, readErr := root.ReadDir(t.job.BuildDir); readErr == nil && len(entries) == 0 {
			err = errors.Join(err, root.Remove(t.job.BuildDir))
		}
	}
	t.release()
	return err
}

// Keep leaves the build directory at BuildDir, for somebody to see why what came
// after the build has failed. What another build has left there goes, unless
// this one yields: then its log only is kept, in the private directory.
func (t *Tree) Keep() error {
	if t.point == nil {
		return nil
	}
	defer t.release()
	root, log := t.job.Root, path.Base(t.log.abs)
	// One at a time: a lock on the directory of the module version.
	turn, err := root.Open(path.Dir(t.job.BuildDir))
	if err != nil {
		return err
	}
	defer turn.Close()
	if err := flock(turn, unix.LOCK_EX); err != nil {
		return err
	}
	if t.job.Yields != nil && t.job.Yields() {
		return t.empty(t.dir, log)
	}
	if err := t.publish(); err != nil {
		return err
	}
	// The next one to fail replaces all that, but not this copy of the log.
	err = root.MkdirAll(t.dir, 0o755)
	if err == nil {
		err = root.Copy(path.Join(t.job.BuildDir, log), path.Join(t.dir, log), 0o644)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // the build has removed its own log
	}
	t.dir = t.job.BuildDir
	return err
}

// publish makes what lies in the private directory what lies at BuildDir: by
// renaming it if nobody else is at work, and otherwise file by file into the
// directory that others have theirs laid over.
func (t *Tree) publish() error {
	root := t.job.Root
	if flock(t.point, unix.LOCK_EX|unix.LOCK_NB) == nil && t.isPoint(t.point) {
		if err := root.RemoveAll(t.job.BuildDir); err != nil {
			return err
		}
		return root.Rename(t.dir, t.job.BuildDir)
	}
	if err := flock(t.point, unix.LOCK_SH); err != nil { // to ask for more has cost us what we had
		return err
	}
	if err := t.empty(t.job.BuildDir); err != nil {
		return err
	}
	if err := root.CopyTree(context.Background(), t.dir, t.job.BuildDir); err != nil {
		return err
	}
	return root.RemoveAll(t.dir)
}

// release ends the private view of the directory.
func (t *Tree) release() {
	_ = t.point.Close() // read only; the lock goes with it
	t.point = nil
}

// failed leaves the build directory as it is to be after err: emptied when ctx
// has ended, and otherwise at BuildDir with its log.
func (t *Tree) failed(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return errors.Join(err, t.Keep())
	}
	if t.point != nil {
		gone := t.job.Root.RemoveAll(t.dir)
		t.release()
		return errors.Join(ctx.Err(), gone)
	}
	if t.job.Private { // not even begun
		return ctx.Err()
	}
	return errors.Join(ctx.Err(), t.empty(t.dir))
}

// empty removes what is in a directory, but for some names, and not the directory.
func (t *Tree) empty(dir string, but ...string) error {
	entries, err := t.job.Root.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // there is none
	}
	var errs []error
	for _, e := range entries {
		if slices.Contains(but, e.Name()) {
			continue
		}
		errs = append(errs, t.job.Root.RemoveAll(path.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// flock is flock(2). Other locks last but a moment.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}
