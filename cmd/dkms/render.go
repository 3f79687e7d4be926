package main

import (
	"fmt"
	"path"
	"strings"
	"time"

	"dkms-go/build"
	"dkms-go/build/sign"
	"dkms-go/dkms"
)

// renderer turns the events of a run into the text that dkms 3.4 prints, empty lines included.
type renderer struct {
	*printer
	goal build.Action
	last build.Step // the step that ended last, indexes apart

	stream *eventStream // with --json
}

func (r *renderer) emit(e dkms.Event) {
	if r.stream != nil {
		r.stream.emit(e)
	}
	switch e := e.(type) {
	case build.PartBegun:
		r.partBegun(e)
	case build.PartEnded:
		if r.goal == build.Remove || e.Part.Why == build.Wished || e.Part.Why == build.Leaving {
			r.say("")
		}
	case build.StepBegun:
		// What comes after an uninstallation is separated from it.
		if s := e.Step; s.Action == build.Install && s.Replace && r.last.Action == build.Uninstall && r.last.Part == s.Part {
			r.say("")
		}
	case build.StepEnded:
		r.stepEnded(e)
	case build.TaskBegun:
		r.taskBegun(e)
	case build.TaskEnded:
		r.taskEnded(e)
	case build.SigningDecided:
		r.say("%s", signing(e.Message))
	case build.Printed:
		if e.Stderr {
			fmt.Fprint(r.err, e.Text)
		} else {
			fmt.Fprint(r.out, e.Text)
		}
	default:
		if !r.registry(e) {
			r.process(e)
		}
	}
}

// partBegun prints the heading of a part.
func (r *renderer) partBegun(e build.PartBegun) {
	i := e.Part.Instance
	switch e.Part.Why {
	case build.Asked:
		if e.Number > 0 && (r.goal == build.Uninstall || r.goal == build.Unbuild) {
			r.say("")
		}
	case build.Wished:
		r.say("Autoinstall of module %s", i)
	case build.Matched:
		r.say("Module:  %s\nVersion: %s", i.Name, i.Version)
	case build.Leaving, build.Renewed:
		r.complain("dkms: removing module %s", i)
	case build.Rebuilt:
		r.say("\nRebuilding module %s due to updated dependencies\n", i.Module)
	}
}

func (r *renderer) stepEnded(e build.StepEnded) {
	s := e.Step
	if s.Action != build.Index {
		r.last = s
	}
	if e.Err != nil {
		r.report(e.Err)
	}
	if line := skipped(s); line != "" {
		r.say("%s", line)
	}
	if (s.Action == build.Add || s.Action == build.Load) && s.Implied && e.Err == nil {
		r.say("")
	}
}

// skipped says why there was nothing to do; "" where that is not worth a word.
func skipped(s build.Step) string {
	i := s.Instance
	switch s.Skip {
	case build.AlreadyBuilt:
		return fmt.Sprintf("Module %s already built for kernel %s (%s), skip. You may override by specifying --force.", i.Module, i.Kernel, i.Arch)
	case build.AlreadyInstalled:
		return fmt.Sprintf("Module %s already installed on kernel %s (%s), skip. You may override by specifying --force.", i.Module, i.Kernel, i.Arch)
	case build.NotBuilt:
		return fmt.Sprintf("Module %s is not built for kernel %s (%s). Skipping...", i.Module, i.Kernel, i.Arch)
	case build.NotInstalled:
		return fmt.Sprintf("Module %s is not installed for kernel %s (%s). Skipping...", i.Module, i.Kernel, i.Arch)
	}
	return ""
}

func (r *renderer) taskBegun(e build.TaskBegun) {
	if r.verbose {
		r.say("%s", e.Command)
		return
	}
	fmt.Fprintf(r.out, "%s...", e.Description)
	if !e.Quiet && !r.live && r.stream == nil {
		r.dots = startDots(r.out)
	}
}

func (r *renderer) taskEnded(e build.TaskEnded) {
	r.dots.end()
	r.dots = nil
	switch {
	case e.Status == 0:
		r.say(" done.")
	case r.verbose:
		fmt.Fprintf(r.out, "(bad exit status: %d)", e.Status)
	default:
		r.say("(bad exit status: %d)\nFailed command:\n%s", e.Status, e.Command)
	}
}

// registry prints the events of the registry, and returns whether e is one.
func (r *renderer) registry(e dkms.Event) bool {
	switch e := e.(type) {
	case dkms.SourceLinked:
		r.say("Creating symlink %s -> %s", e.Link, e.Target)
	case dkms.SourceReplaced:
		r.complain("")
		r.say("Forcing install of %s", e.Module)
	case dkms.BuildLoaded:
		r.say("Loading %s...", e.Dir)
	case dkms.BuildKept:
		r.warning(e.Dir + " already exists. Skipping...")
	case dkms.ConfKept:
		r.say("Creating %s\nCopying dkms.conf to %s ...", e.Dir, e.Dir)
	case dkms.OriginalArchived:
		r.say("Found pre-existing %s, archiving for uninstallation", e.Path)
	case dkms.OriginalKept:
		r.say("An original module was already stored during a previous install")
	case dkms.FileInstalled:
		r.say("Installing %s", e.Path)
	case dkms.RecordRefused:
		r.refused(e)
	case dkms.RecordObsolete:
		r.complain("\nModule has been obsoleted due to being included in kernel %s.\n"+
			"We will avoid installing for future kernels above %s.\nYou may override by specifying --force.", e.By, e.By)
	case dkms.UninstallBegun:
		r.say("Module %s:", e.Instance)
	case dkms.UninstallState:
		if e.Active {
			r.say("Before uninstall, this module version was ACTIVE on this kernel.")
		} else {
			r.say("This module version was INACTIVE for this kernel.")
		}
	case dkms.FileDeleted:
		r.say("Deleting %s", e.Path)
	case dkms.FileNotFound:
		r.say("Module %s was not found within %s/", e.Name, e.Dir)
	case dkms.OriginalRestored:
		r.say("%s", strings.TrimRight("Restoring archived original module "+e.Path, " "))
	case dkms.OriginNotUsable:
		r.warning(fmt.Sprintf("Bad original location '%s' in %s", e.Location, e.File))
	case dkms.OriginalsDropped:
		r.say("Removing original module(s) from DKMS tree for kernel %s (%s)", e.Kernel, e.Arch)
	case dkms.LockAwaited:
		if r.rich {
			r.complain("Waiting for %s, which is being changed by process %s", e.What, or(e.Holder, "of another system"))
		}
	case dkms.Recovered:
		if e.Completed {
			r.say("Completed the interrupted %s.", e.What)
		} else {
			r.say("Took back the interrupted %s.", e.What)
		}
	case dkms.RecordUnusable:
		r.warning(fmt.Sprintf("A record of an interrupted run cannot be understood, and is kept as %s: %v", e.File, e.Err))
	case dkms.ManifestUnusable:
		r.warning(fmt.Sprintf("The list of installed files %s cannot be used, files are looked for instead: %v", e.File, e.Err))
	case dkms.ModuleDeleted:
		r.say("Deleting module %s completely from the DKMS tree.", e.Module)
	default:
		return false
	}
	return true
}

func (r *renderer) refused(e dkms.RecordRefused) {
	switch {
	case e.Newer:
		r.failure(fmt.Sprintf("Module version %s for %s", e.Version, e.Name),
			fmt.Sprintf("is not newer than what is already found in kernel %s (%s).", e.Kernel, e.Theirs),
			"You may override by specifying --force.")
	case e.Version != "":
		r.complain("Module %s already installed at version %s, override by specifying --force", e.Found, e.Version)
	default:
		r.complain("Module %s already installed (unversioned module), override by specifying --force", e.Found)
	}
}

// process prints the events of building and installing.
func (r *renderer) process(e dkms.Event) {
	switch e := e.(type) {
	case build.ScriptBegun:
		r.say("Running the %s script:", e.Name)
	case build.ScriptNotExecutable:
		r.say("")
		r.warning(fmt.Sprintf("The %s script is not executable.", e.Name))
	case build.ConfProblem:
		r.problem(e)
	case build.DeprecatedDirective:
		text := fmt.Sprintf("%s (%s)", e.Name, e.File)
		if e.Hint != "" {
			text += ": " + e.Hint
		}
		r.deprecated(text)
	case build.DirectiveSet:
		r.say("DIRECTIVE: %s=\"%s\"", e.Name, e.Value)
	case build.ArchiveBegun:
		r.say("\nLoading tarball for %s", e.Module)
	case build.Packed:
		r.say("Marking modules for %s (%s) for archiving...", e.Target.Kernel, e.Target.Arch)
	case build.SourcePacked:
		if e.Dir == "" {
			r.say("\nCreating tarball structure to specifically accommodate binaries.")
		} else {
			r.say("\nMarking %s for archiving...", e.Dir)
		}
	case build.ArchiveNamed:
		r.say("\nTarball location: %s", e.File)
	case build.Prepared:
		r.say("")
	case build.Signing:
		r.say("Signing module %s", e.Path)
	case build.SigningFailed:
		r.warning(fmt.Sprintf("Failed to sign module '%s'!", e.Path), e.Output)
	case build.ProductGone:
		r.warning(e.Path + " has disappeared")
	case build.DependsForced:
		r.warning(fmt.Sprintf("Trying to build module %s despite of missing BUILD_DEPENDS: %s.", e.Instance, strings.Join(e.Missing, " ")))
	case build.ForcedByList:
		if e.VersionOnly {
			r.say("Forcing version override of %s", e.Name)
		} else {
			r.say("Forcing installation of %s", e.Name)
		}
	case build.WeakModules:
		if e.Add {
			r.say("Adding linked weak modules...")
		} else {
			r.say("Removing linked weak modules...")
		}
	case build.Reindexed:
		r.say("Completed the interrupted update of the module indexes of kernel %s.", e.Kernel)
	case build.IndexSkipped:
		if r.verbose {
			r.say("Skipping depmod because '%s' is missing.", e.Path)
		}
	}
}

func (r *renderer) problem(e build.ConfProblem) {
	kind := "Error!"
	if e.Warning {
		kind = "Warning!"
	}
	r.complain("dkms.conf: %s %s", kind, strings.Join(e.Lines, "\n"))
	if e.File != "" && !e.Warning {
		r.hint("%s:%d: %s", e.File, e.Line, e.Hint)
	}
}

// signing is the sentence for a message about signing.
func signing(m sign.Message) string {
	const unsigned = ", modules won't be signed"
	switch m := m.(type) {
	case sign.Disabled:
		return "Module signing is disabled by policy" + unsigned
	case sign.InChroot:
		return "Running in chroot" + unsigned
	case sign.ConfigNotFound:
		return "Kernel config " + m.Path + " not found" + unsigned
	case sign.NoFacility:
		return "The kernel is built without module signing facility" + unsigned
	case sign.SignCommand:
		return "Sign command: " + m.Path
	case sign.BinaryNotFound:
		return "Binary " + m.Path + " not found" + unsigned
	case sign.Key:
		return "Signing key: " + m.Path
	case sign.Certificate:
		return "Public certificate (MOK): " + m.Path
	case sign.Generating:
		if m.Program != "" {
			return "Certificate or key are missing, generating them using " + m.Program + "..."
		}
		return "Certificate or key are missing, generating self signed certificate for MOK..."
	case sign.HalfPair:
		return fmt.Sprintf("%s exists but %s does not; restore the missing one or move the other away%s", m.Have, m.Missing, unsigned)
	case sign.KeyNotGenerated:
		return "Key file " + m.Path + " not found and can't be generated" + unsigned + noRoomForKey(m.Path, m.Err)
	case sign.CertNotGenerated:
		return "Certificate file " + m.Path + " not found and can't be generated" + unsigned + noRoomForKey(m.Path, m.Err)
	case sign.KeyUnreadable:
		return fmt.Sprintf("Key file %s cannot be used: %v%s", m.Path, m.Err, unsigned)
	case sign.CertificateUnreadable:
		return fmt.Sprintf("Certificate file %s cannot be used: %v%s", m.Path, m.Err, unsigned)
	case sign.KeyExposed:
		return fmt.Sprintf("Key file %s can be read by others (mend with: chmod 600 %s)%s", m.Path, m.Host, unsigned)
	case sign.Expired:
		return fmt.Sprintf("Certificate %s has expired on %s%s", m.Path, m.NotAfter.UTC().Format(time.DateOnly), unsigned)
	case sign.NoCodeSigning:
		return fmt.Sprintf("Certificate %s is not for signing code, as this kernel wants it to be%s", m.Path, unsigned)
	case sign.NotInImage:
		return fmt.Sprintf("Key file %s not found, and not made in an image (dkms generate_mok does)%s", m.Path, unsigned)
	case sign.KeyMismatch:
		return "Key " + m.Key + " does not belong to certificate " + m.Certificate + unsigned
	}
	return fmt.Sprint(m)
}

// noRoomForKey is what there is to add when a key or a certificate could not be made for want of room.
func noRoomForKey(file string, err error) string {
	if !dkms.IsFull(err) {
		return ""
	}
	return fmt.Sprintf("\nNo space left in %s. Needed: %s.", path.Dir(file), dkms.BytesText(keySpace))
}

// keySpace is room enough for a key with its certificate, and what is written beside them meanwhile.
const keySpace = 32 << 10
