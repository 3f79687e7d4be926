// Package trust reads what a machine says about signatures of modules: whether
// its kernel insists on them, and whether a certificate is one that it trusts.
//
// It stands beside package sign, which makes signatures, and below build, which
// decides what an unsigned module means. It only reads, everything below a root:
// the variables of the firmware in efivarfs, /proc and /sys. A root without these
// is an image, which enforces nothing by itself.
//
// # Vocabulary
//
//	Secure Boot   the firmware starts signed programs only; kernels of most
//	              distributions then lock themselves down
//	lockdown      the kernel guards itself against root, and so takes signed
//	              modules only (kernel_lockdown.7)
//	sig_enforce   the same for modules alone (module.sig_enforce)
//	shim          the first stage of booting, signed by Microsoft; keeps the MOK
//	MOK           machine owner key: a list of certificates in the firmware's
//	              variables that shim and the kernel trust beside those of the
//	              firmware. What is to come in waits in MokNew until somebody at
//	              the console agrees at the next boot
//	db, dbx       the firmware's own lists: trusted, revoked. MokListX is what
//	              the owner has revoked
//	keyring       where the kernel has them: .machine (the MOK), .platform (db),
//	              .builtin_trusted_keys (its own)
//
// # Format
//
// A file in efivarfs is 4 bytes of attributes and the value. Lists of certificates
// are EFI_SIGNATURE_LISTs one behind the other (UEFI specification, section 32.4.1):
// a type, three sizes, and entries that each begin with the GUID of their owner.
package trust
