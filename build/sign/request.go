package sign

import (
	"context"
	"io"
	"time"

	"dkms-go/conf/sysroot"
)

// Runner runs a program inside the root, with the environment of the build and
// the settings "NAME=value" in extra, and writes what it prints to out; nil
// discards it. argv[0] is looked up in PATH unless it has a slash.
type Runner func(ctx context.Context, argv, extra []string, out io.Writer) error

// Request is what preparing signatures for one kernel needs to know. Paths are
// inside Root.
type Request struct {
	Root         *sysroot.Root
	Runner       Runner
	Distribution string   // class of the distribution (conf.Distribution)
	Env          []string // for Gentoo's MODULES_SIGN_KEY and MODULES_SIGN_CERT

	// The kernel.
	Release     string
	InstallTree string // normally /lib/modules
	Headers     string // kernel_source_dir
	Config      string // kernel_config; may not exist
	ConfigValue func(name string) (value string, ok bool)

	// The settings of framework.conf; "" when not set.
	SignFile       string // sign_file
	SigningKey     string // mok_signing_key
	Certificate    string // mok_certificate
	TrySignModules string // try_sign_modules

	Passphrase Passphrase // of an encrypted key; nil: none is known

	// The surroundings.
	Image    bool                                        // the root is no running machine: no private key is made in it
	InChroot func() bool                                 // asked only when it matters; see Jail
	LookPath func(program string) (path string, ok bool) // PATH, inside Root
	Now      func() time.Time                            // begin of a new certificate's validity
	Output   io.Writer                                   // terminal of update-secureboot-policy --enroll-key
	bits     int                                         // of a new key, if not 2048; for tests
	Report   func(Message)                               // nil: nobody listens
}

func (r *Request) report(m Message) {
	if r.Report != nil {
		r.Report(m)
	}
}

func (r *Request) isRegular(abs string) bool {
	info, err := r.Root.Stat(abs)
	return err == nil && info.Mode().IsRegular()
}
