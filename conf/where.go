package conf

import (
	"bytes"
	"strconv"
	"strings"
)

// where returns the file and line of the last assignment of an element, or the first line of the dkms.conf when there is
// none to be seen.
func (m *Module) where(name string, index int) (file string, line int) {
	for i := len(m.sources) - 1; i >= 0; i-- {
		if n := assignmentLine(m.sources[i].data, name, index); n > 0 {
			return m.sources[i].path, n
		}
	}
	return m.Path, 1
}

// assignmentLine returns the number of the last line that looks like the assignment of an element, 0 without one. It
// serves to point at a line: it knows neither conditions nor loops, and takes NAME=(...) for every element.
func assignmentLine(data []byte, name string, index int) int {
	found := 0
	for n, line := range bytes.Split(data, []byte("\n")) {
		for command := range bytes.SplitSeq(line, []byte(";")) {
			if assigns(string(command), name, index) {
				found = n + 1
			}
		}
	}
	return found
}

func assigns(command, name string, index int) bool {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(command), "export "), name)
	if !ok {
		return false
	}
	subscript := -1
	if strings.HasPrefix(rest, "[") {
		inside, after, closed := strings.Cut(rest[1:], "]")
		n, err := strconv.Atoi(strings.TrimSpace(inside))
		if !closed || err != nil {
			return false
		}
		subscript, rest = n, after
	}
	value, ok := strings.CutPrefix(strings.TrimPrefix(rest, "+"), "=")
	if !ok {
		return false
	}
	return subscript == index || subscript < 0 && (index == 0 || strings.HasPrefix(value, "("))
}
