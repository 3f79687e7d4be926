package kmod

import (
	"path/filepath"
	"strings"
)

// ModuleName is the name a module file's path stands for: the last element up to
// its first dot, with dashes as underscores, as modprobe and depmod see it
// (path_to_modname in kmod's shared/util.c).
func ModuleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return strings.ReplaceAll(name, "-", "_")
}
