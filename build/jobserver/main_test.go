package jobserver_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"dkms-go/build/jobserver"
	"dkms-go/dkms/proc"
)

func TestMain(m *testing.M) {
	if done, status := proc.Helper(os.Args); done {
		os.Exit(status)
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "compile":
			compile(os.Getenv("COUNTER"))
		case "open files":
			fmt.Println(jobserver.OpenFiles())
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// compile stands in for a compiler: it runs until the counter lets it end.
func compile(counter string) {
	conn, err := net.Dial("unix", counter)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.ReadAll(conn)
	os.Exit(0)
}
