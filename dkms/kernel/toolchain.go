package kernel

import (
	"bytes"
	"context"
	"debug/elf"
	"path"
	"strings"
)

// Toolchain names the programs a kernel was built with. Empty fields are not
// set in the environment of a build.
type Toolchain struct {
	CC       string // also with arguments, when .kernelvariables says so
	KernelCC string
	LD       string
	KernelLD string
	LLVM     bool // LLVM=1 belongs at the end of the make command
}

// Probe is what finding a toolchain needs to know from outside.
type Probe struct {
	// Has reports whether a program is to be found in PATH.
	Has func(program string) bool
	// MakeVariable includes file in a makefile and returns the value of a
	// variable, as the shell would echo it.
	MakeVariable func(ctx context.Context, file, variable string) (string, error)
}

// Environ returns the toolchain as NAME=value settings.
func (t Toolchain) Environ() []string {
	var env []string
	for _, v := range [][2]string{{"CC", t.CC}, {"KERNEL_CC", t.KernelCC}, {"LD", t.LD}, {"KERNEL_LD", t.KernelLD}} {
		if v[1] != "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// Toolchain finds the compiler and linker to build with (do_build), and
// whether the kernel itself is a clang build (read_conf). It fails only when
// ctx ends; a makefile that does not evaluate is one without an answer.
func (k *Kernel) Toolchain(ctx context.Context, p Probe) (Toolchain, error) {
	var t Toolchain
	variables := path.Join(k.Headers, ".kernelvariables")
	if info, err := k.root.Stat(variables); err == nil && info.Mode().IsRegular() {
		cc, err := p.MakeVariable(ctx, variables, "CC")
		if err == nil {
			t.CC = cc
		}
		if ctx.Err() != nil {
			return Toolchain{}, ctx.Err()
		}
	}
	if cc := k.compilerName(); cc != "" && p.Has(cc) {
		t.CC, t.KernelCC = cc, cc
	}
	if k.configContains("CONFIG_CC_IS_CLANG=y") && p.Has("clang") {
		t.CC, t.KernelCC = "clang", "clang"
	}
	if k.configContains("CONFIG_LD_IS_LLD=y") && p.Has("ld.lld") {
		t.LD, t.KernelLD = "ld.lld", "ld.lld"
	}
	t.LLVM = k.builtByClang()
	return t, nil
}

// compilerName is the first word of CONFIG_CC_VERSION_TEXT; auto.conf writes
// it with or without quotes depending on the kernel's age. A value that is a
// single word names no compiler.
func (k *Kernel) compilerName() string {
	text := strings.TrimLeft(k.config().values["CONFIG_CC_VERSION_TEXT"], `"`)
	name, _, ok := strings.Cut(text, " ")
	if !ok || strings.Contains(name, `"`) {
		return ""
	}
	return name
}

func (k *Kernel) configContains(text string) bool {
	return bytes.Contains(k.config().text, []byte(text))
}

// builtByClang looks into the .comment section of the headers' vmlinux; only
// where there is no vmlinux does the configuration decide.
func (k *Kernel) builtByClang() bool {
	vmlinux := path.Join(k.Headers, "vmlinux")
	if _, err := k.root.Stat(vmlinux); err != nil {
		return k.configContains("CONFIG_CC_IS_CLANG=y")
	}
	f, err := k.root.Open(vmlinux)
	if err != nil {
		return false
	}
	defer f.Close()
	image, err := elf.NewFile(f)
	if err != nil {
		return false
	}
	section := image.Section(".comment")
	if section == nil {
		return false
	}
	comment, err := section.Data()
	return err == nil && bytes.Contains(comment, []byte("clang"))
}
