package kbuild

import (
	"context"
	"strings"
)

// makeCommand is the command line that builds the module (the end of
// read_conf, and do_build): the MAKE directive that fits the kernel or the
// generic one, with LLVM=1 for clang kernels. A command that begins with the
// letters "make" gets the number of jobs and the kernel release as first
// arguments; quoting the word opts out. That is what is told and recorded; see
// drawing for what is run with a jobserver.
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
		command = "make" + j.ownJobs() + " KERNELRELEASE=" + j.Kernel.Release + arguments
	}
	return command, nil
}

// ownJobs is the argument with which make keeps a number of compilers of its own.
func (j *Job) ownJobs() string { return " -j" + j.Jobs }

// drawing is a command of makeCommand as it must be to draw tokens: with a -j on
// its command line make would not.
func (j *Job) drawing(command string) string {
	return "make" + strings.TrimPrefix(command, "make"+j.ownJobs())
}

// jobserved tells whether a command gets to know of the jobserver: the one that
// would have got a -j.
func (j *Job) jobserved(command string) bool {
	return j.Jobserver != nil && strings.HasPrefix(command, "make")
}
