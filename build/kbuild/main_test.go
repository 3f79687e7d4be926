package kbuild_test

import (
	"os"
	"testing"

	"dkms-go/dkms/proc"
)

// Evaluating a dkms.conf runs this program again as a helper.
func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	os.Exit(m.Run())
}
