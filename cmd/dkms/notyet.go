package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// notYet is a verb of dkms 3.4 that this program does not have yet.
func notYet(name string) *cli.Command {
	return &cli.Command{
		Name: name, Hidden: true, SkipFlagParsing: true,
		Action: func(*cli.Context) error {
			return fmt.Errorf("dkms-go %s cannot do %q yet", version, name)
		},
	}
}
