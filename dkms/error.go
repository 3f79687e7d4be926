package dkms

import (
	"fmt"
	"strings"
)

// Kind says what went wrong, by meaning. The program alone turns kinds into sentences and exit statuses.
type Kind int

// The kinds of failure of the registry and of everything built on it.
const (
	Internal           Kind = iota // none of the others: an I/O error, a bug
	Interrupted                    // the user or the system asked to stop
	BadName                        // a name that must not become part of a path
	MissingArguments               // no module or no version given; Subject is the verb
	UnknownOption                  // Subject is the option
	TwoActions                     // more than one verb
	UnknownAction                  // no verb
	KernelAndAll                   // -k together with --all
	ArchAndAll                     // -a together with --all
	ArchMismatch                   // several architectures, but not one for each kernel
	AllBanned                      // --all with a verb that does not take it; Subject is the verb
	OneKernelOnly                  // several kernels with a verb that takes one; Subject is the verb
	NoKernelFits                   // no kernel satisfies the conditions of -k, which are Subject
	EmptyKernel                    // a kernel release or architecture that is empty; Subject names it
	NotRoot                        // the verb needs root; Subject is the verb
	TreeNotWritable                // no write access to the dkms tree; Subject is its path
	SystemUnknown                  // no os-release file
	SourceMissing                  // the source directory does not exist; Subject is its path
	NoConfInSource                 // a path without dkms.conf; Subject is the path
	AlreadyAdded                   // the module is registered
	NotAdded                       // the module is not registered
	SourceBroken                   // the registration lacks its source
	ConfMissing                    // dkms.conf cannot be read; Subject is its path
	BadConf                        // dkms.conf is invalid; Subject is the path to name, may be empty
	SourceEmpty                    // the source directory holds nothing to build; Subject is its path
	HeadersMissing                 // no kernel headers; Subject is the path, Detail the places
	Excluded                       // BUILD_EXCLUSIVE forbids this kernel; Subject is the base directory
	DependsMissing                 // BUILD_DEPENDS not installed; Detail lists the modules
	PatchBadPath                   // a patch outside of the patches directory; Subject is its name
	PatchMissing                   // a patch that is not there; Subject is its name
	PatchFailed                    // a patch that does not apply; Subject is its name
	ScriptFailed                   // a script of the module failed; Subject is its role, Status its status
	MakeFailed                     // the make command failed
	ProductMissing                 // make succeeded without the expected module; Subject is its file
	StageFailed                    // the build result could not be put in place; Subject is what failed
	KernelDirMissing               // the kernel has no directory in the install tree; Subject is its path
	BuiltFileMissing               // a built module is gone; Subject is its name, Detail its directory
	PreInstallFailed               // PRE_INSTALL failed
	CopyFailed                     // a module file could not be put in place; Subject is the file
	NothingInstalled               // every record was refused
	IndexFailed                    // the module indexes could not be written; the modules were rolled back
	SigningKeyUnusable             // no usable signing key
	Unsigned                       // not signed, and the kernel takes signed modules only; Subject is why, Detail the files
	NotVerified                    // a module file that is not what the certificate's owner signed; Subject is the file
	SignFailed                     // a module file that could not be signed; Subject is the file
	NotEnrolled                    // the certificate could not be enrolled; Subject is its path, Detail says why
	BadUsage                       // a verb with too few words, or with one it does not know; Subject is how it is used
	SettingsInvalid                // dkms.toml cannot be used; Subject says where
	ImageFailed                    // the boot image of a kernel could not be made; Subject is its path, Detail says why
	DriverNotBuilt                 // a module that a kernel has to have is not built; Subject says why
	DriverUnsigned                 // it is not signed, or not as it should be; Subject says which file
	DriverUntrusted                // it is signed by a key that the machine does not trust; Subject says why
	DriverNotInstalled             // it is built and not installed, or not as it was built
	DriverNotIndexed               // modprobe does not find it; Subject is its file
	DriverNotInImage               // the boot image does not have it, or an old one; Subject says which
	AutoinstallFailed              // some modules could not be installed automatically
	OneKernelNeeded                // no kernel, or several, with a verb that needs one; Subject is the verb
	NoTemplate                     // match without a kernel to be matched
	SameTemplate                   // match of a kernel with itself
	ModuleUnknown                  // no version of a module is registered
	VacateFailed                   // modules could not be removed from a kernel; Subject is the verb, Detail the modules
	OnlyBoth                       // --binaries-only together with --source-only
	ArchiveMissing                 // the archive does not exist; Subject is its path
	ArchiveNoConf                  // an archive without dkms.conf; Subject is its path
	ArchiveInvalid                 // an archive of ours without usable dkms.conf; Subject is its path
	ArchiveRefused                 // an archive that is damaged or would do harm; Subject is its path, Detail says why
	ArchiveAdded                   // the module in the archive is registered
	PackageFailed                  // rpm failed; Subject is the package
	NotBuilt                       // the module has no build to put into an archive
	ArchiveNotWritable             // no write access where the archive belongs; Subject is the directory
	ArchiveFailed                  // the archive could not be made; Subject is its path, Detail says why
	NoSpace                        // a file system is or would become full; Subject is the place, Detail how much is needed if that is known
	BuildTimedOut                  // a build took longer than it may; Subject is how long, Detail the step at work
	PackageArchive                 // the archive that a package brings cannot be loaded; Subject is its path
)

// Error is a failure of a transition: what failed, on which instance, why, and what the user can do about it.
// Fields that do not apply are zero.
type Error struct {
	Kind     Kind
	Instance Instance // what it happened to, as far as known
	Subject  string   // the path, option, record or program it is about, see Kind
	Detail   []string // further facts, see Kind
	Status   int      // the exit status of the program that failed
	Log      string   // the log that tells more
	Remedy   string   // what to do next, a sentence; empty where the message already says so
	Err      error    // the cause

	Diagnosis Diagnosis // what Log says about it
}

// Diagnosis is what a log says about a build that failed.
type Diagnosis struct {
	Cause   string   `json:"cause,omitempty"`   // a word for the guessed reason, see kbuild.Cause; "" when there is no guess
	Subject string   `json:"subject,omitempty"` // what is missing or does not fit, such as a header or a function
	Lines   []string `json:"lines,omitempty"`   // the first error and what belongs to it
}

// Error returns one line for logs; the sentences that users see are made by the program.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Instance.Name != "" {
		fmt.Fprintf(&b, "%s: ", e.Instance)
	}
	kind := e.Kind.String()
	if e.Err != nil && e.Subject == "" && len(e.Detail) == 0 && strings.HasPrefix(e.Err.Error(), kind+" ") {
		b.WriteString(e.Err.Error()) // says the same, and more
		return b.String()
	}
	b.WriteString(kind)
	if e.Subject != "" {
		fmt.Fprintf(&b, ": %s", e.Subject)
	}
	if len(e.Detail) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(e.Detail, ", "))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// String names the kind in a few lower case words.
func (k Kind) String() string {
	names := kindNames()
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return names[k]
}

// Kinds returns every kind there is, in order.
func Kinds() []Kind {
	ks := make([]Kind, len(kindNames()))
	for i := range ks {
		ks[i] = Kind(i)
	}
	return ks
}

// kindNames is indexed by Kind; a test counts it against the constants.
func kindNames() []string {
	return []string{
		Internal:           "failed",
		Interrupted:        "interrupted",
		BadName:            "name not allowed",
		MissingArguments:   "module and version not given",
		UnknownOption:      "unknown option",
		TwoActions:         "more than one action",
		UnknownAction:      "unknown action",
		KernelAndAll:       "kernel together with --all",
		ArchAndAll:         "architecture together with --all",
		ArchMismatch:       "architectures and kernels do not match",
		AllBanned:          "--all not allowed",
		OneKernelOnly:      "more than one kernel",
		NoKernelFits:       "no such kernels",
		EmptyKernel:        "empty kernel or architecture",
		NotRoot:            "root needed",
		TreeNotWritable:    "dkms tree not writable",
		SystemUnknown:      "no os-release file",
		SourceMissing:      "source directory missing",
		NoConfInSource:     "no dkms.conf in the source",
		AlreadyAdded:       "already added",
		NotAdded:           "not added",
		SourceBroken:       "broken",
		ConfMissing:        "dkms.conf missing",
		BadConf:            "dkms.conf invalid",
		SourceEmpty:        "source directory empty",
		HeadersMissing:     "kernel headers missing",
		Excluded:           "excluded by BUILD_EXCLUSIVE",
		DependsMissing:     "BUILD_DEPENDS missing",
		PatchBadPath:       "patch outside of the patches directory",
		PatchMissing:       "patch missing",
		PatchFailed:        "patch does not apply",
		ScriptFailed:       "script failed",
		MakeFailed:         "make failed",
		ProductMissing:     "module not made",
		StageFailed:        "build result not put in place",
		KernelDirMissing:   "kernel directory missing",
		BuiltFileMissing:   "built module missing",
		PreInstallFailed:   "pre_install failed",
		CopyFailed:         "copying failed",
		NothingInstalled:   "nothing installed",
		IndexFailed:        "module indexes not written",
		SigningKeyUnusable: "no usable signing key",
		Unsigned:           "not signed",
		NotVerified:        "signature not verified",
		SignFailed:         "signing failed",
		NotEnrolled:        "certificate not enrolled",
		BadUsage:           "wrong usage",
		SettingsInvalid:    "settings invalid",
		ImageFailed:        "boot image not made",
		DriverNotBuilt:     "driver not built",
		DriverUnsigned:     "driver not signed",
		DriverUntrusted:    "driver not trusted",
		DriverNotInstalled: "driver not installed",
		DriverNotIndexed:   "driver not indexed",
		DriverNotInImage:   "driver not in the boot image",
		AutoinstallFailed:  "modules not installed",
		OneKernelNeeded:    "exactly one kernel needed",
		NoTemplate:         "no kernel to be matched",
		SameTemplate:       "kernel to be matched is the same",
		ModuleUnknown:      "no such module",
		VacateFailed:       "modules not removed",
		OnlyBoth:           "binaries only and source only",
		ArchiveMissing:     "archive missing",
		ArchiveNoConf:      "no dkms.conf in the archive",
		ArchiveInvalid:     "no valid dkms.conf in the archive",
		ArchiveRefused:     "archive refused",
		ArchiveAdded:       "module of the archive already added",
		PackageFailed:      "package not installed",
		NotBuilt:           "not built",
		ArchiveNotWritable: "place for the archive not writable",
		ArchiveFailed:      "archive not made",
		NoSpace:            "no space left",
		BuildTimedOut:      "build took too long",
		PackageArchive:     "archive of the package not loaded",
	}
}
