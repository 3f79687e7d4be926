package dkms_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"dkms-go/conf/sysroot"
	"dkms-go/dkms"
)

// stuff fills a file system to the last byte.
func stuff(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, ".stuff"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Write = %v, want %v", err, syscall.ENOSPC)
	}
}

// What is deleted needs no room, and the reserve is there again when there is some.
func TestSpare(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	const spare = "var/lib/dkms/.spare"
	p := upgrade(t)
	p.dir = small(t, p.dir)
	root, err := sysroot.Open(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	p.open(root)
	wantSpare := func(when string) {
		t.Helper()
		if fi, err := os.Stat(filepath.Join(p.dir, spare)); err != nil || fi.Size() != dkms.SpaceForRecords {
			t.Errorf("%s the reserve is %v, %v; want %d bytes", when, fi, err, dkms.SpaceForRecords)
		}
	}
	wantSpare("after an installation")
	stuff(t, p.dir)
	i := instance("1")
	locked := func(f func() error, locks ...dkms.Lock) {
		t.Helper()
		h, err := p.Lock(t.Context(), silent, locks...)
		if err == nil {
			err = f()
		}
		if err != nil {
			t.Fatal(err)
		}
		h.Unlock()
	}
	locked(func() error {
		active, err := p.Uninstall(i, placements("a", "b"), dkms.UninstallOptions{}, silent)
		return errors.Join(err, p.Cleanup(i, active, silent), p.ClearDirty(i.Kernel))
	}, dkms.ModuleLock(i.Module).Shared(), dkms.KernelLock(i.Kernel))
	if got := p.files(t, "lib/modules/6.1.0"); len(got) != 1 || got["kernel/misc/a.ko"] != "original" {
		t.Errorf("after Uninstall the kernel has %v, want its own a.ko alone", got)
	}
	locked(func() error { return p.Unbuild(i) }, dkms.ModuleLock(i.Module).Shared(), dkms.BuildLock(i))
	if err := os.Remove(filepath.Join(p.dir, ".stuff")); err != nil {
		t.Fatal(err)
	}
	locked(func() error { return p.Unbuild(instance("2")) }, dkms.ModuleLock(module("2")).Shared(), dkms.BuildLock(instance("2")))
	wantSpare("with room")
	for _, version := range []string{"1", "2"} {
		locked(func() error { return p.Forget(module(version), silent) }, dkms.ModuleLock(module(version)))
	}
	if _, err := os.Stat(filepath.Join(p.dir, spare)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without modules the reserve is still there: %v", err)
	}
}
