package dkms

import "dkms-go/conf/sysroot"

// Through makes s go on through another root, one that fails.
func (s *Stage) Through(root *sysroot.Root) {
	s.tree = &Tree{root: root, opt: s.tree.opt}
}
