package conf_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
)

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		conf string
		want []string
	}{
		{named, nil},
		{"MAKE=$(echo @(a|b))\n", nil},
		{"MAKE=make\nif true; then\ndone\n", []string{"dkms.conf:3: syntax error near unexpected token `done'"}},
		{"MAKE=\"make\n", []string{"dkms.conf:1: unexpected EOF while looking for matching `\"'"}},
	}
	for _, tt := range tests {
		l := hostLoader(t)
		path := filepath.Join(l.Dir, "dkms.conf")
		writeFile(t, path, tt.conf)
		m, err := l.Module(t.Context(), conf.Source{Path: path}, target("6.1"))
		if err != nil {
			t.Fatal(err)
		}
		found, err := m.SyntaxErrors(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range found {
			got = append(got, e.Error()[len(l.Dir)+1:])
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("SyntaxErrors() of %q mismatch (-want +got):\n%s", tt.conf, diff)
		}
	}
}
