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
// cancelled leaves an empty directory. Diagnose reads a log and guesses why.
//
// # Private builds
//
// Sources and objects name the path that they are compiled at, and dkms.conf files
// rely on T/M/V/build. So that a module can nevertheless be built for several
// kernels at once, the directory of a private build lies at T/M/V/.build-K-A and
// is laid over T/M/V/build in a mount namespace, for the commands of this build
// only. All of them see the usual path, and the module comes out the same.
//
// Outside, T/M/V/build is an empty directory meanwhile. The kernel takes a bind
// mount away from everybody when the directory below it is removed or
// renamed; so each private build holds a shared flock(2) on it, and who removes or
// replaces it asks for an exclusive one first. The last to go removes it.
//
// What is left of a build that fails goes to T/M/V/build, log and all, and
// replaces what another one has left there. A copy of the log stays alone
// in T/M/V/.build-K-A until that build is tried again; so when several kernels
// fail, the last one's directory and everybody's log are there to be read.
package kbuild
