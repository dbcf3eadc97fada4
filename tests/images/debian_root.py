# SPDX-License-Identifier: GPL-2.0-or-later
# A full Debian 12 root for dom0, built from packages: systemd, the stock Xen tools, what a person wants at a console.
import os
import shutil
from pathlib import Path

from . import debian
from .cache import PLACE, cached, digest, own_text, run

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "debian-root")
SIZE = "2G"
PACKAGES = """
    systemd systemd-sysv udev dbus kmod procps psmisc iproute2 iputils-ping ethtool net-tools-
    xen-utils-4.17 xenstore-utils qemu-system-xen- pciutils usbutils acpid- e2fsprogs util-linux
    less nano-tiny login passwd ca-certificates- python3-minimal openssh-server-
""".split()
# Housekeeping that an image thrown away after a minute does not need.
MASKED = """
    xendomains.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
    e2scrub_reap.service systemd-pstore.service systemd-tmpfiles-clean.timer
""".split()
# Kernel modules that no emulated machine has a device for.
WITHOUT_MODULES = """
    drivers/gpu/drm/amd drivers/gpu/drm/i915 drivers/gpu/drm/nouveau drivers/gpu/drm/radeon drivers/media
    drivers/net/wireless drivers/infiniband drivers/net/ethernet/mellanox drivers/net/ethernet/chelsio
    drivers/net/ethernet/broadcom drivers/net/ethernet/qlogic drivers/net/ethernet/sfc drivers/isdn
    drivers/scsi/lpfc drivers/scsi/qla2xxx drivers/scsi/qla4xxx drivers/staging drivers/comedi drivers/iio
    sound net/bluetooth drivers/bluetooth fs/xfs fs/btrfs fs/ocfs2 fs/gfs2 fs/ceph fs/cifs fs/f2fs
""".split()


def install_modules(root):
    version, place = debian.kernel_modules()
    target = os.path.join(root, "lib/modules", version)

    def skip(directory, names):
        below = os.path.relpath(directory, os.path.join(place, "kernel"))
        return [n for n in names if os.path.normpath(os.path.join(below, n)) in WITHOUT_MODULES]

    shutil.copytree(place, target, ignore=skip, symlinks=True)
    run(["depmod", "-b", root, version])


def install_files(root):
    """What the tests and a person at the console need, from tests/images/debian-root/."""
    for directory, _, names in os.walk(FILES):
        for name in names:
            source = os.path.join(directory, name)
            target = os.path.join(root, os.path.relpath(source, FILES))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)
    wants = os.path.join(root, "etc/systemd/system/multi-user.target.wants")
    os.makedirs(wants, exist_ok=True)
    os.symlink("../bulkhead-report.service", os.path.join(wants, "bulkhead-report.service"))
    for name, text in (("etc/hostname", "dom0\n"), ("etc/fstab", "/dev/nvme0n1 / ext4 noatime 0 1\n")):
        with open(os.path.join(root, name), "w", encoding="ascii") as f:
            f.write(text)
    for unit in MASKED:
        os.symlink("/dev/null", os.path.join(root, "etc/systemd/system", unit))
    run(["chroot", root, "passwd", "-d", "root"])


def build(out):
    debian.say("build a Debian root (about two minutes)")
    root = os.path.join(PLACE, ".partial-debian-tree")
    run(["rm", "-rf", root])
    try:
        run(["mmdebstrap", "--variant=minbase", f"--include={','.join(p for p in PACKAGES if not p.endswith('-'))}",
             "--aptopt=APT::Install-Recommends false", "--aptopt=Acquire::Languages none",
             "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*",
             "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
             "--dpkgopt=path-include=/usr/share/doc/*/copyright", "bookworm", root])
        install_modules(root)
        install_files(root)
        run(["mke2fs", "-q", "-t", "ext4", "-L", "dom0", "-O", "^has_journal", "-d", root, out, SIZE])
    finally:
        run(["rm", "-rf", root])


def debian_root():
    """Path of the ext4 image; boot from a copy-on-write overlay of it."""
    files = sorted(p for p in Path(FILES).rglob("*") if p.is_file())
    key = digest(own_text(__file__), *(p.relative_to(FILES).as_posix() for p in files), *files, debian.kernel_package(),
                 debian.candidate("xen-utils-4.17"), debian.candidate("systemd"))
    return cached("debian-root", ".img", key, build)
