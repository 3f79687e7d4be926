#!/bin/sh
# A kernel image, or the headers of one, has been installed ($1 is the kernel):
# build and install the modules for it. Installed as postinst.d/dkms and as
# header_postinst.d/dkms. The status reaches the package that calls.

# The boot image of a new kernel is made by a hook that comes after this one.
image=''
case $0 in
*/postinst.d/dkms)
	for hook in initramfs-tools dracut; do
		[ ! -x "${0%/*}/$hook" ] || image=--no-initramfs
	done
	;;
esac

# So does kernel-install, by way of whose plug-in this may have been called. It
# may even have been called by us, to make the image.
[ -z "${KERNEL_INSTALL_LAYOUT-}${KERNEL_INSTALL_MACHINE_ID-}" ] || image=--no-initramfs

if [ -x /usr/lib/dkms/dkms_autoinstaller ]; then
	exec /usr/lib/dkms/dkms_autoinstaller start "$1" --hook $image
fi
