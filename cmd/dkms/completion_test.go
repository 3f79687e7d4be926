package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What bash offers as a verb is what dkms 3.4 offers, and what only we have; all of it has help.
//
// difference: new verbs
func TestCompletionOffersVerbs(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "bash", "-c",
		`. ../../packaging/completions/dkms.bash && COMP_WORDS=(dkms "") COMP_CWORD=1 && _dkms dkms "" dkms; printf '%s\n' "${COMPREPLY[@]}"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs := "add autoinstall build generate_mok install ldtarball match mktarball remove status unbuild uninstall"
	ours := "depmod initramfs key ready recover sign sync watch"
	want := strings.Fields(theirs + " " + ours)
	slices.Sort(want)
	got := strings.Fields(string(out))
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verbs offered (-want +got):\n%s", diff)
	}
	for _, v := range got {
		out, err := exec.CommandContext(t.Context(), "dkms", v, "--help").Output()
		if err != nil || !strings.HasPrefix(strings.ToLower(string(out)), "usage: ") {
			t.Errorf("dkms %s --help = %q, %v", v, out, err)
		}
	}
}
