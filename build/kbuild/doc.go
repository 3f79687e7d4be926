// Package kbuild runs one make for one module and one kernel in one build
// directory, and writes its make.log.
//
// It stands between conf, which says what a module asks for, and build, which
// decides what is to be built and what happens to the result. kbuild takes a
// Job, a plain value, and gives back a Tree: the build directory with the
// products in it. It places nothing in the DKMS tree, prints nothing and
// knows no exit codes; what a screen shows arrives as Events.
//
// # Vocabulary
//
//	job      what to build, where, and with which environment
//	step     one command run by the shell in the build directory: a patch,
//	         a script, the make command [upstream: invoke_command]
//	tree     the build directory after make has run
//	product  the .ko file of one record of dkms.conf
//
// # make.log
//
// The log lies in the build directory. It begins with two lines:
//
//	DKMS (RELEASE) make.log for MODULE/VERSION for kernel KERNEL (ARCH)
//	DATE                               as date(1) prints it in the C locale
//
// and then holds one record for each step:
//
//	                                   an empty line
//	DESCRIPTION                        "Building module(s)"
//	# command: COMMAND                 as echo -e prints it
//	...                                what the command wrote
//	                                   an empty line
//	# exit code: STATUS
//	# elapsed time: HH:MM:SS
//	----------------------------------------------------------------
//
// A build that fails leaves directory and log where they are; one that is
// cancelled leaves an empty directory.
package kbuild
