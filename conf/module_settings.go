package conf

import (
	"fmt"
	"slices"
	"time"

	"github.com/BurntSushi/toml"
)

// ModuleSettings is a table [module.NAME]: what an administrator wants of one module, in all its versions, when it is
// installed without anybody asking for it by name.
type ModuleSettings struct {
	Kernel    KernelRange `toml:"kernel"`    // the kernels that it is installed for; the zero value is all
	Policy    Policy      `toml:"policy"`    // what its failure means in a hook; "" is BestEffort
	Initramfs Initramfs   `toml:"initramfs"` // whether the kernel's boot image follows it; "" is ImageAuto
}

// Policy says what a failure means to who did not ask for a module by name: a hook of a package manager, the boot.
type Policy string

// The policies.
const (
	BestEffort Policy = "best-effort" // it is recorded and told, and stops nobody
	Required   Policy = "required"    // the hook fails
)

// Initramfs says whether the boot image of a kernel is made anew after a module has changed.
type Initramfs string

// The choices for boot images.
const (
	ImageAuto   Initramfs = "auto"   // where the image has the module, or the module drives disks or screens
	ImageAlways Initramfs = "always" // whenever there is an image
	ImageNever  Initramfs = "never"
)

// Watch is the table [watch]: how patient dkms watch is. Zero values mean its own.
type Watch struct {
	Settle Duration `toml:"settle"` // how long it must have been quiet
	Every  Duration `toml:"every"`  // when to look without having been told anything
}

// Duration is a time span as Go writes it: "5s", "10m".
type Duration struct{ time.Duration }

// UnmarshalText reads a span.
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil || span <= 0 {
		return fmt.Errorf("%q is no span of time such as \"5s\" or \"10m\"", text)
	}
	d.Duration = span
	return nil
}

// Module returns what is set for a module; without a table of its own that is the zero value.
func (s *Settings) Module(name string) ModuleSettings {
	if s == nil || s.Modules[name] == nil {
		return ModuleSettings{}
	}
	return *s.Modules[name]
}

func (m *ModuleSettings) check(name string) *badValueError {
	key := func(last string) toml.Key { return toml.Key{"module", name, last} }
	if !slices.Contains([]Policy{"", BestEffort, Required}, m.Policy) {
		return &badValueError{key("policy"), fmt.Sprintf(" = %q is neither %q nor %q", m.Policy, BestEffort, Required)}
	}
	if !slices.Contains([]Initramfs{"", ImageAuto, ImageAlways, ImageNever}, m.Initramfs) {
		return &badValueError{key("initramfs"), fmt.Sprintf(" = %q is none of %q, %q, %q", m.Initramfs, ImageAuto, ImageAlways, ImageNever)}
	}
	return nil
}

// minimal keeps a typing error from making a busy loop.
const minimal = 10 * time.Millisecond

func (w Watch) check() *badValueError {
	for name, d := range map[string]Duration{"settle": w.Settle, "every": w.Every} {
		if d.Duration != 0 && d.Duration < minimal {
			return &badValueError{toml.Key{"watch", name}, fmt.Sprintf(" = %q is less than %v", d.Duration, minimal)}
		}
	}
	return nil
}
