package main

import (
	"errors"
	"fmt"
	"strings"

	"dkms-go/dkms"
)

// report prints what failed, in the words of dkms 3.4 where it has any, and what to do next.
func (p *printer) report(err error) {
	var e *dkms.Error
	if !errors.As(err, &e) {
		p.failure(err.Error())
		return
	}
	lines := sentence(e)
	switch {
	case e.Kind == dkms.Excluded:
		p.warning(lines...)
	case e.Kind == dkms.ScriptFailed && e.Log != "":
		p.say("Consult %s for more information.", e.Log)
	case e.Kind == dkms.ScriptFailed:
		// The script has said what it had to say.
	default:
		p.failure(lines...)
	}
	why, remedial := guess(e.Diagnosis, e.Instance)
	switch {
	case len(e.Diagnosis.Lines) > 0: // better than the last lines of the log
		for _, line := range e.Diagnosis.Lines {
			p.hint("%s", line)
		}
		if e.Diagnosis.Cause == "disk-full" {
			p.complain("  it seems that %s", why)
		} else if why != "" {
			p.hint("it seems that %s", why)
		}
	case room(e.Err) != nil: // not for those on a terminal alone: hooks have no log of it
		for _, line := range sentence(room(e.Err)) {
			p.complain("  %s", line)
		}
		remedial = remedy(room(e.Err))
	case e.Err != nil && e.Kind != dkms.HeadersMissing:
		for line := range strings.Lines(e.Err.Error()) {
			p.hint("%s", strings.TrimRight(line, "\n"))
		}
	}
	if r := or(remedial, remedy(e)); r != "" {
		p.hint("%s", r)
	}
}

// room returns the error that says that room is missing, if that is what is behind err.
func room(err error) *dkms.Error {
	var e *dkms.Error
	if errors.As(err, &e) && e.Kind == dkms.NoSpace {
		return e
	}
	return nil
}

// sentence says what e is about. The lines of most kinds are those of dkms 3.4, which scripts and its test suite compare.
func sentence(e *dkms.Error) []string {
	i := e.Instance
	switch e.Kind {
	case dkms.MissingArguments:
		return []string{
			"Arguments <module> and <module-version> are not specified.",
			"Usage: " + e.Subject + " <module>/<module-version> or",
			"       " + e.Subject + " -m <module>/<module-version> or",
			"       " + e.Subject + " -m <module> -v <module-version>",
		}
	case dkms.UnknownOption:
		return []string{"Unknown option: " + e.Subject}
	case dkms.UnknownAction:
		return []string{`Unknown action specified: ""`}
	case dkms.TwoActions:
		return []string{"Cannot specify more than one action."}
	case dkms.KernelAndAll:
		return []string{"You cannot specify a kernel version and also specify", "--all on the command line."}
	case dkms.ArchAndAll:
		return []string{"You cannot specify an arch and also specify", "--all on the command line."}
	case dkms.ArchMismatch:
		return []string{
			"If more than one arch is specified on the command line, then there",
			"must be an equal number of kernel versions also specified (1:1 relationship).",
		}
	case dkms.AllBanned:
		return []string{"The action " + e.Subject + " does not support the --all parameter."}
	case dkms.OneKernelOnly:
		return []string{"The action " + e.Subject + " does not support multiple kernel version parameters on the command line."}
	case dkms.OneKernelNeeded:
		return []string{"The action " + e.Subject + " requires exactly one kernel version parameter on the command line."}
	case dkms.NoTemplate:
		return []string{
			"Invalid number of parameters passed.",
			"Usage: match --templatekernel=<kernel-version> -k <kernel-version>",
			"   or: match --templatekernel=<kernel-version> -k <kernel-version> <module>",
		}
	case dkms.SameTemplate:
		return []string{"The templatekernel and the specified kernel version are the same."}
	case dkms.ModuleUnknown:
		return []string{"The module: " + i.Name + " is not located in the DKMS tree."}
	case dkms.EmptyKernel:
		return []string{"Empty " + e.Subject}
	case dkms.NoKernelFits:
		return []string{fmt.Sprintf("No kernel satisfies %q.", e.Subject)}
	case dkms.NotRoot:
		return []string{"You must be root to use this command."}
	case dkms.TreeNotWritable:
		return []string{"No write access to DKMS tree at " + e.Subject}
	case dkms.SystemUnknown:
		return []string{"System is missing os-release file."}
	case dkms.BadName:
		return []string{
			fmt.Sprintf("The %s cannot be used: %s.", e.Subject, strings.Join(e.Detail, ", ")),
			"Names of modules, versions and kernels consist of letters, digits and the characters . _ + ~ : @ % , = # ^ -",
		}
	case dkms.SourceMissing:
		return []string{"Could not find module source directory.", "Directory: " + e.Subject + " does not exist."}
	case dkms.NoConfInSource:
		return []string{e.Subject + " must contain a dkms.conf file!"}
	case dkms.AlreadyAdded:
		return []string{"DKMS tree already contains: " + i.Module.String(), "You cannot add the same module/version combo more than once."}
	case dkms.NotAdded:
		return []string{"The module/version combo: " + i.Module.String() + " is not located in the DKMS tree."}
	case dkms.SourceBroken:
		return []string{
			i.Module.String() + " is broken!",
			"Missing the source directory or the symbolic link pointing to it.", "Manual intervention is required!",
		}
	case dkms.ConfMissing:
		return []string{"Could not locate dkms.conf file.", "File: " + e.Subject + " does not exist."}
	case dkms.BadConf:
		return []string{"Bad conf file.", "File: " + e.Subject + " does not represent a valid dkms.conf file."}
	}
	return buildSentence(e)
}

// buildSentence is sentence for what goes wrong in building and installing.
func buildSentence(e *dkms.Error) []string {
	i := e.Instance
	consult := "Consult " + e.Log + " for more information."
	switch e.Kind {
	case dkms.SourceEmpty:
		return []string{"The directory " + e.Subject + " does not appear to have module source located within it.", "Build halted."}
	case dkms.HeadersMissing:
		return []string{
			fmt.Sprintf("Your kernel headers for kernel %s cannot be found at %s.", i.Kernel, strings.Join(e.Detail[:min(2, len(e.Detail))], " or ")), // never the one of --kernelsourcedir
			fmt.Sprintf("Please install your distribution's kernel headers package matching %s, "+
				"or use the --kernelsourcedir option to tell DKMS where it's located.", i.Kernel),
		}
	case dkms.Excluded:
		return []string{
			"The " + e.Subject + "/dkms.conf",
			"for module " + i.Module.String() + " includes BUILD_EXCLUSIVE directives",
			"which do not match this kernel/arch/config for any modules.",
			"This indicates that it should not be built.",
		}
	case dkms.DependsMissing:
		return []string{
			fmt.Sprintf("Aborting build of module %s due to missing BUILD_DEPENDS: %s.", i, strings.Join(e.Detail, " ")),
			"You may override by specifying --force.",
		}
	case dkms.PatchBadPath:
		return []string{"Patch " + e.Subject + " as specified in dkms.conf contains '..' path component."}
	case dkms.PatchMissing:
		return []string{"Patch " + e.Subject + " as specified in dkms.conf cannot be", "found in " + strings.Join(e.Detail, "") + "/."}
	case dkms.PatchFailed:
		return []string{"Application of patch " + e.Subject + " failed.", consult}
	case dkms.BuildTimedOut:
		return []string{
			fmt.Sprintf("The build of module %s took longer than %s and was stopped.", i, e.Subject),
			consult,
		}
	case dkms.MakeFailed:
		return []string{fmt.Sprintf("Bad return status for module build on kernel: %s (%s)", i.Kernel, i.Arch), consult}
	case dkms.ProductMissing:
		return []string{
			fmt.Sprintf("Build of %s failed for: %s (%s)", e.Subject, i.Kernel, i.Arch),
			"Make sure the name and location of the generated module are correct,",
			"or consult " + e.Log + " for more information.",
		}
	case dkms.StageFailed:
		return []string{fmt.Sprintf("Missing module '%s' in %s", e.Subject, strings.Join(e.Detail, ""))}
	case dkms.KernelDirMissing:
		return []string{"The directory " + e.Subject + " doesn't exist.", "You cannot install a module onto a non-existent kernel."}
	case dkms.BuiltFileMissing:
		return []string{"Missing module " + e.Subject + " in " + strings.Join(e.Detail, "")}
	case dkms.PreInstallFailed:
		return []string{"pre_install failed, aborting install.", "You may override by specifying --force."}
	case dkms.CopyFailed:
		return []string{"Copying '" + e.Subject + "' failed"}
	case dkms.Unsigned:
		return []string{
			fmt.Sprintf("Module %s for kernel %s (%s) is not signed,", i.Module, i.Kernel, i.Arch),
			"and that kernel takes signed modules only (" + e.Subject + "). It stays built and is not installed.",
			"See what is wrong with the key with: dkms key status. Then: dkms install " + i.Module.String() + " -k " + i.Kernel,
		}
	case dkms.SignFailed:
		return append([]string{"Failed to sign " + e.Subject + "."}, e.Detail...)
	case dkms.NotVerified:
		return append([]string{"The signature of " + e.Subject + " is not in order."}, e.Detail...)
	case dkms.NotEnrolled:
		return append([]string{"The certificate " + e.Subject + " cannot be enrolled."}, e.Detail...)
	case dkms.BadUsage:
		return []string{"Usage: dkms " + e.Subject}
	case dkms.SettingsInvalid:
		return []string{"Bad settings file.", e.Subject}
	case dkms.NothingInstalled:
		return []string{"Installation aborted."}
	case dkms.IndexFailed:
		if i.Name == "" {
			return []string{"Problems with depmod detected for kernel " + i.Kernel + "."}
		}
		return []string{
			"Problems with depmod detected. Automatically uninstalling this module.",
			"Install Failed (depmod problems). Module rolled back to built state.",
		}
	case dkms.ImageFailed:
		return append([]string{fmt.Sprintf("The modules of kernel %s are installed, but its boot image %s could not be made.", i.Kernel, e.Subject)}, e.Detail...)
	case dkms.DriverNotBuilt:
		return []string{lacks(e, "is not built")}
	case dkms.DriverUnsigned:
		return []string{lacks(e, "is not signed")}
	case dkms.DriverUntrusted:
		return []string{lacks(e, "is signed by a key that is not trusted")}
	case dkms.DriverNotInstalled:
		return []string{lacks(e, "is not installed")}
	case dkms.DriverNotIndexed:
		return []string{lacks(e, "is not in modules.dep")}
	case dkms.DriverNotInImage:
		if i.Name == "" {
			return []string{fmt.Sprintf("The boot image %s of kernel %s is older than a change of modules in it.", e.Subject, i.Kernel)}
		}
		return []string{lacks(e, "is not in the boot image")}
	case dkms.AutoinstallFailed:
		return []string{"One or more modules failed to install during autoinstall.", "Refer to previous errors for more information."}
	case dkms.VacateFailed:
		return []string{fmt.Sprintf("dkms %s for kernel %s (%s) failed for module(s) %s.", e.Subject, i.Kernel, i.Arch, strings.Join(e.Detail, " "))}
	case dkms.Interrupted:
		return []string{"Interrupted. What was begun is finished or taken back."}
	}
	return archiveSentence(e)
}

// archiveSentence is sentence for what goes wrong with archives.
func archiveSentence(e *dkms.Error) []string {
	i := e.Instance
	switch e.Kind {
	case dkms.OnlyBoth:
		return []string{"You have specified both --binaries-only and --source-only.", "You cannot do this."}
	case dkms.ArchiveMissing:
		return []string{e.Subject + " does not exist."}
	case dkms.ArchiveNoConf:
		return []string{"Tarball does not appear to be a correctly formed DKMS archive. No dkms.conf found within it."}
	case dkms.ArchiveInvalid:
		return []string{"No valid dkms.conf in dkms_source_tree or dkms_binaries_only.", e.Subject + " is not a valid DKMS tarball."}
	case dkms.ArchiveRefused:
		return append([]string{e.Subject + " cannot be loaded."}, e.Detail...)
	case dkms.ArchiveAdded:
		return []string{i.Module.String() + " is already added!", "Aborting."}
	case dkms.PackageFailed:
		return []string{"Unable to install " + e.Subject + " using rpm.", "Check to ensure that your system can install .rpm files."}
	case dkms.NotBuilt:
		return []string{
			fmt.Sprintf("No modules built for %s (%s).", i.Kernel, i.Arch),
			"Modules must already be in the built state before using mktarball.",
		}
	case dkms.ArchiveNotWritable:
		return []string{"Missing write permissions for " + e.Subject + "."}
	case dkms.NoSpace:
		lines := []string{"No space left in " + e.Subject + "."}
		if len(e.Detail) > 0 {
			lines = append(lines, "Needed: "+e.Detail[0]+".")
		}
		return lines
	case dkms.ArchiveFailed:
		return append([]string{"Failed to make tarball."}, e.Detail...)
	case dkms.PackageArchive:
		return []string{
			"Unable to load DKMS tarball " + e.Subject + ".", "Common causes include: ",
			" - You must be using DKMS 2.1.0.0 or later to support binaries only", "   distribution specific archives.",
			" - Corrupt distribution specific archive",
		}
	}
	return []string{e.Error()}
}
