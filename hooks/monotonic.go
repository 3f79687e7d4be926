package hooks

import "golang.org/x/sys/unix"

// monotonic is the time since boot in microseconds, which systemd compares with its own when a service says that it reloads
// (sd_notify(3), MONOTONIC_USEC).
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano() / 1000
}
