package proc

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LookPath finds the program name, which has no slash, in the directories that
// PATH of env lists, inside root, and returns its path there. Root is a host
// path; empty means "/". Links are followed as if chrooted, so alternatives
// with absolute links work. Elements of PATH that are not absolute are passed
// over: a program that runs as root is not to be found by where it was started.
// Without PATH the directories are those of execvp(3). The error is
// *NotFoundError.
func LookPath(root string, env []string, name string) (abs string, err error) {
	if name != "" && !strings.Contains(name, "/") {
		for _, dir := range filepath.SplitList(searchPath(env)) {
			if !path.IsAbs(dir) {
				continue
			}
			abs = path.Join(dir, name)
			if executable(root, abs) {
				return abs, nil
			}
		}
	}
	return "", &NotFoundError{Name: name}
}

// searchPath returns the value of PATH. The last one counts if there are more.
func searchPath(env []string) string {
	for _, entry := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			return value
		}
	}
	return "/bin:/usr/bin"
}

// executable tells whether abs is a program that we may run.
func executable(root, abs string) bool {
	host, err := follow(root, abs)
	if err != nil {
		return false
	}
	info, err := os.Lstat(host)
	return err == nil && info.Mode().IsRegular() && unix.Faccessat(unix.AT_FDCWD, host, unix.X_OK, unix.AT_EACCESS) == nil
}

// follow returns the host path that abs leads to when every link is followed as
// if chrooted into root. (conf/sysroot does this for files in general; this
// package stands beside it and imports nothing of ours.)
func follow(root, abs string) (host string, err error) {
	const maxLinks = 40 // as in the kernel
	inside := "/"
	links := 0
	for todo := strings.Split(abs, "/"); len(todo) > 0; {
		next := path.Join(inside, todo[0])
		todo = todo[1:]
		target, err := os.Readlink(filepath.Join("/", root, next))
		if errors.Is(err, syscall.EINVAL) { // exists and is no link
			inside = next
			continue
		}
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "follow", Path: abs, Err: syscall.ELOOP}
		}
		if path.IsAbs(target) {
			inside = "/"
		}
		todo = slices.Concat(strings.Split(target, "/"), todo)
	}
	return filepath.Join("/", root, inside), nil
}
