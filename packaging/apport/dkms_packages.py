#!/usr/bin/env python3
"""Files an apport report when a module of a package could not be built.

dkms calls it as: dkms_packages.py -m MODULE -v VERSION [-k KERNEL]
"""

import argparse
import os
import sys

import apport
import apport.fileutils
from apport.hookutils import attach_file_if_exists


def fail(status, text):
    sys.stderr.write("ERROR (dkms apport): %s\n" % text)
    sys.exit(status)


def ask(question, *args):
    """An answer of the package manager, or None where it has none."""
    try:
        return question(*args)
    except ValueError:
        return None


def log_signature(package, version, log):
    """What makes two reports of one failure look alike: its first error."""
    for line in log.splitlines():
        if ": error:" in line:
            return "dkms:%s:%s:%s" % (package, version, line.strip())
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", dest="module", required=True, help="name of the module")
    parser.add_argument("-v", dest="version", required=True, help="version of the module")
    parser.add_argument("-k", dest="kernel", help="kernel that it was built for")
    args = parser.parse_args()
    combo = "%s/%s" % (args.module, args.version)

    package = apport.packaging.get_file_package("/usr/src/%s-%s" % (args.module, args.version))
    if package is None:
        fail(1, "no package owns the source of %s" % combo)
    if args.kernel and not ask(apport.packaging.is_distro_package, "linux-headers-" + args.kernel):
        fail(1, "the headers of kernel %s are not the distribution's" % args.kernel)
    source = ask(apport.packaging.get_source, package)
    if source is None:
        fail(3, "the source package of %s is not known" % package)
    version = ask(apport.packaging.get_version, package) or "(not installed)"

    report = apport.Report("Package")
    report["Package"] = "%s %s" % (package, version)
    report["PackageVersion"] = version
    report["SourcePackage"] = source
    report["Title"] = "%s %s: %s kernel module failed to build" % (package, version, args.module)
    if args.kernel:
        report["DKMSKernelVersion"] = args.kernel

    log = os.path.join("/var/lib/dkms", args.module, args.version, "build", "make.log")
    attach_file_if_exists(report, log, "DKMSBuildLog")
    text = report["DKMSBuildLog"] if "DKMSBuildLog" in report else ""
    if "Segmentation fault" in text:
        fail(1, "the compiler crashed: %s" % log)
    signature = log_signature(package, version, text)
    if signature:
        report["DuplicateSignature"] = signature

    try:
        with apport.fileutils.make_report_file(report) as file:
            report.write(file)
    except OSError as error:
        fail(1, "cannot write the report: %s" % error)


if __name__ == "__main__":
    main()
