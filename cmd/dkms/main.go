package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"dkms-go/dkms/proc"
)

func main() {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	// A run is short, and nothing in it grows without bounds: collecting garbage late costs memory that is there anyway.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(112 << 20)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // who asks twice means it
	args := os.Args[1:]
	if name := filepath.Base(os.Args[0]); name == "depmod" || name == "sign-file" { // it stands in for that program
		args = append([]string{name}, args...)
	}
	status := run(ctx, args, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
