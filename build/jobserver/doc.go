// Package jobserver hands out the tokens that say how many compilers may run at
// once, to GNU make and to ourselves.
//
// It stands below build/kbuild, which has each make run join, and build, which
// opens one Server for a run and takes a token for work of its own: signing,
// indexing, whatever keeps a processor busy.
//
// # Vocabulary
//
//   - token: the right to keep one processor busy. There are as many as
//     parallel_jobs says, see Budget.
//   - idle: a token that nobody has, one byte in the server's pipe.
//   - member: a make run that may draw tokens. It owns one from its beginning
//     to its end, as make takes for granted (its "implicit slot"), and returns
//     what it draws on top of that by itself.
//   - lost: a token of a make that was killed and could not return it. When the
//     last member has left, the server counts what ought to be there. After a
//     kill it lets nobody join until then, so that what is lost comes back as
//     soon as those who are at work have ended.
//
// # Protocol
//
// It is GNU make's own ("POSIX Jobserver" in its manual, chapter "Integrating
// GNU make"): MAKEFLAGS names a pipe, reading a byte takes a token, writing it
// gives it back. From version 4.4 on the pipe has a name (fifo:PATH); before, it
// is two inherited descriptors (R,W), which versions before 4.2 call
// --jobserver-fds. A make with a -j of its own on its command line leaves the
// pipe alone.
package jobserver
