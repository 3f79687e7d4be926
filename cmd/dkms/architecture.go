package main

import (
	"bytes"
	"context"
	"path"
	"strings"
)

// defaultArch returns the architecture that is meant when none is named. Where kernels come as rpm packages, it is the one
// of the package that owns the kernel's directory.
func (m *machine) defaultArch(ctx context.Context, kernelDir string) string {
	if m.distro.Is("debian", "ubuntu", "arch", "gentoo") {
		return m.arch()
	}
	owner := ""
	for line := range strings.SplitSeq(m.output(ctx, "rpm", "-qf", kernelDir), "\n") {
		if strings.Contains(line, "kernel") && !strings.Contains(line, "not owned by any package") {
			owner = line
			break
		}
	}
	if a := m.output(ctx, "rpm", "-q", "--queryformat", "%{ARCH}", owner); a != "" {
		return a
	}
	if m.arch() == "x86_64" && m.intel() && m.hasIA32E(kernelDir) {
		return "ia32e"
	}
	return m.arch()
}

// intel reports whether the processor is one of Intel's.
func (m *machine) intel() bool {
	text, err := m.host.ReadFile("/proc/cpuinfo")
	return err == nil && bytes.Contains(text, []byte("Intel"))
}

// hasIA32E reports whether the headers of a kernel know the architecture ia32e: what Red Hat Enterprise Linux 3 called x86_64
// on processors of Intel.
func (m *machine) hasIA32E(kernelDir string) bool {
	configs, err := m.root.ReadDir(path.Join(kernelDir, "build/configs"))
	if err != nil {
		return false
	}
	for _, c := range configs {
		if strings.Contains(c.Name(), "ia32e") && !strings.HasPrefix(c.Name(), ".") {
			return true
		}
	}
	return false
}
