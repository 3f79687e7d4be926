// Package hooks turns what happens to a system into work for the program: a package of module sources has been unpacked, a
// kernel or its headers have arrived, the machine has booted.
//
// It stands between build, which carries out what is asked for, and cmd, which speaks: hooks decides what is to be done for
// which kernels and in which order, has the verbs of the program do it, and tells what it does as events. What the watcher
// decides it decides by looking at the disk; events only say that it is time to look.
//
// # Vocabulary
//
//   - hook: a program at a fixed path that package managers or the boot call. Those are short shell scripts, installed from
//     packaging, which hand their arguments over.
//   - package: what brings the sources of a module into the source tree, or an archive of it.
//   - verb: what a user may type, run in this process with all that it prints.
//   - to ring the bell: to tell the watcher that something has happened, whatever it was.
//   - to settle: to be quiet for a while after the bell has rung.
//   - to reconcile: to look at everything, and do what is missing.
package hooks
