#!/bin/sh
# A kernel ($1) is about to be unpacked, perhaps over an older one of the same
# name: forget what was built for that one. Never a reason to stop the package.

# One that is new has no older one of its name: what is built for it was built with
# headers that came before.
case ${DEB_MAINT_PARAMS-} in
install*) exit 0 ;;
esac

if command -v dkms >/dev/null; then
	dkms kernel_preinst -k "$1"
fi
exit 0
