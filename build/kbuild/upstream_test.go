package kbuild_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"dkms-go/build/kbuild"
)

// Every case of testdata/build is built, and log, screen and exit status are
// compared with what upstream left for the same source.
func TestBuildAsUpstream(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/build/*.txtar")
	if err != nil || len(cases) < 10 {
		t.Fatalf("cases in testdata/build = %q, %v, want many", cases, err)
	}
	for _, file := range cases {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			files, upstream := map[string]string{}, map[string]string{}
			for _, f := range archive.Files {
				if section, ok := strings.CutPrefix(f.Name, "upstream/"); ok {
					upstream[section] = string(f.Data)
				} else {
					files[f.Name] = string(f.Data)
				}
			}
			s := newSite(t, name, files)
			if _, ok := files["build_environment"]; ok {
				s.job.BuildEnvironment = s.dir + "/build_environment"
			}
			here := strings.NewReplacer("WORK", s.dir, "/etc/dkms/", s.dir+"/etc/dkms/", "DATE", "Tue Nov  3 01:45:08 UTC 2026")
			status, finalError := s.buildAll(t.Context())

			if diff := cmp.Diff(here.Replace(upstream["make.log"]), s.log(t)); diff != "" {
				t.Errorf("make.log (-upstream +ours):\n%s", diff)
			}
			_, screen, ok := strings.Cut(here.Replace(upstream["screen"]), "modules won't be signed\n\n")
			if !ok {
				t.Fatalf("%s: no signing line on upstream's screen", file)
			}
			if diff := cmp.Diff(screen, s.screen()+finalError); diff != "" {
				t.Errorf("screen (-upstream +ours):\n%s", diff)
			}
			if diff := cmp.Diff(upstream["status"], fmt.Sprintln(status)); diff != "" {
				t.Errorf("status (-upstream +ours):\n%s", diff)
			}
		})
	}
}

// buildAll runs the whole job and says how it ended, in upstream's words.
func (s *site) buildAll(ctx context.Context) (status int, final string) {
	tree, err := kbuild.Build(ctx, s.job)
	if err == nil {
		err = tree.PostBuild(ctx)
	}
	var (
		makeFailed *kbuild.MakeError
		patch      *kbuild.PatchError
		script     *kbuild.ScriptError
		missing    *kbuild.MissingProductError
	)
	consult := func(log string) string { return "Consult " + log + " for more information.\n" }
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &makeFailed):
		return 10, "\nError! Bad return status for module build on kernel: " + release + " (x86_64)\n" + consult(makeFailed.Log)
	case errors.As(err, &patch) && patch.Problem == kbuild.PatchDotDot:
		return 5, "\nError! Patch " + patch.Name + " as specified in dkms.conf contains '..' path component.\n"
	case errors.As(err, &patch) && patch.Problem == kbuild.PatchMissing:
		return 5, "\nError! Patch " + patch.Name + " as specified in dkms.conf cannot be\nfound in " + patch.Dir + "/.\n"
	case errors.As(err, &patch):
		return 6, "\nError! Application of patch " + patch.Name + " failed.\n" + consult(patch.Log)
	case errors.As(err, &script):
		return script.Status, consult(script.Log)
	case errors.As(err, &missing):
		return 7, "\nError! Build of " + missing.Name + " failed for: " + release + " (x86_64)\n" +
			"Make sure the name and location of the generated module are correct,\nor consult " + missing.Log + " for more information.\n"
	}
	return -1, err.Error()
}

// screen renders the events as upstream's invoke_command shows its steps.
func (s *site) screen() string {
	var b strings.Builder
	for _, e := range s.events {
		switch e := e.(type) {
		case kbuild.Begin:
			b.WriteString(e.Description + "...")
		case kbuild.End:
			if e.Status == 0 {
				b.WriteString(" done.\n")
			} else {
				fmt.Fprintf(&b, "(bad exit status: %d)\nFailed command:\n%s\n", e.Status, e.Command)
			}
		case kbuild.NotExecutable:
			b.WriteString("\nWarning: The " + e.Script + " script is not executable.\n")
		}
	}
	return b.String()
}
