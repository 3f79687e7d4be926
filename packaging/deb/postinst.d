#!/bin/sh
# A kernel image, or the headers of one, has been installed ($1 is the kernel):
# build and install the modules for it. Installed as postinst.d/dkms and as
# header_postinst.d/dkms. The status reaches the package that calls.

if [ -x /usr/lib/dkms/dkms_autoinstaller ]; then
	exec /usr/lib/dkms/dkms_autoinstaller start "$1"
fi
