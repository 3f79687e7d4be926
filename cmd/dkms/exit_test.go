package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/dkms"
)

// Every kind of failure has an exit status, a name and a sentence.
func TestEveryKindHasAStatus(t *testing.T) {
	t.Parallel()
	seen := map[string]dkms.Kind{}
	for _, k := range dkms.Kinds() {
		if _, ok := statuses()[k]; !ok {
			t.Errorf("kind %d (%s) has no exit status", int(k), k)
		}
		if k.String() == "" {
			t.Errorf("kind %d has no name", int(k))
		}
		if other, ok := seen[k.String()]; ok {
			t.Errorf("kinds %d and %d are both called %q", int(other), int(k), k)
		}
		seen[k.String()] = k
		if lines := sentence(&dkms.Error{Kind: k}); len(lines) == 0 || lines[0] == "" {
			t.Errorf("kind %d (%s) has no sentence", int(k), k)
		}
	}
	if len(statuses()) != len(dkms.Kinds()) {
		t.Errorf("%d kinds have a status, want %d", len(statuses()), len(dkms.Kinds()))
	}
}

// The manual page lists the statuses that there are.
func TestManualListsStatuses(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../packaging/man/dkms.8")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)\.Sh EXIT STATUS\n(.*?)\n\.Sh `).FindSubmatch(page)
	if section == nil {
		t.Fatal("dkms.8 has no section EXIT STATUS")
	}
	var listed []int
	for _, m := range regexp.MustCompile(`(?m)^\.It (\d+)$`).FindAllSubmatch(section[1], -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, n)
	}
	want := slices.Sorted(maps.Values(statuses()))
	want = slices.Compact(append([]int{0}, want...))
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("exit statuses in dkms.8 (-program +manual):\n%s", diff)
	}
}

// Every exit status is shown by a script; the status of an interruption by TestInterrupt.
func TestEveryStatusIsScripted(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal(scripts, err)
	}
	shown := map[string]bool{"130": true}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^output \S+ (\d+) `).FindAllSubmatch(text, -1) {
			shown[string(m[1])] = true
		}
	}
	for kind, status := range statuses() {
		if !shown[strconv.Itoa(status)] {
			t.Errorf("no script shows status %d (%v)", status, kind)
		}
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("disk on fire"), 1},
		{&dkms.Error{Kind: dkms.MakeFailed, Status: 2}, 10},
		{fmt.Errorf("wrapped: %w", &dkms.Error{Kind: dkms.HeadersMissing}), 21},
		{reportedError{&dkms.Error{Kind: dkms.Excluded}}, 77},
		{&dkms.Error{Kind: dkms.ScriptFailed, Status: 42}, 42},
		{&dkms.Error{Kind: dkms.ScriptFailed}, 1},
	} {
		if got := exitStatus(tt.err); got != tt.want {
			t.Errorf("exitStatus(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

// Every verb that is a word of the command line has an entry in the table, and the other way round.
func TestEveryVerbIsThere(t *testing.T) {
	t.Parallel()
	var names []string
	for _, v := range table() {
		names = append(names, v.name)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Concat(verbs(), newVerbs(), ownVerbs(), []string{"sign-file"}))), slices.Sorted(slices.Values(names))); diff != "" {
		t.Errorf("verbs (-words +table):\n%s", diff)
	}
}

// Every error says what to do next: in its sentence where that is a sentence of dkms 3.4, or after it.
func TestEveryKindSaysWhatToDo(t *testing.T) {
	t.Parallel()
	// These say it in the sentence, or there is nothing to be done.
	said := []dkms.Kind{
		dkms.Internal, dkms.Interrupted, dkms.BadName, dkms.UnknownAction, dkms.NotRoot, dkms.TreeNotWritable, dkms.BadConf,
		dkms.HeadersMissing, dkms.Excluded, dkms.NothingInstalled, dkms.SigningKeyUnusable, dkms.Unsigned, dkms.NoTemplate, dkms.SameTemplate,
		dkms.PackageFailed,
	}
	for _, k := range dkms.Kinds() {
		if got := remedy(&dkms.Error{Kind: k}); (got == "") != slices.Contains(said, k) {
			t.Errorf("remedy of kind %v is %q", k, got)
		}
	}
}
