package trust

// Standing is what a machine thinks of a certificate, in one word.
type Standing string

// The standings. The words are part of the output of dkms key status --json.
const (
	Trusted     Standing = "trusted"      // the running kernel has it
	Unneeded    Standing = "unneeded"     // nothing asks for signatures, and it is not enrolled
	Enrolled    Standing = "enrolled"     // nothing asks for signatures, and it is enrolled
	NotEnrolled Standing = "not-enrolled" // signatures are asked for, and it is unknown
	Pending     Standing = "pending"      // it waits for the next boot
	Revoked     Standing = "revoked"      // it is on a list of bad ones
	Ignored     Standing = "ignored"      // it is a MOK, and Secure Boot is off: then kernels do not load these
	NotLoaded   Standing = "not-loaded"   // it is enrolled, and the kernel has not taken it
	Rebooting   Standing = "reboot"       // it came into db after the kernel was started
	Hopeless    Standing = "hopeless"     // signatures are asked for, and without UEFI no key can be enrolled
	Unseen      Standing = "unseen"       // the variables of the firmware cannot be seen
)

// Stands weighs where a certificate is against what the machine asks for. Reason
// is why its kernel takes signed modules only.
func (m Machine) Stands(p Places, reason Reason) Standing {
	asked := reason != NotEnforced
	switch {
	case p.Revoked:
		return Revoked
	case p.Loaded:
		return Trusted
	case p.Pending:
		return Pending
	case m.EFI && !m.Variables:
		return Unseen
	case !asked && (p.MOK || p.DB):
		return Enrolled
	case !asked:
		return Unneeded
	case !m.EFI:
		return Hopeless
	case p.DB:
		return Rebooting
	case p.MOK && !m.Guarded():
		return Ignored
	case p.MOK:
		return NotLoaded
	}
	return NotEnrolled
}
