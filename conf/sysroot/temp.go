package sysroot

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
)

// newName calls create with fresh names for a temporary neighbour of host,
// ".<name>.XXXXXX", until one is not taken, and returns it. It lies in the same
// directory because rename(2) is atomic only within one file system, and begins
// with a dot so that no glob of a *.conf or *.ko directory finds it.
func (r *Root) newName(host, op string, create func(name string) error) (string, error) {
	dir, base := filepath.Split(host)
	const longest = 255 - len(".") - len(".XXXXXX") // NAME_MAX
	if len(base) > longest {
		base = base[:longest]
	}
	return r.fresh(dir, "."+base+".*", op, create)
}

// fresh calls create with names that are pattern with its last "*" replaced by
// six random characters, until create does not find the name taken.
func (r *Root) fresh(dir, pattern, op string, create func(name string) error) (string, error) {
	prefix, suffix := pattern, ""
	if i := strings.LastIndexByte(pattern, '*'); i >= 0 {
		prefix, suffix = pattern[:i], pattern[i+1:]
	}
	const tries = 10000
	var err error
	for range tries {
		name := filepath.Join(dir, prefix+randomName()+suffix)
		if err = r.step(op, name); err != nil {
			return "", err
		}
		if err = create(name); err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", err
}

// randomName returns six characters of mktemp(1)'s alphabet.
func randomName() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	var name [6]byte
	for i := range name {
		name[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(name[:])
}
