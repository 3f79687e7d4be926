package conf_test

import (
	"os"
	"testing"

	"dkms-go/dkms/proc"
)

func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	os.Exit(m.Run())
}
