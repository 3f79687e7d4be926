package main

import (
	"context"
	"errors"
)

func recoverVerb() verb {
	return verb{
		name: "recover", about: "complete or take back what an interrupted run has left undone",
		usage: "recover [OPTION]...",
		reads: true, // what others do first is all that it does
		run: func(ctx context.Context, s *session) error {
			if err := s.checkOptions(); err != nil {
				return err
			}
			if err := s.needRoot(); err != nil {
				return err
			}
			return errors.Join(s.Recover(ctx), s.Tree.Sweep(ctx))
		},
	}
}

// recover begins a verb that changes something with what runs that are no more have left undone. What cannot be recovered is
// no reason not to go on: whoever needs it will say so.
func (s *session) recover(ctx context.Context) {
	if !s.Tree.Undone() || s.uid != 0 && !s.writable(s.Tree.Options().DKMSTree) {
		return
	}
	if err := s.Recover(ctx); err != nil {
		s.warning("What an interrupted run has left undone cannot be completed: " + err.Error())
	}
}
