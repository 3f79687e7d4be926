// Package sign decides whether modules of a kernel are signed, finds or makes
// the key pair, and signs module files.
//
// It stands beside kbuild, which makes the files, and below build, which says
// when. It knows no sentences: what an administrator reads is rendered by the
// front end from the Messages reported here, in the order they are reported.
//
// # Vocabulary
//
//	sign command  the kernel's scripts/sign-file, or what framework.conf's
//	              sign_file names: called with HASH KEY CERTIFICATE FILE
//	key           PEM file with an unencrypted private key (PKCS #8), mode
//	              0600, or a pkcs11: URI
//	certificate   X.509 in DER, what mokutil --import takes; the public half,
//	              upstream calls it the MOK (machine owner key)
//	pair          both of them; half a pair is a key without its certificate or
//	              the other way round
//
// # Difference from upstream
//
// Upstream makes a new pair as soon as either half is missing, and so destroys
// a private key whose certificate may be enrolled in the firmware. Here half a
// pair is never completed or overwritten: modules stay unsigned and the
// message names the missing file.
package sign
