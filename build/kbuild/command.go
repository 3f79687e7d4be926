package kbuild

import (
	"context"
	"strings"
)

// makeCommand is the command line that builds the module (the end of
// read_conf, and do_build): the MAKE directive that fits the kernel or the
// generic one, with LLVM=1 for clang kernels. A command that begins with the
// letters "make" gets the number of jobs and the kernel release as first
// arguments; quoting the word opts out. With a jobserver the number is left to
// that.
func (j *Job) makeCommand(ctx context.Context, llvm bool) (string, error) {
	command, ok, err := j.Conf.MakeCommand(ctx, j.Kernel.Release)
	if err != nil {
		return "", err
	}
	if !ok {
		command = "make -C " + j.Kernel.Headers + " M=" + j.BuildDir
	}
	if llvm {
		command += " LLVM=1"
	}
	if arguments, ok := strings.CutPrefix(command, "make"); ok {
		jobs := " -j" + j.Jobs
		if j.Jobserver != nil {
			jobs = "" // with a -j of its own, make draws no tokens
		}
		command = "make" + jobs + " KERNELRELEASE=" + j.Kernel.Release + arguments
	}
	return command, nil
}

// jobserved tells whether a command gets to know of the jobserver: the one that
// would have got a -j.
func (j *Job) jobserved(command string) bool {
	return j.Jobserver != nil && strings.HasPrefix(command, "make")
}
