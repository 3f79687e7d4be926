package build

import (
	"dkms-go/build/sign"
	"dkms-go/conf"
	"dkms-go/dkms"
)

// The events of a run, beside those of dkms. They arrive in the order of the plan.
type (
	// PartBegun opens a part of a plan, before its first step that is not blocked.
	PartBegun struct {
		Part   Part
		Number int
	}
	// PartEnded closes a part. Parts that are rebuilt because of another one begin and end inside of it.
	PartEnded struct {
		Part   Part
		Number int
	}
	// StepBegun opens a step, whether there is something to do or not.
	StepBegun struct{ Step Step }
	// StepEnded closes a step. Err is what failed, if anything.
	StepEnded struct {
		Step    Step
		Outcome Outcome
		Err     error
	}

	// RunBegun and RunEnded enclose a run. Only Watch receives them.
	RunBegun struct{ Plan *Plan }
	// RunEnded is the last of all.
	RunEnded struct{}

	// ArchiveBegun opens the loading of an archive.
	ArchiveBegun struct{ Module dkms.Module }
	// Packed tells that a build result goes into an archive.
	Packed struct{ Target Target }
	// SourcePacked tells that the sources go into an archive; without Dir, that only the dkms.conf does.
	SourcePacked struct{ Dir string }
	// ArchiveNamed tells where an archive is going to be.
	ArchiveNamed struct{ File string }

	// TaskBegun tells that a command starts which may take long.
	TaskBegun struct {
		Description string // such as "Building module(s)"
		Command     string
		Quiet       bool // no sign of life while it runs
	}
	// TaskEnded closes the task begun last.
	TaskEnded struct {
		Command string
		Status  int
	}

	// ScriptBegun tells that a script of the module runs now, with its output going to ours.
	ScriptBegun struct{ Name string }
	// ScriptNotExecutable tells that a script is skipped because it cannot be run.
	ScriptNotExecutable struct{ Name string }

	// ConfProblem tells of something wrong in a dkms.conf.
	ConfProblem struct{ conf.Problem }
	// DeprecatedDirective tells of a directive in a dkms.conf that has no meaning any more.
	DeprecatedDirective struct{ conf.Deprecation }
	// DirectiveSet tells of a --directive that was applied.
	DirectiveSet struct{ Name, Value string }

	// SigningDecided is one sentence of the decision whether and how modules are signed.
	SigningDecided struct{ Message sign.Message }
	// Prepared tells that headers were found and signing was decided for a kernel.
	Prepared struct{ Target Target }
	// Signing tells that a module file is being signed.
	Signing struct{ Path string }
	// SigningFailed tells that it could not be, and what the signing program said.
	SigningFailed struct{ Path, Output string }
	// ProductGone tells that a module file vanished between make and its installation in the registry.
	ProductGone struct{ Path string }

	// DependsForced tells that a build goes on without modules that it depends on.
	DependsForced struct {
		Instance dkms.Instance
		Missing  []string
	}
	// ForcedByList tells that the distribution's list of modules forces an installation.
	ForcedByList struct {
		Name        string
		VersionOnly bool
	}
	// WeakModules tells that links in other kernels are brought up to date.
	WeakModules struct{ Add bool }
	// Reindexed tells that indexes were written that a run which is no more has left out of date.
	Reindexed struct{ Kernel string }
	// IndexSkipped tells that a kernel without modules.dep gets no indexes.
	IndexSkipped struct{ Path string }
)
