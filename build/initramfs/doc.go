// Package initramfs knows the boot images of kernels: where they are, which modules they hold, what makes them anew, and which
// modules belong into one.
//
// It stands beside package depmod and below build: after the indexes of a kernel are written, build asks it whether the image
// has to follow. It only reads; the program that makes the image is run by build.
//
// # Vocabulary
//
//	image  a file from which the kernel unpacks its first file system. Distributions
//	       call it initrd or initramfs, in their file names as well
//	tool   the program of the system that makes images: update-initramfs, dracut,
//	       mkinitcpio or, where the boot loader specification rules, kernel-install
//	token  what the images of one system are called, or are in, where several
//	       systems share a boot partition: kernel-install's entry token
//	unified image
//	       kernel, command line and image in one program for EFI (see uki.go)
//
// # Format
//
// An image is one or more cpio archives, one behind the other with zeros in between (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst). The first ones are plain: microcode, which the kernel needs before
// it can unpack anything, and with newer initramfs-tools also modules that are compressed themselves. The last one is
// usually compressed as a whole. Each archive is in the format "newc": for each file 110 bytes of hexadecimal numbers behind the
// magic 070701 or 070702, its name and its content, both filled up to a multiple of four, and at last a file called TRAILER!!!.
//
// # Rule
//
// A module that changes has to change in the image too if it is in there; and one that disks or screens depend on belongs there
// even if it is not, for the boot may depend on it (see [Essential]).
package initramfs
