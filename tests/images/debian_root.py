# SPDX-License-Identifier: GPL-2.0-or-later
# A full Debian 12 root for dom0, built from packages: systemd, the stock Xen tools, what a person wants at a console.
import os

from . import debian, debian_tree, ext4
from .cache import PLACE, cached, digest, own_text, run

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "debian-root")
SIZE = "2G"
PACKAGES = """
    systemd systemd-sysv udev dbus kmod procps psmisc iproute2 iputils-ping ethtool
    xen-utils-4.17 xenstore-utils pciutils usbutils e2fsprogs util-linux
    less nano-tiny login passwd python3-minimal libxml2
""".split()


def build(out, key):
    debian.say("build a Debian root")
    root = os.path.join(PLACE, ".partial-debian-tree")
    run(["rm", "-rf", root])
    try:
        debian_tree.bootstrap(root, PACKAGES, "debian-root")
        debian_tree.install_modules(root)
        debian_tree.copy_files(FILES, root)
        debian_tree.enable(root, "bulkhead-report.service")
        debian_tree.write(root, "etc/hostname", "dom0\n")
        debian_tree.write(root, "etc/fstab", "/dev/nvme0n1 / ext4 noatime 0 1\n")
        debian_tree.mask(root, debian_tree.MASKED + ["xendomains.service"])
        run(["chroot", root, "passwd", "-d", "root"])
        debian_tree.forget_leftovers(root)
        ext4.image(root, out, "dom0", SIZE, key)
    finally:
        run(["rm", "-rf", root])


def debian_root():
    """Path of the ext4 image; boot from a copy-on-write overlay of it."""
    key = digest(own_text(__file__), debian_tree.content(FILES), debian_tree.inputs(PACKAGES))
    return cached("debian-root", ".img", key, lambda out: build(out, key))
