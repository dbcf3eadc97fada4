# SPDX-License-Identifier: GPL-2.0-or-later
# What tests take from Debian: the stock kernel and the stock hypervisor, unpacked but never installed.
import contextlib
import functools
import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import progress
from .cache import OUT, PLACE, cached, digest, run

XEN_PACKAGE = "xen-hypervisor-4.17-amd64"


def say(text):
    if not progress.tell(text):
        print(f"     image: {text}", file=sys.stderr, flush=True)


@functools.cache
def apt_text(*words):
    """What apt knows; asked once, as each time takes a second."""
    return subprocess.run(["apt-cache", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False).stdout


def update_lists():
    """Fetches the lists of packages."""
    try:
        run(["apt-get", "update", "-q"])
    finally:
        apt_text.cache_clear()


def candidate(package):
    found = re.search(r"Candidate: (\S+)", apt_text("policy", package))
    return found[1] if found and found[1] != "(none)" else None


def deb(package):
    """Path of the .deb of the version that apt would install now; falls back to one already here."""
    place = os.path.join(PLACE, "deb")
    os.makedirs(place, exist_ok=True)
    version = candidate(package)
    if version is None:
        with contextlib.suppress(RuntimeError):
            update_lists()
        version = candidate(package)
    pattern = os.path.join(place, f"{package}_{(version or '*').replace(':', '%3a')}_*.deb")
    if not glob.glob(pattern):
        say(f"download {package} {version}")
        try:
            run(["apt-get", "download", "-q", f"{package}={version}"], cwd=place)
        except RuntimeError:
            # The package lists may be older than the archive.
            update_lists()
            run(["apt-get", "download", "-q", package], cwd=place)
            pattern = os.path.join(place, f"{package}_*.deb")
    return max(glob.glob(pattern), key=os.path.getmtime)


def unpacked(package):
    """Directory with the files of a package."""
    path = deb(package)
    return cached("tree", "", os.path.basename(path).removesuffix(".deb"),
                  lambda out: run(["dpkg-deb", "-x", path, out]))


def kernel_package():
    """The package that linux-image-amd64 stands for today."""
    found = re.search(r"Depends: (linux-image-\d\S+)", apt_text("depends", "linux-image-amd64"))
    if found:
        return found[1]
    with contextlib.suppress(RuntimeError):
        update_lists()
    return re.search(r"Depends: (linux-image-\d\S+)", apt_text("depends", "linux-image-amd64"))[1]


def kernel_bzimage():
    return glob.glob(os.path.join(unpacked(kernel_package()), "boot/vmlinuz-*"))[0]


def kernel_elf():
    """The stock kernel as the ELF image that a hypervisor loads as dom0."""
    bzimage, tool = kernel_bzimage(), os.path.join(OUT, "tools/bh-unpack-kernel")
    return cached("vmlinux", "", digest(Path(bzimage), Path(tool)), lambda out: run([tool, bzimage, out]))


def kernel_modules():
    """(version, /lib/modules/version of the stock kernel with modules.dep made)."""
    tree = unpacked(kernel_package())
    version = os.path.basename(glob.glob(os.path.join(tree, "lib/modules/*"))[0])
    place = os.path.join(tree, "lib/modules", version)
    if not os.path.exists(os.path.join(place, "modules.dep")):
        run(["depmod", "-b", tree, version])
    return version, place


def xen_gz():
    return glob.glob(os.path.join(unpacked(XEN_PACKAGE), "boot/xen-4.17-amd64.gz"))[0]


def hypervisor(which):
    """The hypervisor's image and the version to show in reports."""
    if which == "xen":
        return xen_gz()
    return os.path.join(OUT, "bulkhead.gz")


def busybox():
    path = shutil.which("busybox")
    if not path:
        sys.exit("busybox is missing: run make deps")
    return path
