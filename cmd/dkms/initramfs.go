package main

import "context"

func initramfsVerb() verb {
	return verb{
		name: "initramfs", about: "make the boot images that are due because modules have changed",
		usage:   "initramfs [OPTION]...",
		options: []string{"dry-run", "json"},
		run: func(ctx context.Context, s *session) error {
			if err := s.needRoot(); err != nil {
				return err
			}
			if s.dryRun {
				var steps []jsonStep
				for _, release := range s.DueImages() {
					steps = append(steps, jsonStep{Action: s.verb, Kernel: release})
				}
				return s.showSteps(steps)
			}
			return s.Images(ctx)
		},
	}
}
