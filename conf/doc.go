// Package conf says what a module asks for: it reads dkms.conf with its override files and --directives, framework.conf,
// and os-release.
//
// It stands below dkms, which says what the machine has. It starts no process but a confined bash, through dkms/proc, and
// changes nothing.
//
// # How a file is evaluated
//
// A dkms.conf is a bash script. Upstream sources it in a child of its own shell, carries back a fixed list of variables
// and evaluates their values a second time on the way; second_evaluation.go describes that quirk. Here a file is
// evaluated in one of two ways, always with the same result:
//
//   - A plain file, which has only comments and assignments of literals and plain variables, is evaluated in process
//     (plain.go). Three quarters of the files in the wild are plain.
//   - Every other file is sourced by a real bash child (evaluate.go), which may read everything but write nothing, has no
//     network, is nobody where possible, and must finish within a minute. What it prints on stdout is dropped, what it
//     prints on stderr is passed on.
//
// A Loader remembers what it has evaluated: the same files, kernel, variables and environment give the same *Module, and
// no process is started twice for it.
//
// # Vocabulary
//
//   - directive: a variable of a dkms.conf that has a meaning, such as MAKE or BUILT_MODULE_NAME.
//   - record: the elements with one index of the arrays that describe kernel objects. Records are numbered from 0 to the
//     highest index used; holes are records too, and fail validation.
//   - override file: a file in /etc/dkms that is evaluated after the dkms.conf and may change any directive.
//   - framework: the settings of the program itself, /etc/dkms/framework.conf and framework.conf.d.
//   - strict: the validation done before a module is added, built or installed, but not before it is removed.
//
// # Differences from upstream
//
//   - A value that upstream loses in its second evaluation, because quotes inside it enclose a blank, is kept as written.
//   - A variable DKMS_DIRECTIVE* of the environment can only set a directive (or framework setting), not any variable.
//   - The result of MAKE and of BUILD_EXCLUSIVE_* depends on the module at hand only; upstream may reuse what it found for
//     the module before.
//   - Runs of four and more digits in versions compare as numbers, see CompareVersions.
package conf
