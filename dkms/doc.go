// Package dkms is the registry: which modules are registered on a machine, in which state each of them is for each
// kernel, and the transitions between those states.
//
// It stands between conf, which says what a module asks for, and build, which decides what to do about the difference.
// It never runs make, depmod or a script and prints nothing: what happens is told through Events, what fails through Error.
//
// # Glossary
//
//   - module: a package of kernel module sources, known by name and version, written name/version.
//   - record: one kernel object that a module builds (an index of the arrays in its dkms.conf).
//   - instance: a module for one kernel release and one architecture.
//   - kernel: a kernel release such as 6.1.0-56-amd64; the directory below the install tree bears this name.
//   - added, built, installed: the states of a module or an instance, see State.
//   - active: an instance whose kernel objects are the installed ones; the symbolic link kernel-K-A says which.
//   - original: a kernel object that was there before ours, archived at installation and restored at uninstallation.
//   - journal: where a change of several files is written down before it is made, see journal.go.
//   - manifest: what was installed, as noted then.
//   - dkms tree, source tree, install tree: the three directories of Options, by default /var/lib/dkms, /usr/src and
//     /lib/modules.
//
// # On disk
//
// Below the dkms tree T, the source tree S and the install tree I, for module M, version V, kernel K and architecture A
// (the same names and meanings as in dkms 3.4):
//
//	T/M/V/source -> S/M-V           registered ("added")
//	T/M/V/source/dkms.conf          the same, for a module that was loaded without sources
//	T/M/V/tarball/                  archives made by mktarball, see archive.go
//	T/M/V/build/                    scratch copy of the source; kept with its make.log after a failed build
//	T/M/V/K/.tmp_A_XXXXXX/          a build result being put together (Stage)
//	T/M/V/K/A/module/*.ko*          built kernel objects ("built")
//	T/M/V/K/A/log/make.log          the log of that build
//	T/M/kernel-K-A -> V/K/A         the active version ("installed")
//	T/M/.kernel-K-A.manifest        what that has put into the kernel
//	T/M/original_module/K/A/        archived originals, each with a .origin file naming where it was
//	T/.journal/                     what is being changed, see journal.go; kernels without current indexes
//	T/.lock/                        who is at work, see lock.go
package dkms
