package main

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"dkms-go/dkms"
)

// files is a file system for permute: names of regular files.
type files []string

func (f files) IsFile(name string) bool { return slices.Contains(f, name) }

func cases() []struct {
	args  string
	files files
	want  command
} {
	return []struct {
		args  string
		files files
		want  command
	}{
		{"build m/1 -k K", nil, command{Verb: "build", Args: []string{"--module", "m", "--v", "1", "--kernelver", "K"}}},
		{"-k K/A build -v 1 -m m", nil, command{Verb: "build", Args: []string{
			"--module", "m", "--v", "1", "--arch", "A", "--kernelver", "K",
		}}},
		{"build m/1 -v 2", nil, command{Verb: "build", Args: []string{"--module", "m", "--v", "2"}}},
		{"build m/1/2", nil, command{Verb: "build", Args: []string{"--module", "m", "--v", "1/2"}}},
		{"build -k A -k B --kernelver=C --kernelversion D", nil, command{Verb: "build", Args: []string{
			"--kernelver", "A", "--kernelver", "B", "--kernelver", "C", "--kernelver", "D",
		}}},
		{"status --archive=x --arch=y --architecture z", nil, command{Verb: "status", Args: []string{
			"--archive", "x", "--arch", "y", "--arch", "z",
		}}},
		{"add --force --all --rpm_safe_upgrade", nil, command{Verb: "add", Args: []string{"--force", "--all", "--rpm_safe_upgrade"}}},
		{"add ./m", files{"./m/dkms.conf"}, command{Verb: "add", Args: []string{"--source", "./m"}}},
		{"add m/dkms.conf", files{"m/dkms.conf"}, command{Verb: "add", Args: []string{"--source", "m/./"}}},
		{"add m.tar.gz", files{"m.tar.gz"}, command{Verb: "add", Args: []string{"--archive", "m.tar.gz"}}},
		{"add m/1 extra", nil, command{Verb: "add", Args: []string{"--module", "m", "--v", "1"}}},
		{"remove m/1 -k", nil, command{Verb: "remove", Args: []string{"--module", "m", "--v", "1", "--kernelver", ""}}},
		{"build --directive A=1,2 --directive=B=3=4", nil, command{Verb: "build", Args: []string{"--directive", "A=1,2", "--directive", "B=3=4"}}},
		{"add --no-initrd -q m/1", nil, command{Verb: "add", Args: []string{"--module", "m", "--v", "1"}}},
		{"recover", nil, command{Verb: "recover"}},
		{"-k K recover", nil, command{Verb: "recover", Args: []string{"--kernelver", "K"}}},
		{"recover -v 1 unbuild", nil, command{Verb: "unbuild", Args: []string{"--module", "recover", "--v", "1"}}},
		{"status recover", nil, command{Verb: "status", Args: []string{"--module", "recover"}}},
		{"status sync", nil, command{Verb: "status", Args: []string{"--module", "sync"}}},
		{"sync status", nil, command{Verb: "status", Args: []string{"--module", "sync"}}},
		{"status key", nil, command{Verb: "status", Args: []string{"--module", "key"}}},
		{"key status", nil, command{Verb: "key", Args: []string{"--operand", "status"}}},
		{"frobnicate", nil, command{Args: []string{"--module", "frobnicate"}}},
		{"add --version nonsense --nonsense", nil, command{Verb: "add", Stop: showVersion}},
		{"--help", nil, command{Stop: showHelp}},
		{"add -j4", nil, command{Verb: "add", Err: &dkms.Error{Kind: dkms.UnknownOption, Subject: "-j4"}}},
		{"add -k=K", nil, command{Verb: "add", Err: &dkms.Error{Kind: dkms.UnknownOption, Subject: "-k=K"}}},
		{"add --spec x", nil, command{Verb: "add", Err: &dkms.Error{Kind: dkms.UnknownOption, Subject: "--spec"}}},
		{"add --rootless", nil, command{Verb: "add", Err: &dkms.Error{Kind: dkms.UnknownOption, Subject: "--rootless"}}},
		{"add remove", nil, command{Verb: "add", Err: &dkms.Error{Kind: dkms.TwoActions, Subject: "remove"}}},
	}
}

func TestPermute(t *testing.T) {
	t.Parallel()
	for _, tt := range cases() {
		got := permute(strings.Fields(tt.args), tt.files, &printer{out: io.Discard, err: io.Discard})
		equalErrors := cmp.Comparer(func(a, b error) bool {
			return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
		})
		if diff := cmp.Diff(tt.want, got, equalErrors); diff != "" {
			t.Errorf("permute(%s) (-want +got):\n%s", tt.args, diff)
		}
	}
}

// Values are trimmed, and only their first line counts, as "read" of the shell has it.
func TestPermuteTrims(t *testing.T) {
	t.Parallel()
	got := permute([]string{"add", "-m", " \tm \nrest", "--kernelver= K "}, files{}, &printer{out: io.Discard, err: io.Discard})
	want := command{Verb: "add", Args: []string{"--module", "m", "--kernelver", "K"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("permute (-want +got):\n%s", diff)
	}
}

// Whatever the arguments, what permute makes of them is a command line that the cli package accepts.
func FuzzPermute(f *testing.F) {
	for _, tt := range cases() {
		f.Add(strings.ReplaceAll(tt.args, " ", "\x00"))
	}
	f.Fuzz(func(t *testing.T, joined string) {
		p := &printer{out: io.Discard, err: io.Discard}
		c := permute(strings.Split(joined, "\x00"), files{"m/dkms.conf", "m.tar.gz"}, p)
		var e *dkms.Error
		if c.Err != nil && !errors.As(c.Err, &e) {
			t.Fatalf("permute: error without a kind: %v", c.Err)
		}
		if c.Err != nil || c.Stop != proceed || c.Verb == "" {
			return
		}
		if !slices.Contains(slices.Concat(verbs(), newVerbs(), ownVerbs()), c.Verb) {
			t.Fatalf("permute: verb %q", c.Verb)
		}
		app := newApp(nil, p)
		for _, command := range app.Commands {
			command.Action = nil
		}
		set, err := flagSet(app, c.Verb)
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Parse(c.Args); err != nil {
			t.Fatalf("arguments %q: %v", c.Args, err)
		}
		if set.NArg() > 0 {
			t.Fatalf("arguments %q: left over %q", c.Args, set.Args())
		}
	})
}

// flagSet returns the flags of a verb as the standard library sees them.
func flagSet(app *cli.App, verb string) (*flag.FlagSet, error) {
	set := flag.NewFlagSet(verb, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, f := range app.Command(verb).Flags {
		if err := f.Apply(set); err != nil {
			return nil, err
		}
	}
	return set, nil
}
