package kbuild

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// toolchain finds the kernel's compiler, looking for programs in the job's PATH.
func (j *Job) toolchain(ctx context.Context) (kernel.Toolchain, error) {
	return j.Kernel.Toolchain(ctx, kernel.Probe{
		Has: func(program string) bool {
			_, err := proc.LookPath(j.Root.Dir(), j.Env, program)
			return err == nil
		},
		MakeVariable: j.makeVariable,
	})
}

// makeVariable has make include file and print a variable.
func (j *Job) makeVariable(ctx context.Context, file, variable string) (string, error) {
	var out bytes.Buffer
	err := j.Runner.Run(ctx, proc.Cmd{
		Args:   []string{"make", "-f", "-", "show-" + variable},
		Dir:    "/",
		Env:    set(j.Env, "CC"),
		Root:   j.Root.Dir(),
		Stdin:  strings.NewReader("show-%:\n\t@echo $($*)\ninclude " + file + "\n"),
		Stdout: &out,
		Stderr: j.Stderr,
	})
	return strings.TrimRight(out.String(), "\n"), err
}

// environment is what scripts and make run with: the job's own environment,
// the four names upstream exports, the toolchain, and on top of it what the
// build_environment file exports.
func (j *Job) environment(ctx context.Context, toolchain kernel.Toolchain) ([]string, error) {
	env := set(j.Env, "CC",
		"kernelver="+j.Kernel.Release,
		"arch="+j.Kernel.Arch,
		"module="+j.Name,
		"module_version="+j.Version,
	)
	env = set(env, toolchain.Environ()...)
	exports, err := j.sourceBuildEnvironment(ctx, env)
	return set(env, exports...), err
}

// exportScript sources $1 and prints every exported variable as NAME=value,
// each ended by a NUL. The names of $2 and $3 are those upstream's shell has
// at hand at that point.
const exportScript = `build_environment=$1 kernel_source_dir=$2 kernel_config=$3
set --
source "$build_environment" >/dev/null 2>&1
compgen -e | while IFS= read -r name; do
	[[ -v $name && ${!name@a} != *[aA]* ]] && builtin printf '%s=%s\0' "$name" "${!name}"
done
:`

// sourceBuildEnvironment returns what the build_environment file exports. A
// file that is not there, or ends the shell, exports nothing; what the shell
// keeps for itself (SHLVL, PWD, ...) is left out.
func (j *Job) sourceBuildEnvironment(ctx context.Context, env []string) ([]string, error) {
	if j.BuildEnvironment == "" {
		return nil, nil
	}
	if info, err := j.Root.Stat(j.BuildEnvironment); err != nil || !info.Mode().IsRegular() {
		return nil, nil //nolint:nilerr // there is no such file
	}
	var out bytes.Buffer
	err := j.Runner.Run(ctx, proc.Cmd{
		Args:   []string{"bash", "-O", "extglob", "-c", exportScript, "bash", j.BuildEnvironment, j.Kernel.Headers, j.Kernel.Config},
		Dir:    "/",
		Env:    env,
		Root:   j.Root.Dir(),
		Stdout: &out,
	})
	if err != nil {
		return nil, ctx.Err()
	}
	var exports []string
	for setting := range strings.SplitSeq(out.String(), "\x00") {
		name, _, ok := strings.Cut(setting, "=")
		if ok && !slices.Contains([]string{"_", "SHLVL", "PWD", "OLDPWD"}, name) {
			exports = append(exports, setting)
		}
	}
	return exports, nil
}

// set returns env with the settings NAME=value replaced or added, and bare
// NAMEs removed. env itself is not touched.
func set(env []string, settings ...string) []string {
	result := slices.Clone(env)
	for _, setting := range settings {
		name, _, assign := strings.Cut(setting, "=")
		result = slices.DeleteFunc(result, func(s string) bool { return strings.HasPrefix(s, name+"=") })
		if assign {
			result = append(result, setting)
		}
	}
	return result
}

// lookup returns the value of name in env, or "".
func lookup(env []string, name string) string {
	for _, setting := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(setting, name+"="); ok {
			return value
		}
	}
	return ""
}
