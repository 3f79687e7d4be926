// Package sign decides whether modules of a kernel are signed, finds or makes
// the key pair, and signs module files.
//
// It stands beside kbuild, which makes the files, and below build, which says
// when. It knows no sentences: what an administrator reads is rendered by the
// front end from the Messages reported here, in the order they are reported.
//
// # Vocabulary
//
//	built-in      signing in process, without any program: what is done unless
//	              framework.conf sets sign_file or the key is a pkcs11: URI
//	sign command  the program that signs otherwise: what sign_file names, or the
//	              kernel's scripts/sign-file; called with HASH KEY CERTIFICATE
//	              FILE
//	key           PEM file with a private key of RSA or ECDSA, encrypted or not,
//	              that nobody but its owner can read; or a pkcs11: URI
//	passphrase    what unlocks an encrypted key
//	certificate   X.509 in DER, what mokutil --import takes, or in PEM, perhaps
//	              in the same file as the key; upstream calls it the MOK
//	              (machine owner key)
//	pair          both of them; half a pair is a key without its certificate or
//	              the other way round
//	verdict       what verifying a module has found: intact, or how it is not
//	signature     what follows the module in its file: a detached CMS message,
//	              12 bytes that say so (struct module_signature), and a marker
//
// Both ways of signing write the same bytes, but for ECDSA, whose signatures
// have a random part, and for modules that are signed already: in process the
// old signature is replaced.
//
// # Differences from upstream
//
// Upstream knows the sign command only, and signs nothing where the kernel's
// sign-file is missing. In process a key and a certificate that do not belong
// together are noticed before anything is signed, instead of by the kernel.
//
// Upstream makes a new pair as soon as either half is missing, and so destroys
// a private key whose certificate may be enrolled in the firmware. Here half a
// pair is never completed or overwritten: modules stay unsigned and the
// message names the missing file. Only a certificate that was made here and has
// lost its key gives way to a new pair, and is kept as NAME.old.
//
// Upstream knows no passphrases, and does not look at permissions, expiry and
// usage of a pair. Here a pair is examined before anything is built.
package sign
