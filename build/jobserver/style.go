package jobserver

import (
	"bytes"
	"context"
	"regexp"
	"strconv"

	"dkms-go/dkms/proc"
)

// Style is how make learns of the pipe.
type Style int

const (
	// Pipe has two descriptors inherited. Every make knows it.
	Pipe Style = iota
	// Fifo names a file. GNU make knows it from version 4.4 on, and needs no
	// descriptors, which recipes and shells on the way may close.
	Fifo
)

var gnuVersion = regexp.MustCompile(`\AGNU Make (\d+)\.(\d+)`)

// StyleOf returns the style for the make that prints this text when it is asked
// for its version: Fifo for GNU make 4.4 and later, Pipe for any other.
func StyleOf(version string) Style {
	m := gnuVersion.FindStringSubmatch(version)
	if m == nil {
		return Pipe
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major > 4 || major == 4 && minor >= 4 {
		return Fifo
	}
	return Pipe
}

// Ask asks the make that env's PATH leads to inside root (a host path) which
// version it is. One that does not answer gets Pipe.
func Ask(ctx context.Context, runner proc.Runner, root string, env []string) Style {
	var version bytes.Buffer
	err := runner.Run(ctx, proc.Cmd{Args: []string{"make", "--version"}, Dir: "/", Env: env, Root: root, Stdout: &version})
	if err != nil {
		return Pipe
	}
	return StyleOf(version.String())
}
