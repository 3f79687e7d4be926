package proc

import landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"

const (
	HelperName   = helperName
	HelperOption = helperOption
)

// LandlockVersion returns the kernel's, or 0.
func LandlockVersion() int {
	version, err := landlock.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}
