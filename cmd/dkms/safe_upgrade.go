package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"dkms-go/dkms"
	"dkms-go/dkms/proc"
)

// rpm upgrades a package by installing the new one before it removes the old one. When both contain the same version of a
// module, the removal would undo the installation. With --rpm_safe_upgrade, add leaves a note for the rpm process that it
// works for, and remove does nothing when it finds such a note.

// noteSafeUpgrade writes the note: the module, and when the rpm process started.
func (s *session) noteSafeUpgrade(ctx context.Context, m dkms.Module) error {
	pid := grandparent()
	dir := s.Framework.TmpLocation
	tmp, err := s.root.MkdirTemp(dir, noteName(pid)+".*")
	if err != nil {
		return fmt.Errorf("note the upgrade: %w", err)
	}
	// The unique name is taken as a directory first, and given to the file then.
	if err := s.root.Remove(tmp); err != nil {
		return err
	}
	return s.root.WriteFile(tmp, []byte(note(m)+"\n"+s.started(ctx, pid)), 0o600)
}

// cancelledBySafeUpgrade reports whether a note says that the module was just added by the same rpm process, and deletes it.
func (s *session) cancelledBySafeUpgrade(ctx context.Context) (bool, error) {
	pid := grandparent()
	started := s.started(ctx, pid)
	if strings.TrimSpace(started) == "" {
		return false, nil
	}
	names, err := s.root.Glob(s.Framework.TmpLocation + "/" + noteName(pid) + ".*")
	if err != nil {
		return false, err
	}
	for _, name := range names {
		text, err := s.root.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		if string(text) == note(s.module)+"\n"+started {
			return true, s.root.Remove(name)
		}
	}
	return false, nil
}

func note(m dkms.Module) string { return m.Name + "-" + m.Version }

func noteName(pid int) string { return "dkms_rpm_safe_upgrade_lock." + strconv.Itoa(pid) }

// started returns when a process started, in words of ps(1), which dkms 3.4 writes into its notes too.
func (s *session) started(ctx context.Context, pid int) string {
	return s.output(ctx, "ps", "-o", "lstart", "--no-headers", "-p", strconv.Itoa(pid))
}

// grandparent returns the process that started the process that started us: rpm runs a shell, and the shell runs us.
func grandparent() int { return proc.Parent(os.Getppid()) }
