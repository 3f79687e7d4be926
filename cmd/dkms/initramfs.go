package main

import "context"

func initramfsVerb() verb {
	return verb{
		name: "initramfs", about: "make the boot images that are due because modules have changed",
		usage: "initramfs",
		run: func(ctx context.Context, s *session) error {
			if err := s.needRoot(); err != nil {
				return err
			}
			return s.Images(ctx)
		},
	}
}
