package conf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"dkms-go/conf"
)

// TestBuildable has the rules of upstream's check_build_exclusive_for_module.
func TestBuildable(t *testing.T) {
	t.Parallel()
	const kernel = "6.1.0-56-amd64"
	tests := []struct {
		name, conf string
		want       []int
		exclusive  bool
	}{
		{"nothing said", "", []int{0, 1}, false},
		{"first element is for all: no", "BUILD_EXCLUSIVE_ARCH=none\n", nil, true},
		{"first element is for all: yes", "BUILD_EXCLUSIVE_ARCH=x86\n", []int{0, 1}, true},
		{"each its own", "BUILD_EXCLUSIVE_KERNEL[0]=.\nBUILD_EXCLUSIVE_KERNEL[1]='^99\\..*'\n", []int{0}, true},
		{"first and own", "BUILD_EXCLUSIVE_KERNEL_MAX[0]=3.99\nBUILD_EXCLUSIVE_KERNEL_MIN[1]=5.0\n", nil, true},
		{"min", "BUILD_EXCLUSIVE_KERNEL_MIN[1]=6.2\n", []int{0}, true},
		{"min, met exactly", "BUILD_EXCLUSIVE_KERNEL_MIN=6.1.0\n", []int{0, 1}, true},
		{"max, longer is greater", "BUILD_EXCLUSIVE_KERNEL_MAX=6.1.0\n", nil, true},
		{"max", "BUILD_EXCLUSIVE_KERNEL_MAX=6.1.1\n", []int{0, 1}, true},
		{"invalid pattern", "BUILD_EXCLUSIVE_KERNEL[1]='('\n", []int{0}, true},
		{"pattern of the C library", "BUILD_EXCLUSIVE_KERNEL[1]='\\<amd64\\>'\n", []int{0, 1}, true},
		{"config", "BUILD_EXCLUSIVE_CONFIG='CONFIG_LAMP CONFIG_PCI !CONFIG_HEATER'\n", []int{0, 1}, true},
		{"config missing", "BUILD_EXCLUSIVE_CONFIG[1]='CONFIG_LAMP CONFIG_HEATER'\n", []int{0}, true},
		{"config unwanted", "BUILD_EXCLUSIVE_CONFIG[1]=!CONFIG_LAMP\n", []int{0}, true},
		{"config neither y nor m", "BUILD_EXCLUSIVE_CONFIG=CONFIG_LAMPSHADE_DEPTH\n", nil, true},
		{"config begins the line", "BUILD_EXCLUSIVE_CONFIG=LAMP\n", nil, true},
		{"config as a pattern", "BUILD_EXCLUSIVE_CONFIG='CONFIG_L.*P'\n", []int{0, 1}, true},
		{"obsolete", "OBSOLETE_BY=6.1\n", nil, true},
		{"obsolete later", "OBSOLETE_BY=99\n", []int{0, 1}, true},
		{"obsolete, with a maximum", "OBSOLETE_BY=6.1\nBUILD_EXCLUSIVE_KERNEL_MAX=7\n", []int{0, 1}, true},
		{"obsolete, with a maximum of one record", "OBSOLETE_BY=6.1\nBUILD_EXCLUSIVE_KERNEL_MAX[1]=7\n", []int{0, 1}, true},
		{"obsolete, with a maximum of no record", "OBSOLETE_BY=6.1\nBUILD_EXCLUSIVE_KERNEL_MAX[2]=7\n", nil, true},
		{"beyond the records", "BUILD_EXCLUSIVE_ARCH[2]=none\n", []int{0, 1}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := hostLoader(t)
			path := l.Dir + "/dkms.conf"
			writeFile(t, path, named+"BUILT_MODULE_NAME=(a b)\nDEST_MODULE_LOCATION=(/extra /extra)\n"+tt.conf)
			to := conf.Target{Kernel: kernel, Arch: "x86_64", KernelConfig: fixture(t, "kernel/.config")}
			m, err := l.Module(t.Context(), conf.Source{Path: path}, to)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Buildable(t.Context(), to)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("Buildable() of %q: %v, mismatch (-want +got):\n%s", tt.conf, err, diff)
			}
			if got := m.HasExclusive(); got != tt.exclusive {
				t.Errorf("HasExclusive() of %q = %v, want %v", tt.conf, got, tt.exclusive)
			}
		})
	}
}

// TestBuildableWithoutConfig: without a kernel configuration BUILD_EXCLUSIVE_CONFIG says nothing.
func TestBuildableWithoutConfig(t *testing.T) {
	t.Parallel()
	m := load(t, named+"BUILT_MODULE_NAME=a\nDEST_MODULE_LOCATION=/extra\nBUILD_EXCLUSIVE_CONFIG=CONFIG_HEATER\n")
	got, err := m.Buildable(t.Context(), target("6.1"))
	if diff := cmp.Diff([]int{0}, got); diff != "" || err != nil {
		t.Errorf("Buildable(): %v, mismatch (-want +got):\n%s", err, diff)
	}
}

// TestZeroRecordsAreNeverExcluded, whatever the directives say.
func TestZeroRecordsAreNeverExcluded(t *testing.T) {
	t.Parallel()
	if m := load(t, named+"BUILD_EXCLUSIVE_ARCH=none\n"); m.HasExclusive() {
		t.Error("HasExclusive() = true without records, want false")
	}
}
