// Package proc runs other programs: make, patch, the shell that evaluates a
// dkms.conf, the scripts a module brings along.
//
// It imports nothing of ours and is the only package that starts processes.
// conf, dkms and build/kbuild are handed a Runner; Host is the real one.
//
// # Vocabulary
//
//   - leader: the program that a Cmd names. It leads a process group of its own,
//     so that a signal can reach everything it started, and so that Ctrl-C on
//     the terminal reaches only us, who then stop the group in order.
//   - straggler: a process of the group that outlives the leader. It is killed:
//     when Run returns nobody is left to write into a directory that is about
//     to be renamed or removed.
//   - confined: run with fewer rights than we have (see Confine).
//   - private: run with a view of the machine of its own (see Private): its
//     directories lie where others expect theirs, and nobody outlives it.
//   - helper: our own executable, started again for the moment between fork and
//     exec. A confinement cannot be built in the parent, because Landlock and
//     dropped capabilities cannot be taken back, and os/exec offers no hook in
//     the child. So the parent starts /proc/self/exe in new namespaces with an
//     argv that only Helper understands; Helper confines itself and becomes the
//     program by execve(2), or starts it and stays as the first process of a
//     private view. Every main and every TestMain that leads to such a Run
//     calls Helper first.
package proc
