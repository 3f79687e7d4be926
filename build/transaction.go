package build

import (
	"context"
	"slices"
	"strings"

	"dkms-go/dkms/proc"
)

// Packages of modules call us one by one; what is to be done once for all of them waits for the end of the package manager's
// transaction, where our own package is called.

// imageTrigger is the trigger of our Debian package (deb-triggers(5)): dpkg runs "dkms initramfs" once when everything is
// unpacked and configured, however many packages have wanted it.
const imageTrigger = "dkms-initramfs"

// rpmTransactionEnd is what the file triggers of our .rpm run at the end of each transaction (rpm-scriptlets(7),
// %transfiletriggerin and %transfiletriggerpostun): "dkms initramfs". It is in no other package.
const rpmTransactionEnd = "/usr/lib/dkms/transaction_end"

// deferred leaves images to the end of the transaction that we are part of, where our package is called then.
func (b *Builder) deferred(ctx context.Context) bool {
	return b.trigger(ctx, imageTrigger) || b.inRPM()
}

// trigger has our Debian package called at the end of the run of dpkg that we are part of. False says that there is no such
// run, or that our package does not ask to be called.
func (b *Builder) trigger(ctx context.Context, name string) bool {
	inDpkg := slices.ContainsFunc(b.Env, func(s string) bool { return strings.HasPrefix(s, "DPKG_MAINTSCRIPT_PACKAGE=") })
	if !inDpkg {
		return false
	}
	if _, err := b.Root.Stat("/var/lib/dpkg/triggers/" + name); err != nil {
		return false
	}
	return b.run(b.Root.Dir())(ctx, []string{"dpkg-trigger", "--no-await", name}, nil) == nil
}

// inRPM reports whether we are part of a transaction of rpm at whose end our package is called. Scriptlets are not told that
// they are; but rpm, dnf or whoever runs the transaction holds rpm's lock meanwhile, and is an ancestor of theirs. Where that
// cannot be seen the answer is no: an image too many is better than one that is too old.
func (b *Builder) inRPM() bool {
	if _, err := b.Root.Stat(rpmTransactionEnd); err != nil {
		return false
	}
	return slices.ContainsFunc(RPMLocks(), func(file string) bool {
		pid, locked := b.Root.LockOwner(file)
		return locked && pid > 0 && proc.Descends(pid)
	})
}

// RPMLocks returns the files that rpm holds a lock on (fcntl(2)) during a transaction: where Red Hat Enterprise Linux and
// Debian have its database, and where Fedora and SUSE do.
func RPMLocks() []string {
	return []string{"/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock"}
}
