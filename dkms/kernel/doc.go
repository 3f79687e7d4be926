// Package kernel describes one kernel as it is found on disk: its module
// directory, its headers, its configuration, and the compiler they ask for.
//
// It reads only. Modules themselves are read by kmod, files through sysroot;
// whatever has to start a program (make, to evaluate Debian's
// .kernelvariables) is passed in by the caller.
//
// Vocabulary, with upstream's names in brackets:
//
//	release     what uname -r prints [kernelver]
//	module dir  INSTALL_TREE/RELEASE, normally /lib/modules/RELEASE
//	headers     the directory make -C is given [kernel_source_dir]
//	config      the file with CONFIG_X=v lines [kernel_config]
//
// All paths are inside the root the kernel was found in.
package kernel
