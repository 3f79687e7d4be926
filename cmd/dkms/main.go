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
	if name := filepath.Base(os.Args[0]); name == "depmod" || name == "sign-file" { // it stands in for that program
		args = append([]string{name}, args...)
	}
	status := run(ctx, args, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
