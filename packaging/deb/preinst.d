#!/bin/sh
# A kernel ($1) is about to be unpacked, perhaps over an older one of the same
# name: forget what was built for that one. Never a reason to stop the package.

if command -v dkms >/dev/null; then
	dkms kernel_preinst -k "$1"
fi
exit 0
