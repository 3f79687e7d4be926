// Package sysroot is the directory tree that the program treats as "/", and
// the only place in the program that writes files.
//
// It stands below every other package: conf, dkms, build and hooks reach files
// through a Root and never through package os. The tree is "/" on a running
// system and a mounted image, a chroot or a test's directory otherwise; nothing
// here asks which of them it is.
//
// # Vocabulary
//
//   - abs: a path that begins with "/" and means a place inside the root.
//   - host: a path as the kernel knows it for this process. With the root "/"
//     both are the same text.
//   - resolve: follow symbolic links as a process would that had been chrooted
//     into the root. Absolute targets start again at the root, and ".." never
//     leads out of it. The links build -> /usr/src/linux-headers-K and
//     source -> /usr/src/M-V, which os.Root refuses, are why this package
//     exists.
//
// # Two kinds of writing
//
// Replace, WriteFile, WriteNew, Copy, Symlink, Rename, Exchange, MkdirAll and
// Remove are atomic and durable: after a crash at any moment the file is the old one or the new one,
// and when the call has returned it is the new one. New content goes to a
// hidden file in the target's own directory, gets its mode, is synced, takes
// the target's name by rename(2), and then the directory is synced. Without
// the first sync a crash may leave an empty file under the new name; without
// the second the old name may come back. A crash can leave a temporary file
// named ".<name>.XXXXXX" behind and nothing else.
//
// A Group does that for several files of a directory at a time, of which all are
// replaced or none. ReplaceLoosely is atomic, but not durable.
//
// MkdirTemp, MkfifoTemp, Create, Append, Rewrite, Chmod and CopyTree are for scratch work such as
// build directories. They are as fast as the file system allows, and durable
// only after SyncTree.
//
// Between the two stand PrepareFile, PrepareCopy, PrepareLink and PrepareTwin:
// durable, but under a name that the caller chose and has written down, and not
// yet where the result belongs. Rename or Exchange puts it there.
//
// Links are resolved first and the file is opened afterwards, so a Root guards
// against a tree that is laid out differently from the machine, not against
// somebody who rearranges the tree at the same time.
package sysroot
