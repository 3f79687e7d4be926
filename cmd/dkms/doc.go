// Command dkms keeps kernel modules that are not part of the kernel built, signed and installed for every kernel of a
// machine. It takes the commands, options and files of dkms 3.4 and gives its messages and exit statuses.
//
// This room speaks to people and scripts: it reads argument lists and the environment, and it alone knows printed sentences
// and exit statuses. What the words mean is done by the rooms below it. One file per verb; the grammar is in argv.go, the
// sentences are in render.go and failure.go, the exit statuses in exit.go.
package main
