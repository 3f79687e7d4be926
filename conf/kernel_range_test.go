package conf_test

import (
	"testing"

	"dkms-go/conf"
)

func TestKernelRange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, release string
		want          bool
	}{
		{">= 6.1, < 6.13", "6.1.0-56-amd64", true},
		{">= 6.1, < 6.13", "6.12.107+deb13-amd64", true},
		{">= 6.1, < 6.13", "6.13.0-rc1", false},
		{">= 6.1, < 6.13", "5.14.0-427.13.1.el9_4.x86_64", false},
		{">=6.1,<6.13", "6.6.0_1", true},
		{"= 6.1", "6.1.0-9-amd64", true},
		{"6.1.0", "6.1.0-56-amd64", true},
		{"= 6.1", "6.1.5", false},
		{"!= 6.1", "6.1.0-9-amd64", false},
		{"!= 6.1", "6.2.0", true},
		{"~> 6.1", "6.12.0", true},
		{"~> 6.1", "7.0.0-rc1+", false},
		{"~> 6.1.0", "6.2.0", false},
		{"> 6.1.0", "6.1.0-56-amd64", false}, // what comes behind the number does not count
		{"<= 4.19.999", "4.19.0-27-cloud-amd64", true},
		{"< 100", "linux", false},
	} {
		r, err := conf.ParseKernelRange(tt.text)
		if err != nil {
			t.Errorf("ParseKernelRange(%q): %v", tt.text, err)
		} else if got := r.Has(tt.release); got != tt.want {
			t.Errorf("ParseKernelRange(%q).Has(%q) = %v, want %v", tt.text, tt.release, got, tt.want)
		}
	}
	if !(conf.KernelRange{}).Has("anything") {
		t.Error("the zero value does not have every kernel")
	}
}

func TestKernelRangeRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     `"" is no condition on a kernel such as ">= 6.1"`,
		"lately":               `"lately" is no condition on a kernel such as ">= 6.1"`,
		">= 6.1, ":             `"" is no condition on a kernel such as ">= 6.1"`,
		">= 6.1-rc1":           `">= 6.1-rc1" is no condition on a kernel such as ">= 6.1"`,
		"=> 6.1":               `"=> 6.1" is no condition on a kernel such as ">= 6.1"`,
		">= 6.1 < 6.13":        `">= 6.1 < 6.13" is no condition on a kernel such as ">= 6.1"`,
		"> 5, >= 6.1.x, < 6.2": `">= 6.1.x" is no condition on a kernel such as ">= 6.1"`,
	} {
		if _, err := conf.ParseKernelRange(text); err == nil || err.Error() != want {
			t.Errorf("ParseKernelRange(%q) = %v, want %s", text, err, want)
		}
	}
}
