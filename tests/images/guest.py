# SPDX-License-Identifier: GPL-2.0-or-later
# What the domains test needs inside dom0, as one disk: kernels and the initramfs of guests, and the checks.
import os
import shutil
import tempfile
from pathlib import Path

from . import debian, initramfs
from .cache import OUT, PLACE, cached, digest, own_text, run

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKS = os.path.join(os.path.dirname(HERE), "domains")
INIT = os.path.join(CHECKS, "guest-init.sh")
MODULES = "xen-blkfront xen-netfront xen-evtchn xen-gntdev xen-gntalloc xen-privcmd".split()
# /sbin/poweroff is what the kernel runs when the toolstack asks for it, and there is no init to pass it on.
ENDS = {"poweroff": "poweroff -f", "reboot": "reboot -f"}


def build_initramfs(out):
    version, place = debian.kernel_modules()
    archive = initramfs.with_busybox(INIT, "proc sys dev run tmp mnt sbin usr/bin usr/sbin".split())
    for name, command in ENDS.items():
        archive.file(f"sbin/{name}", f"#!/bin/sh\nexec /bin/busybox {command}\n".encode(), 0o755)
    initramfs.add_modules(archive, version, place, MODULES)
    archive.write(out)


def guest_initramfs():
    key = digest(Path(INIT), Path(debian.busybox()), debian.kernel_package(),
                 own_text(__file__, initramfs.__file__, os.path.join(HERE, "cpio.py")))
    return cached("guest", ".cpio", key, build_initramfs)


def disk(*more):
    """Path of an ext4 image with the checks in tests/domains/ and all that they start, and with more files."""
    files = {"vmlinux": debian.kernel_elf(), "vmlinuz": debian.kernel_bzimage(), "guest.cpio": guest_initramfs()}
    for place in ("guests", "guests/domu"):
        for name in sorted(os.listdir(os.path.join(OUT, place))):
            if name.endswith(".elf"):
                files[name] = os.path.join(OUT, place, name)
    for name in sorted(os.listdir(CHECKS)):
        if name.endswith(".py"):
            files[name] = os.path.join(CHECKS, name)
    files.update({os.path.basename(path): path for path in more})
    key = digest(own_text(__file__), *files, *(Path(path) for path in files.values()))

    def build(out):
        with tempfile.TemporaryDirectory(dir=PLACE) as tree:
            for name, path in files.items():
                shutil.copy(path, os.path.join(tree, name))
            run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, out, "128M"])

    return cached("domains", ".img", key, build)
