package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"dkms-go/dkms/proc"
)

func main() {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // who asks twice means it
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
