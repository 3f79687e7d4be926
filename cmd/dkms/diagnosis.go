package main

import (
	"fmt"

	"dkms-go/dkms"
)

// guess says in one line why a build seems to have failed, and what to do about that; "" when there is no guess.
func guess(d dkms.Diagnosis, i dkms.Instance) (why, remedy string) {
	of := func(text, otherwise string) string {
		if d.Subject == "" {
			return otherwise
		}
		return fmt.Sprintf(text, d.Subject)
	}
	newer := "look for a newer version of the module, one that knows this kernel"
	switch d.Cause {
	case "kernel-api":
		return of("the module does not fit this kernel: %s has changed or is gone", "the module does not fit this kernel"), newer
	case "headers-incomplete":
		return of("the headers of this kernel are not complete: %s is missing", "the headers of this kernel are not complete"),
			"install the headers package of this kernel again, with what it depends on"
	case "header-missing":
		return of("a header is missing that is not the kernel's: %s", "a header is missing that is not the kernel's"),
			"install the development package that brings it"
	case "symbol-missing":
		return of("nothing exports the symbol %s", "a symbol is missing that nothing exports"),
			"install the module that exports it first and name it in BUILD_DEPENDS; or " + newer
	case "license":
		return of("the kernel lends %s to modules under the GPL only", "the kernel lends a symbol to modules under the GPL only"), newer
	case "source-missing":
		return of("the source lacks %s", "the source is not complete"), "install the source of " + i.Module.String() + " again"
	case "compiler-missing":
		return of("there is no compiler %s", "there is no compiler"), "install the compiler that the kernel was made with"
	case "compiler-mismatch":
		return of("the compiler does not know %s: the kernel was made with another one", "the kernel was made with another compiler"),
			"install the compiler that the kernel was made with"
	case "tool-missing":
		return of("there is no program %s", "a program is missing"), of("install the package that brings %s", "install it")
	case "out-of-memory":
		return "the machine has run out of memory", "build with fewer compilers at once: dkms build " + i.Module.String() + " -k " + i.Kernel + " -j 1"
	case "disk-full":
		return of("the disk is full: %s", "the disk is full"), "make room and try again"
	}
	return "", ""
}
