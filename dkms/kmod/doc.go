// Package kmod reads kernel modules: one .ko file, plain or compressed.
//
// It is a leaf: it imports nothing of ours, starts no process and writes no
// file. dkms compares the versions of two modules with it, dkms/kernel learns
// how a kernel's modules are compressed, build/depmod takes from it what the
// indexes are made of, and build/sign where a module ends and its signature
// begins. What a module *says* is read here; what that *means* for a machine is
// decided elsewhere. Paths are host paths.
//
// # The format
//
// A module is a relocatable ELF object, 32 or 64 bit, of either byte order.
// What matters here lies in a handful of sections:
//
//	.modinfo                    "key=value" strings, each ended by NUL: license, alias, depends, vermagic, version, …
//	.gnu.linkonce.this_module   struct module, with the name the kernel will know the module by
//	.symtab, .strtab            symbols: undefined ones are needed, __ksymtab_X tells that X is exported
//	__ksymtab, __ksymtab_gpl    the table of exported symbols, for everyone and for GPL modules
//	__ksymtab_strings           the names (and name spaces) of the exported symbols
//	__crc_X                     a symbol: the checksum of the exported X, as the value itself or as an offset into
//	                            a section (__kcrctab, __kcrctab_gpl)
//	__kflagstab                 in the newest kernels: a byte for each exported symbol, where __flags_X points
//	__versions                  64 byte records: checksum and name of each symbol needed
//	__version_ext_crcs, _names  the same without a limit on the name's length (kernel 6.14 and later)
//
// A signed module is followed by its signature, which is no part of the ELF
// object (struct module_signature of include/linux/module_signature.h):
//
//	module | signer | key id | signature | 12 byte trailer | "~Module signature appended~\n"
//
// A compressed module is all of that in one gzip, xz or zstd file; the name then
// ends in .ko.gz, .ko.xz or .ko.zst. What is inside is decided by the first
// bytes, as kmod does, never by the name.
//
// # Many modules
//
// [Open] reads one module, with all that it says. A [Reader] reads thousands for
// an index of them, in the same memory, and leaves out what indexes do not hold.
// What takes long there is to unpack xz: see xz.go for how, and why.
//
// # Hostile input
//
// A module may come from a build that went wrong or from somebody who means
// harm. Reading one never panics: a file either gives an [Object] or an error.
// Nothing is allocated because a header claims it; sizes are checked against
// the bytes that are there, and what a compressed file may unpack to is limited.
package kmod
