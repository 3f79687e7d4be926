package kbuild_test

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"dkms-go/dkms/proc"
)

// Evaluating a dkms.conf runs this program again as a helper.
func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	if len(os.Args) > 3 && os.Args[1] == "count" {
		count(os.Args[2], os.Args[3:])
	}
	os.Exit(m.Run())
}

// count tells the counter at socket that a compiler runs, and becomes it. The
// connection stays open until the compiler has ended.
func count(socket string, compiler []string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err == nil {
		_, err = unix.Read(fd, make([]byte, 3)) // it has been counted
	}
	if err == nil {
		err = unix.Exec(compiler[0], compiler, os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(127)
}
