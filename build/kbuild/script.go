package kbuild

import (
	"context"
	"path"
	"strings"
)

// script runs a build script of the module as a step (run_build_script).
// value is the directive: a path below the source followed by arguments, all
// of it read by the shell. A script of the same name in the administrator's
// override directory takes its place. One that is not executable is reported
// and skipped.
func (t *Tree) script(ctx context.Context, name, value string) error {
	if value == "" {
		return nil
	}
	word, _, _ := strings.Cut(value, " ")
	dir := t.job.BuildDir
	if t.job.Overrides != "" && t.job.executable(t.job.Overrides+"/"+word) {
		dir = t.job.Overrides
	}
	if !t.job.executable(t.Outside(dir + "/" + word)) {
		t.job.report(NotExecutable{Script: name})
		return nil
	}
	r, err := t.step(ctx, "Running the "+name+" script", "cd "+dir+"/ && "+dir+"/"+value, false)
	if err != nil {
		return err
	}
	if r.status != 0 {
		return &ScriptError{Name: name, Status: r.status, Log: t.logPath()}
	}
	return nil
}

// executable is test -x, which directories pass as well.
func (j *Job) executable(abs string) bool {
	info, err := j.Root.Stat(path.Clean(abs))
	return err == nil && info.Mode()&0o111 != 0
}
