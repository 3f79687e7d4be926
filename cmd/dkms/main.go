package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"dkms-go/dkms/proc"
)

func main() {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // who asks twice means it
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "depmod" {
		args = append([]string{"depmod"}, args...)
	}
	status := run(ctx, args, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
