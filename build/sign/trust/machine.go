package trust

import (
	"strings"

	"dkms-go/conf/sysroot"
)

// Machine is what the machine that runs below a root says of itself.
type Machine struct {
	Release string // of its kernel; "" for an image, which runs none

	EFI       bool // it was started by UEFI
	Variables bool // the variables of the firmware can be seen
	// SecureBoot is the firmware's own word. Validation off means that shim has
	// been told to let everything pass (mokutil --disable-validation), which the
	// kernel takes for Secure Boot off.
	SecureBoot, SetupMode, ValidationOff bool

	Lockdown   string // "none", "integrity" or "confidentiality"; "" where it is not known
	SigEnforce string // "Y" or "N"; "" where it is not known

	options []string // the kernel's command line
}

// ReadMachine looks at the machine below root.
func ReadMachine(root *sysroot.Root) Machine {
	exists := func(abs string) bool { _, err := root.Stat(abs); return err == nil }
	m := Machine{
		Release:       text(root, "/proc/sys/kernel/osrelease"),
		EFI:           exists(efiDir),
		SecureBoot:    isSet(root, "SecureBoot", global),
		SetupMode:     isSet(root, "SetupMode", global),
		ValidationOff: isSet(root, "MokSBStateRT", shim),
		SigEnforce:    text(root, "/sys/module/module/parameters/sig_enforce"),
		options:       strings.Fields(text(root, "/proc/cmdline")),
	}
	names, err := root.ReadDir(varDir)
	m.Variables = err == nil && len(names) > 0
	// none [integrity] confidentiality
	if _, rest, ok := strings.Cut(text(root, "/sys/kernel/security/lockdown"), "["); ok {
		m.Lockdown, _, _ = strings.Cut(rest, "]")
	}
	return m
}

// text is the content of a small file without blanks at its ends; "" where there
// is none.
func text(root *sysroot.Root, abs string) string {
	data, err := root.ReadFile(abs)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Guarded reports whether Secure Boot is on, for the firmware and for shim.
func (m Machine) Guarded() bool { return m.SecureBoot && !m.ValidationOff }

// Reason is why a kernel takes signed modules only.
type Reason string

// The reasons, as the names of what causes them.
const (
	NotEnforced Reason = ""
	SigEnforce  Reason = "module.sig_enforce"
	Lockdown    Reason = "lockdown"
	SecureBoot  Reason = "Secure Boot"
	SigForce    Reason = "CONFIG_MODULE_SIG_FORCE" // of the kernel itself; not the machine's to say
)

// Enforces tells why a kernel of this machine, one that knows signatures, takes
// signed modules only. The one that runs says so itself; where it does not, and
// for one that is to run, Secure Boot and the command line tell.
func (m Machine) Enforces(release string) Reason {
	runs := m.Release != "" && release == m.Release
	switch {
	case runs && m.SigEnforce == "Y":
		return SigEnforce
	case runs && m.Lockdown != "" && m.Lockdown != "none":
		return Lockdown
	case runs && m.SigEnforce != "" && m.Lockdown != "":
		return NotEnforced
	case m.Guarded():
		return SecureBoot
	case m.enforceOption():
		return SigEnforce
	case m.lockdownOption():
		return Lockdown
	}
	return NotEnforced
}

// enforceOption reports whether the command line sets module.sig_enforce. It is a
// bool: on without a value, and for anything that begins like y, t, on or 1.
func (m Machine) enforceOption() bool {
	on := false
	for _, o := range m.options {
		name, value, ok := strings.Cut(o, "=")
		if name == "module.sig_enforce" {
			on = on || !ok || value != "" && strings.ContainsAny(value[:1], "yYtT1") || strings.HasPrefix(strings.ToLower(value), "on")
		}
	}
	return on
}

func (m Machine) lockdownOption() bool {
	for _, o := range m.options {
		if o == "lockdown=integrity" || o == "lockdown=confidentiality" {
			return true
		}
	}
	return false
}
