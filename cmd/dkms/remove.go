package main

import (
	"context"

	"dkms-go/build"
)

func uninstallVerb() verb {
	return verb{
		name: "uninstall", about: "take a module out of a kernel; its build stays",
		usage:   "uninstall MODULE/VERSION [OPTION]...",
		options: []string{"module", "v", "kernelver", "arch", "all", "no-initramfs", "initramfs-later", "no-depmod", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.downward(ctx, build.Uninstall) },
	}
}

func unbuildVerb() verb {
	return verb{
		name: "unbuild", about: "uninstall a module and delete its build",
		usage:   "unbuild MODULE/VERSION [OPTION]...",
		options: []string{"module", "v", "kernelver", "arch", "all", "no-initramfs", "initramfs-later", "no-depmod", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.downward(ctx, build.Unbuild) },
	}
}

func removeVerb() verb {
	return verb{
		name: "remove", about: "uninstall, unbuild and deregister a module; its sources stay",
		usage:   "remove MODULE/VERSION [OPTION]...",
		options: []string{"module", "v", "kernelver", "arch", "all", "no-initramfs", "initramfs-later", "no-depmod", "rpm_safe_upgrade", "dry-run", "json", "trace"},
		run:     func(ctx context.Context, s *session) error { return s.downward(ctx, build.Remove) },
	}
}

// downward is uninstall, unbuild and remove: the verbs for modules that are registered.
func (s *session) downward(ctx context.Context, goal build.Action) error {
	if err := s.checkOptions(); err != nil {
		return err
	}
	if err := s.needModule(); err != nil {
		return err
	}
	if err := s.Tree.CheckRegistered(s.module); err != nil {
		return err
	}
	ts, err := s.permitted(ctx, goal == build.Uninstall)
	if err != nil {
		return err
	}
	if goal == build.Remove && s.safeUpgrade {
		if cancelled, err := s.cancelledBySafeUpgrade(ctx); err != nil || cancelled {
			if cancelled {
				s.warning("Remove cancelled because --rpm_safe_upgrade scenario detected.")
			}
			return err
		}
	}
	return s.do(ctx, build.Request{Goal: goal, Module: s.module, Targets: ts})
}
