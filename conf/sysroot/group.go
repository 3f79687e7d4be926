package sysroot

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Group replaces several files of one directory, all of them or none. It is not
// for two goroutines at once.
//
// There is no system call for that, so there is a way back. New files are written
// and synced in a directory of their own, NAME.new. The files that are there get a
// second name each, by a hard link, in a directory that then becomes NAME.old: from
// here on the old set can be had back. The new files are renamed to where they
// belong, one after the other, the directory is synced, and NAME.old goes. What
// fails meanwhile is undone. When the process is killed, NAME.old stays, and
// whoever next opens the group puts its files back first.
//
// So between the kill and that there may be new files beside old ones, each of them
// whole.
type Group struct {
	root     *Root
	dir      *os.File // locked
	host     string   // of dir
	new, old string   // host paths
}

// Content is one file of a Group.
type Content struct {
	Name string // in the directory
	Perm fs.FileMode
	Fill func(w io.Writer) error
}

// absentSuffix marks in NAME.old what was not there.
const absentSuffix = ".absent"

// LockGroup opens the group with a name in the directory at abs, and undoes what a
// process that was killed has left of it. It waits for others that have it open.
func (r *Root) LockGroup(ctx context.Context, abs, name string) (*Group, error) {
	dir, err := r.open("open", abs, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	host, err := r.follow("open", abs)
	if err == nil {
		err = lockDir(ctx, dir)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	g := &Group{root: r, dir: dir, host: host, new: filepath.Join(host, name+".new"), old: filepath.Join(host, name+".old")}
	if err := g.recover(); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return g, nil
}

// Close unlocks the group.
func (g *Group) Close() { _ = g.dir.Close() }

// lockDir waits for a lock on a directory. A file system without locks does without.
func lockDir(ctx context.Context, dir *os.File) error {
	for {
		err := flock(dir, false)
		switch {
		case err == nil, errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return &fs.PathError{Op: "flock", Path: dir.Name(), Err: err}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Replace puts the contents in place, in their order.
func (g *Group) Replace(contents []Content) error {
	for _, c := range contents {
		if err := replaceable(filepath.Join(g.host, c.Name)); err != nil {
			return err
		}
	}
	err := g.prepare(contents)
	if err == nil {
		err = g.swap(contents)
	}
	if err != nil {
		return errors.Join(err, g.recover())
	}
	return g.commit()
}

// prepare writes everything and changes nothing that is seen.
func (g *Group) prepare(contents []Content) error {
	aside := filepath.Join(g.new, "old")
	for _, dir := range []string{g.new, aside} {
		if err := g.mkdir(dir); err != nil {
			return err
		}
	}
	for _, c := range contents {
		if err := g.write(c); err != nil {
			return err
		}
	}
	if err := g.syncAll(contents); err != nil {
		return err
	}
	for _, c := range contents {
		if err := g.keep(c.Name, aside); err != nil {
			return err
		}
	}
	if err := g.rename(aside, g.old); err != nil {
		return err
	}
	return g.root.syncDir(g.host)
}

func (g *Group) mkdir(host string) error {
	if err := g.root.step("mkdir", host); err != nil {
		return err
	}
	return os.Mkdir(host, 0o700)
}

func (g *Group) write(c Content) error {
	host := filepath.Join(g.new, c.Name)
	if err := g.root.step("create", host); err != nil {
		return err
	}
	f, err := os.OpenFile(host, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(stepWriter{g.root, f}, 64<<10)
	err = c.Fill(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = g.root.chmod(f, c.Perm)
	}
	return errors.Join(err, f.Close())
}

// syncAll syncs the new files. They are one transaction to most file systems, if
// they are asked at the same time.
func (g *Group) syncAll(contents []Content) error {
	var e errgroup.Group
	e.SetLimit(max(4, runtime.GOMAXPROCS(0)))
	for _, c := range contents {
		e.Go(func() error { return g.root.syncFile(filepath.Join(g.new, c.Name)) })
	}
	return e.Wait()
}

// keep gives the file that is there a second name in a directory, or a copy where
// the file system has no second names.
func (g *Group) keep(name, aside string) error {
	from, to := filepath.Join(g.host, name), filepath.Join(aside, name)
	if err := g.root.step("link", to); err != nil {
		return err
	}
	err := os.Link(from, to)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return g.mkdir(to + absentSuffix)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EMLINK):
		return g.copyAside(from, to)
	}
	return err
}

func (g *Group) copyAside(from, to string) error {
	src, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	return g.root.replace(to, info.Mode().Perm(), durable, func(dst *os.File) error { return copyContent(dst, src) })
}

// swap lets the new files take their places.
func (g *Group) swap(contents []Content) error {
	for _, c := range contents {
		if err := g.rename(filepath.Join(g.new, c.Name), filepath.Join(g.host, c.Name)); err != nil {
			return err
		}
	}
	return g.root.syncDir(g.host)
}

func (g *Group) rename(from, to string) error {
	if err := g.root.step("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// commit gives up the way back. What is left after that is rubbish, so failing to
// remove it is no failure of the group; the next one will.
func (g *Group) commit() error {
	err := g.rename(g.old, filepath.Join(g.new, "old"))
	if err == nil {
		err = g.root.syncDir(g.host)
	}
	if err != nil {
		return errors.Join(err, g.recover())
	}
	_ = g.discard(g.new)
	return nil
}

// recover puts the old files back if there is a way back, and removes what is left
// of a try to replace them. It may be cut off anywhere, and begun again.
func (g *Group) recover() error {
	entries, err := os.ReadDir(g.old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	gone := errors.Is(err, fs.ErrNotExist)
	for _, e := range entries {
		if err := g.restore(e); err != nil {
			return err
		}
	}
	if !gone {
		if err := g.root.syncDir(g.host); err != nil {
			return err
		}
		if err := g.discard(g.old); err != nil {
			return err
		}
	}
	return g.discard(g.new)
}

// restore puts one of the old files back. Its second name stays until all are back.
func (g *Group) restore(e fs.DirEntry) error {
	kept := filepath.Join(g.old, e.Name())
	if !e.IsDir() {
		return g.rename(kept, filepath.Join(g.host, e.Name()))
	}
	name := e.Name()[:max(0, len(e.Name())-len(absentSuffix))]
	if name == "" {
		return nil
	}
	host := filepath.Join(g.host, name)
	if err := g.root.step("remove", host); err != nil {
		return err
	}
	if err := os.Remove(host); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// discard removes one of the group's own directories, if it is there.
func (g *Group) discard(host string) error {
	if _, err := os.Lstat(host); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := g.root.step("remove", host); err != nil {
		return err
	}
	return os.RemoveAll(host)
}

// ReplaceLoosely makes data the content of the file at abs, atomically, but not
// durably: after a crash of the machine it may be the old file, the new one or a
// damaged one. It is for what can be found out to be damaged, and made again.
func (r *Root) ReplaceLoosely(abs string, perm fs.FileMode, data []byte) error {
	host, err := r.Resolve(abs)
	if err != nil {
		return err
	}
	if err := replaceable(host); err != nil {
		return err
	}
	var f *os.File
	temp, err := r.newName(host, "create", func(name string) (err error) {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	_, err = stepWriter{r, f}.Write(data)
	if err == nil {
		err = r.chmod(f, perm)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = r.step("rename", host)
	}
	if err == nil {
		err = os.Rename(temp, host)
	}
	if err != nil {
		return errors.Join(err, r.discard(temp))
	}
	return nil
}
