package dkms_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"dkms-go/dkms"
)

// difference: several runs at once
// flock(1) plays another run: who wants a lock waits for it, says for whom, once, and can be told to stop waiting.
func TestLockWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	dir := filepath.Join(p.dir, "var/lib/dkms/.lock")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kernel!6.1.0")
	other := exec.CommandContext(t.Context(), "flock", file, "sh", "-c", `echo "42 dkms install" >"$0"; echo locked; read line`, file)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatalf("flock: %v (install util-linux)", err)
	}
	if _, err := out.Read(make([]byte, 7)); err != nil { // it has the lock
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var told []dkms.Event
	if _, err := p.Lock(ctx, func(e dkms.Event) { told = append(told, e); cancel() }, dkms.KernelLock("6.1.0")); kindOf(err) != dkms.Interrupted {
		t.Errorf("Lock = %v, want kind %v", err, dkms.Interrupted)
	}
	want := dkms.LockAwaited{What: "kernel 6.1.0", Holder: "42 dkms install"}
	if len(told) != 1 || told[0] != want {
		t.Errorf("events %v, want %v", told, want)
	}

	h, err := p.Lock(t.Context(), func(dkms.Event) { in.Close() }, dkms.KernelLock("6.1.0")) // the other one ends when it is waited for
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), "flock", "--nonblock", file, "true").Run(); err == nil {
		t.Error("flock(1) gets the lock as well")
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), fmt.Sprint(os.Getpid())) {
		t.Errorf("the file says %q, %v; want the number of this process", text, err)
	}
	h.Unlock()
	h.Unlock()
	if files := p.files(t, "var/lib/dkms"); len(files) > 0 {
		t.Errorf("after Unlock there are %v", files)
	}
	_ = other.Wait()
}

// Many goroutines that want several locks, in any order, alone and together, all get them, and never two the same alone.
func TestLocksAmongGoroutines(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var alone, shared atomic.Int32
	i := instance("1")
	var g errgroup.Group
	for n := range 40 {
		locks := []dkms.Lock{dkms.KernelLock(i.Kernel), dkms.ModuleLock(i.Module), dkms.BuildLock(i)}
		if n%2 == 0 {
			locks = []dkms.Lock{dkms.BuildLock(i).Shared(), dkms.ModuleLock(i.Module).Shared()}
		}
		g.Go(func() error {
			for range 5 {
				h, err := p.Lock(t.Context(), silent, locks...)
				if err != nil {
					return err
				}
				if n%2 == 0 {
					shared.Add(1)
					if alone.Load() != 0 {
						t.Error("shared while somebody has it alone")
					}
					shared.Add(-1)
				} else {
					if alone.Add(1) != 1 || shared.Load() != 0 {
						t.Error("alone, but there are others")
					}
					alone.Add(-1)
				}
				h.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if files := p.files(t, "var/lib/dkms"); len(files) > 0 {
		t.Errorf("after all there are %v", files)
	}
}

// The mark of a kernel whose indexes are out of date is for others when its owner is gone, and not before.
func TestDirty(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := p.MarkDirty("6.1.0"); err != nil {
		t.Fatal(err)
	}
	other := newTree(t, p)
	if got := other.Dirty(); len(got) > 0 {
		t.Errorf("Dirty() = %v while the owner is there, want none", got)
	}
	if err := other.MarkDirty("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if err := p.Unmark("6.1.0"); err != nil { // the other one relies on it
		t.Fatal(err)
	}
	if files := p.files(t, "var/lib/dkms/.journal"); len(files) != 1 {
		t.Errorf("after Unmark of what others have marked there are %v, want the mark", files)
	}
	if err := other.ClearDirty("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if err := p.MarkDirty("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if err := p.Unmark("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if files := p.files(t, "var/lib/dkms"); len(files) > 0 {
		t.Errorf("after Unmark there are %v", files)
	}
	p.write(t, "var/lib/dkms/.journal/index!6.1.0", "")
	if got := fmt.Sprint(other.Dirty()); got != "[6.1.0]" {
		t.Errorf("Dirty() = %v, want [6.1.0]", got)
	}
	if err := other.MarkDirty("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if err := other.Unmark("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Dirty()); got != "[6.1.0]" {
		t.Errorf("after Unmark of what was marked before, Dirty() = %v, want [6.1.0]", got)
	}
	if err := p.ClearDirty("6.1.0"); err != nil {
		t.Fatal(err)
	}
	if files := p.files(t, "var/lib/dkms"); len(files) > 0 {
		t.Errorf("after ClearDirty there are %v", files)
	}
}

// newTree is the same registry, as another process has it.
func newTree(t *testing.T, p *place) *dkms.Tree {
	t.Helper()
	return dkms.Open(p.root, p.Options())
}
