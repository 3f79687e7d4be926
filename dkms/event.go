package dkms

// Event is something that happened on the way. The registry and the rooms above it report events as values; the program
// turns them into the sentences that users and scripts know. Concrete types are listed below and in build.
type Event any

// Emit receives events in the order in which they happen. It must not be nil.
type Emit func(Event)

// The events of the registry.
type (
	// SourceLinked tells that a module was registered.
	SourceLinked struct{ Link, Target string }
	// SourceReplaced tells that --force replaces sources that are already in the source tree.
	SourceReplaced struct{ Module Module }
	// BuildLoaded tells that a build result comes out of an archive.
	BuildLoaded struct{ Dir string }
	// BuildKept tells that the build result in an archive is ignored, because there is one.
	BuildKept struct{ Dir string }
	// ConfKept tells that the dkms.conf of an archive without sources is kept in their place.
	ConfKept struct{ Dir string }
	// OriginalArchived tells that a module file that was there before ours is being moved away.
	OriginalArchived struct{ Path string }
	// OriginalKept tells that an original was archived by an earlier installation.
	OriginalKept struct{}
	// FileInstalled tells that a module file is being put in place.
	FileInstalled struct{ Path string }
	// RecordRefused tells that one record is not installed because the kernel has the same or a newer module.
	RecordRefused struct {
		Name    string // file name of the module
		Kernel  string
		Found   string // path of the module that is there
		Version string // version of ours
		Theirs  string // version of the one that is there
		Newer   bool   // theirs is newer; otherwise it is the same
	}
	// RecordObsolete tells that one record is not installed because of OBSOLETE_BY.
	RecordObsolete struct{ By string }
	// UninstallBegun opens the uninstallation of an instance.
	UninstallBegun struct{ Instance Instance }
	// UninstallState tells whether the instance was the active one.
	UninstallState struct{ Active bool }
	// FileDeleted tells that a module file is being deleted.
	FileDeleted struct{ Path string }
	// FileNotFound tells that no installed file of a record was found.
	FileNotFound struct{ Name, Dir string }
	// OriginalRestored tells that an original goes back; Path is empty for archives of dkms before 3.1, which do not
	// say where the file was.
	OriginalRestored struct{ Path string }
	// OriginNotUsable tells that an archived original cannot go back because its recorded place is outside of the kernel.
	OriginNotUsable struct{ Location, File string }
	// OriginalsDropped tells that archived originals without a place to go back to are deleted.
	OriginalsDropped struct{ Kernel, Arch string }
	// LockAwaited tells that somebody else is at work on what is to be changed, and is waited for.
	LockAwaited struct {
		What   string // a module, an instance or a kernel
		Holder string // its process number and command, as far as known
	}
	// Recovered tells that a change which was cut off has been completed, or taken back.
	Recovered struct {
		What      string
		Completed bool
	}
	// RecordUnusable tells that a record of the journal cannot be understood, and was put aside.
	RecordUnusable struct {
		File string // where it is now
		Err  error
	}
	// ManifestUnusable tells that a list of installed files cannot be understood; files are looked for instead.
	ManifestUnusable struct {
		File string
		Err  error
	}
	// ModuleDeleted tells that the last trace of a registration is gone.
	ModuleDeleted struct{ Module Module }
)
