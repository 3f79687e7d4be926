package kbuild

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"dkms-go/conf/sysroot"
)

// ruler ends each record of a log.
const ruler = "----------------------------------------------------------------"

// dateLayout is what date(1) prints in the C locale.
const dateLayout = "Mon Jan _2 15:04:05 MST 2006"

// makeLog is the make.log of one build. It is opened anew for every write: a
// build may remove or replace files of its directory, the log among them.
type makeLog struct {
	root *sysroot.Root
	abs  string
}

// start writes the two lines at the head.
func (l *makeLog) start(j *Job) error {
	return l.write(fmt.Sprintf("DKMS (%s) make.log for %s/%s for kernel %s (%s)\n%s\n",
		j.Release, j.Name, j.Version, j.Kernel.Release, j.Kernel.Arch, j.Now().Format(dateLayout)))
}

func (l *makeLog) open() (*os.File, error) {
	return l.root.Append(l.abs, 0o644)
}

func (l *makeLog) write(text string) error {
	f, err := l.open()
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// tailLimit bounds how much of a command's output is read back: the lines that
// explain a failure are near its end.
const tailLimit = 1 << 20

// since returns what lies in the log from offset on, at most its last
// tailLimit bytes.
func (l *makeLog) since(offset int64) (string, error) {
	f, err := l.root.Open(l.abs)
	if err != nil {
		return "", nil // the command has removed its own log
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	offset = max(offset, info.Size()-tailLimit)
	text, err := io.ReadAll(io.NewSectionReader(f, offset, tailLimit))
	return string(text), err
}

// tailLines is how many lines of output an error carries.
const tailLines = 10

// tail picks the lines that say why a command failed: from the first line that
// reports an error on, or else the last ones. Lines in which make says where
// it is are left out.
func (r result) tail() string {
	var lines []string
	firstError := -1
	for line := range strings.Lines(r.output) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || isMakeDirectory(line) {
			continue
		}
		if firstError < 0 && reportsError(line) {
			firstError = len(lines)
		}
		lines = append(lines, line)
	}
	if firstError < 0 {
		firstError = max(0, len(lines)-tailLines)
	}
	return strings.Join(lines[firstError:min(len(lines), firstError+tailLines)], "\n")
}

// isMakeDirectory recognises "make[1]: Entering directory '/usr/src/...'".
func isMakeDirectory(line string) bool {
	return strings.HasPrefix(line, "make") &&
		(strings.Contains(line, ": Entering directory ") || strings.Contains(line, ": Leaving directory "))
}

// reportsError recognises what gcc, clang, modpost, ld and make write.
func reportsError(line string) bool {
	for _, sign := range []string{"error:", "ERROR:", "Error:", "undefined reference", "*** "} {
		if strings.Contains(line, sign) {
			return true
		}
	}
	return false
}
