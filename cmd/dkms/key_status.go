package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dkms-go/build"
	"dkms-go/build/sign"
	"dkms-go/build/sign/trust"
)

// keyReport is what "dkms key status --json" prints. Fields are added, never changed or taken away.
type keyReport struct {
	Key         string          `json:"key"`
	Certificate string          `json:"certificate"`
	Program     string          `json:"program,omitempty"` // what signs, if not dkms itself
	Problem     string          `json:"problem,omitempty"` // why nothing can be signed
	Details     *keyCertificate `json:"details,omitempty"` // of the certificate
	Machine     keyMachine      `json:"machine"`
	Trust       *keyTrust       `json:"trust,omitempty"` // what the machine thinks of the certificate
	Next        string          `json:"next,omitempty"`  // the command to type next, if there is one
	Advice      string          `json:"advice"`          // a sentence about it
}

type keyCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	SHA256    string    `json:"sha256"`
	SHA1      string    `json:"sha1"`
	Key       string    `json:"key"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SignsCode bool      `json:"signs_code"`
}

type keyMachine struct {
	Kernel         string `json:"kernel,omitempty"` // that runs
	EFI            bool   `json:"efi"`
	SecureBoot     bool   `json:"secure_boot"`
	SetupMode      bool   `json:"setup_mode"`
	ShimValidation bool   `json:"shim_validation"`
	Lockdown       string `json:"lockdown,omitempty"`    // none, integrity or confidentiality
	SigEnforce     string `json:"sig_enforce,omitempty"` // Y or N
	Enforces       string `json:"enforces,omitempty"`    // why it takes signed modules only
}

type keyTrust struct {
	Standing string `json:"standing"`
	MOK      bool   `json:"mok"`     // in MokListRT
	DB       bool   `json:"db"`      // in the firmware's db
	Pending  bool   `json:"pending"` // in MokNew
	Revoked  bool   `json:"revoked"` // in dbx or MokListX
	Loaded   bool   `json:"loaded"`  // in a keyring of the running kernel
	Keyring  string `json:"keyring,omitempty"`
	Error    string `json:"error,omitempty"` // what could not be read
}

// newKeyReport puts into words what there is to know of the key.
func newKeyReport(s *build.KeyStatus) keyReport {
	m := s.Machine
	r := keyReport{
		Key: s.Pair.Key, Certificate: s.Pair.Certificate, Program: s.Program,
		Machine: keyMachine{
			Kernel: m.Release, EFI: m.EFI, SecureBoot: m.SecureBoot, SetupMode: m.SetupMode, ShimValidation: !m.ValidationOff,
			Lockdown: m.Lockdown, SigEnforce: m.SigEnforce, Enforces: string(s.Reason),
		},
	}
	if d := s.Description; d != nil {
		c := keyCertificate(*d)
		r.Details = &c
		p := s.Places
		r.Trust = &keyTrust{
			Standing: string(s.Standing), MOK: p.MOK, DB: p.DB, Pending: p.Pending, Revoked: p.Revoked, Loaded: p.Loaded, Keyring: p.Keyring,
		}
		if s.PlacesErr != nil {
			r.Trust.Error = s.PlacesErr.Error()
		}
	}
	if s.Problem != nil {
		r.Problem = keyProblem(s.Problem)
		r.Next, r.Advice = mendKey(s.Problem, s.Pair)
		return r
	}
	r.Next, r.Advice = nextStep(s)
	return r
}

// keyStatus prints what there is to know of the key, and what to do next.
func (s *session) keyStatus(status *build.KeyStatus) error {
	r := newKeyReport(status)
	if s.json {
		return s.printJSON(r)
	}
	line := func(name, format string, args ...any) { s.say("%-14s %s", name+":", fmt.Sprintf(format, args...)) }
	line("key", "%s", r.Key)
	line("certificate", "%s", r.Certificate)
	if r.Program != "" {
		line("signed by", "%s", r.Program)
	}
	if c := r.Details; c != nil {
		line("subject", "%s", c.Subject)
		line("kind", "%s, serial %s", c.Key, c.Serial)
		line("SHA256", "%s", c.SHA256)
		line("SHA1", "%s", c.SHA1)
		line("valid until", "%s", c.NotAfter.UTC().Format(time.DateOnly))
		if !c.SignsCode {
			line("usage", "not said to be for code; some kernels, of SUSE for one, refuse its signatures")
		}
	}
	if r.Problem != "" {
		line("problem", "%s", r.Problem)
	}
	line("Secure Boot", "%s", secureBoot(status.Machine))
	line("lockdown", "%s", or(r.Machine.Lockdown, "not known"))
	line("sig_enforce", "%s", or(r.Machine.SigEnforce, "not known"))
	if r.Machine.Enforces != "" {
		line("modules", "only signed ones are taken (%s)", r.Machine.Enforces)
	} else {
		line("modules", "unsigned ones are taken too")
	}
	if t := r.Trust; t != nil {
		line("MOK list", "%s", yes(t.MOK))
		line("db", "%s", yes(t.DB))
		line("pending", "%s", yes(t.Pending))
		line("revoked", "%s", yes(t.Revoked))
		line("kernel has it", "%s", or(t.Keyring, yes(t.Loaded)))
		if t.Error != "" {
			line("not read", "%s", t.Error)
		}
	}
	line("advice", "%s", r.Advice)
	if r.Next != "" {
		line("next", "%s", r.Next)
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func secureBoot(m trust.Machine) string {
	switch {
	case !m.EFI:
		return "not there (the machine was not started by UEFI)"
	case !m.Variables:
		return "not known (the variables of the firmware cannot be seen)"
	case m.SecureBoot && m.ValidationOff:
		return "on, but shim has been told to let everything pass"
	case m.SecureBoot:
		return "on"
	case m.SetupMode:
		return "off (setup mode)"
	}
	return "off"
}

// keyProblem is what is wrong with the key, in half a sentence.
func keyProblem(m sign.Message) string {
	switch m := m.(type) {
	case sign.NoPair:
		return "there is none"
	case sign.HalfPair:
		return m.Have + " is there, " + m.Missing + " is not"
	case sign.BinaryNotFound:
		return m.Path + " is not there"
	case sign.CertNotGenerated:
		return m.Path + " is not there"
	case sign.KeyExposed:
		return fmt.Sprintf("%s can be read by others (mode %04o)", m.Path, m.Mode)
	case sign.KeyUnreadable:
		return fmt.Sprintf("%s: %v", m.Path, m.Err)
	case sign.CertificateUnreadable:
		return fmt.Sprintf("%s: %v", m.Path, m.Err)
	case sign.KeyMismatch:
		return "key and certificate do not belong together"
	case sign.Expired:
		return "the certificate has expired"
	case sign.NoCodeSigning:
		return "the certificate is not for signing code, as this kernel wants it to be"
	}
	return fmt.Sprint(m)
}

// makeAnew is the command that puts files of a pair aside and makes a new pair.
func makeAnew(files ...string) string {
	var moves strings.Builder
	for _, f := range slices.Compact(files) {
		fmt.Fprintf(&moves, "mv %s %s.old && ", f, f)
	}
	return moves.String() + "dkms generate_mok"
}

// mendKey says what to do about a key that cannot sign: a command, if one does it, and a sentence.
func mendKey(m sign.Message, pair sign.Pair) (next, advice string) {
	switch m := m.(type) {
	case sign.NoPair:
		return "dkms generate_mok", "Make a key."
	case sign.HalfPair:
		return makeAnew(m.Have),
			"Restore " + m.Missing + " from a backup, or give the other half up and make a new pair."
	case sign.KeyExposed:
		return "chmod 600 " + m.Host, "Let nobody else read the key. If somebody may have, make a new one."
	case sign.KeyUnreadable:
		return "", "Put a usable key there. Where it is encrypted, its passphrase comes from KBUILD_SIGN_PIN, from the systemd " +
			"credential " + sign.Credential + ", or from the file that passphrase_file in /etc/dkms/dkms.toml names."
	case sign.CertificateUnreadable:
		return "", "Put the certificate of the key there, in DER or PEM."
	case sign.CertNotGenerated:
		return "", "Put the certificate of the key on the token there, in DER or PEM."
	case sign.BinaryNotFound:
		return "", "Install that program, or change sign_file in /etc/dkms/framework.conf."
	case sign.KeyMismatch:
		return "", "Put the certificate of that key there, or the key of that certificate; mok_signing_key and mok_certificate in " +
			"/etc/dkms/framework.conf name them."
	case sign.Expired:
		return makeAnew(pair.Key, pair.Certificate), "Make a new key; the old one signs nothing any more."
	case sign.NoCodeSigning:
		return makeAnew(pair.Key, pair.Certificate), "Make a new key."
	}
	return "", "See dkms(8)."
}

// nextStep says what to do about a key that can sign: a command, if one does it, and a sentence.
func nextStep(s *build.KeyStatus) (next, advice string) {
	switch s.Standing {
	case trust.Trusted:
		return "", "All is well: the kernel trusts what is signed with this key."
	case trust.Enrolled:
		return "", "All is well: nothing asks for signatures now, and the key is enrolled for the day that something does."
	case trust.Unneeded:
		if s.Machine.EFI {
			return "dkms key enroll", "Nothing asks for signatures now. Before Secure Boot is turned on, enroll the key."
		}
		return "", "Nothing asks for signatures."
	case trust.NotEnrolled:
		return "dkms key enroll", "The kernel does not trust this key: modules signed with it are refused."
	case trust.Pending:
		return "systemctl reboot", "The next boot asks whether to enroll the key; be at the console."
	case trust.Revoked:
		return makeAnew(s.Pair.Key, s.Pair.Certificate), "The key is revoked for ever. Make a new one and enroll that."
	case trust.Ignored:
		return "systemctl reboot --firmware-setup", "The key is enrolled, but kernels take owner's keys only with Secure Boot on. Turn that on."
	case trust.Rebooting:
		return "systemctl reboot", "The key is in db, and the kernel has not loaded it. It looks there when it starts."
	case trust.NotLoaded:
		return "journalctl -k -g X.509", "The key is enrolled, and the kernel has not taken it. Its log says why; RSA keys of 2048 bits are what all kernels take."
	case trust.Hopeless:
		return "cat /proc/cmdline", "Without UEFI the kernel trusts no key but its own. Start it without " + string(s.Reason) + "."
	case trust.Unseen:
		return "mount -t efivarfs efivarfs /sys/firmware/efi/efivars", "The variables of the firmware cannot be seen, so nothing is known of what they hold."
	}
	return "", ""
}
