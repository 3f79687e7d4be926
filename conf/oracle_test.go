package conf_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// dumpOf runs a command that writes variables to file descriptor 3, as NUL-terminated triples name, index, value.
func dumpOf(t testing.TB, cmd *exec.Cmd) map[string]map[int]string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	dump, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v", cmd.Args[0], err)
	}
	values := map[string]map[int]string{}
	fields := bytes.Split(dump, []byte{0})
	for i := 0; i+2 < len(fields); i += 3 {
		index, err := strconv.Atoi(string(fields[i+1]))
		if err != nil {
			t.Fatal(err)
		}
		name := string(fields[i])
		if values[name] == nil {
			values[name] = map[int]string{}
		}
		values[name][index] = string(fields[i+2])
	}
	return values
}
