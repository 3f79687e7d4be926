#!/bin/sh
# A kernel ($1) is about to be removed: take the modules built for it away.
# Never a reason to stop the package.

if command -v dkms >/dev/null; then
	dkms kernel_prerm -k "$1"
fi
exit 0
