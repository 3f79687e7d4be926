package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"dkms-go/conf/sysroot"
)

// ledger sees every change before it is made, and ends the program at one of them. It keeps account of what would be on disk
// if the power failed: of each directory what was in it when it was last synced, of each file what it held then.
type ledger struct {
	how string // count, kill, forget, empty, full or never
	at  int
	dir string // what is kept account of
	out string

	mu      sync.Mutex
	count   int
	inodes  map[uint64]inode
	content map[uint64][]byte            // of files, as they were synced
	entries map[uint64]map[string]uint64 // of directories, likewise
}

// inode is what is known of a file without looking into it.
type inode struct {
	info   fs.FileInfo
	target string // of a link
}

func (w *ledger) open(dir string) (*sysroot.Root, error) {
	root, err := sysroot.Open(dir)
	if err != nil || w.how == "never" {
		return root, err
	}
	if w.cuts() {
		w.inodes, w.content, w.entries = map[uint64]inode{}, map[uint64][]byte{}, map[uint64]map[string]uint64{}
		w.look(w.dir, true)
	}
	return root.Before(w.step), nil
}

// cuts reports whether the end is to be a power cut.
func (w *ledger) cuts() bool { return w.how == "forget" || w.how == "empty" }

// step is called before a change.
func (w *ledger) step(s sysroot.Step) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	switch {
	case w.how == "count":
		return nil
	case w.how == "full":
		if w.count >= w.at && slices.Contains([]string{"create", "write", "copy", "mkdir", "link", "symlink"}, s.Op) {
			return syscall.ENOSPC
		}
		return nil
	}
	if w.cuts() {
		w.look(w.dir, false)
	}
	if w.count == w.at {
		if w.cuts() {
			if err := w.cut(); err != nil {
				panic(err)
			}
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	if w.cuts() && s.Op == "sync" && strings.HasPrefix(s.Path, w.dir) {
		w.sync(s.Path)
	}
	return nil
}

// look takes account of everything that is there, in the beginning as of what is on disk.
func (w *ledger) look(dir string, synced bool) {
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		n := inode{info: info}
		if info.Mode()&fs.ModeSymlink != 0 {
			n.target, _ = os.Readlink(name)
		}
		w.inodes[number(info)] = n
		if synced {
			w.sync(name)
		}
		return nil
	})
}

func number(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// sync takes account of what fsync(2) makes last.
func (w *ledger) sync(name string) {
	info, err := os.Lstat(name)
	if err != nil {
		return
	}
	switch {
	case info.IsDir():
		w.entries[number(info)] = listing(name)
	case info.Mode().IsRegular():
		if text, err := os.ReadFile(name); err == nil {
			w.content[number(info)] = text
		}
	}
}

func listing(dir string) map[string]uint64 {
	l := map[string]uint64{}
	ents, err := os.ReadDir(dir)
	if err != nil {
		return l
	}
	for _, e := range ents {
		if info, err := e.Info(); err == nil {
			l[e.Name()] = number(info)
		}
	}
	return l
}

// cut writes down what is found after the power cut.
func (w *ledger) cut() error {
	info, err := os.Lstat(w.dir)
	if err != nil {
		return err
	}
	return w.restore(w.dir, w.out, number(info))
}

// restore makes at to what is left of the inode n, which is or was at from.
func (w *ledger) restore(from, to string, n uint64) error {
	node, known := w.inodes[n]
	switch {
	case !known:
		return nil
	case node.info.Mode()&fs.ModeSymlink != 0:
		return os.Symlink(node.target, to)
	case node.info.Mode().IsRegular():
		err := os.WriteFile(to, w.content[n], node.info.Mode().Perm())
		return errors.Join(err, os.Chtimes(to, node.info.ModTime(), node.info.ModTime()))
	case !node.info.IsDir():
		return nil
	}
	if err := os.Mkdir(to, node.info.Mode().Perm()|0o700); err != nil {
		return err
	}
	entries := w.entries[n]
	if w.how == "empty" {
		entries = listing(from)
	}
	for name, m := range entries {
		if err := w.restore(filepath.Join(from, name), filepath.Join(to, name), m); err != nil {
			return err
		}
	}
	return nil
}
