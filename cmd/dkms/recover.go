package main

import (
	"context"
	"errors"

	"dkms-go/build"
)

func recoverVerb() verb {
	return verb{
		name: "recover", about: "complete or take back what an interrupted run has left undone",
		usage:   "recover [OPTION]...",
		options: []string{"dry-run", "json"},
		reads:   true, // what others do first is all that it does
		run: func(ctx context.Context, s *session) error {
			if err := s.checkOptions(); err != nil {
				return err
			}
			if err := s.needRoot(); err != nil {
				return err
			}
			if s.dryRun {
				return s.showRecovery()
			}
			return errors.Join(s.Recover(ctx), s.Tree.Sweep(ctx))
		},
	}
}

// recover begins a verb that changes something with what runs that are no more have left undone. What cannot be recovered is
// no reason not to go on: whoever needs it will say so.
func (s *session) recover(ctx context.Context) {
	if s.uid != 0 && !s.writable(s.Tree.Options().DKMSTree) {
		return
	}
	if err := s.Recover(ctx); err != nil {
		s.warning("What an interrupted run has left undone cannot be completed: " + err.Error())
	}
}

// showRecovery prints what recover would do.
func (s *session) showRecovery() error {
	unfinished, err := s.Tree.Unfinished()
	if err != nil {
		return err
	}
	var steps []jsonStep
	for _, u := range unfinished {
		action := "take back"
		if u.Complete {
			action = "complete"
		}
		steps = append(steps, jsonStep{Action: action, What: "the interrupted " + u.What})
	}
	for _, release := range s.Tree.Dirty() {
		steps = append(steps, jsonStep{Action: build.Index.String(), Kernel: release})
	}
	return s.showSteps(steps)
}
