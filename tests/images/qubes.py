# SPDX-License-Identifier: GPL-2.0-or-later
# What the qubes test needs inside dom0, as one disk: the kernel and initramfs of qubes, dom0's programs, the checks.
import os
import shutil
import tempfile
from pathlib import Path

from templates import images

from . import debian, guest
from .cache import OUT, PLACE, cached, digest, own_text, run

HERE = os.path.dirname(os.path.abspath(__file__))
CHECKS = os.path.join(os.path.dirname(HERE), "qubes")
PROGRAMS = ["qubesdb/qubesdb-daemon", "qubesdb/qubesdb-cmd", "qrexec/qrexec-daemon", "qrexec/qrexec-client",
            "desktop/qube-manager", "desktop/qube-domain", "desktop/qube", "vchan/vchan-echo", "vchan/vchan-echo-stock"]


def disk(checks=CHECKS):
    """Path of an ext4 image with the checks in tests/qubes/, or in another place, and all that they start."""
    files = {"vmlinux": debian.kernel_elf(), "qube.cpio": images.qube_initramfs()}
    files.update({f"bin/{os.path.basename(path)}": os.path.join(OUT, path) for path in PROGRAMS})
    files["qubes.rng"] = "desktop/manager/qubes.rng"
    # The runner and its tools are those of the domains test.
    files.update({name: os.path.join(guest.CHECKS, name) for name in ("main.py", "lib.py")})
    files["qube.py"] = os.path.join(CHECKS, "qube.py")
    files.update({name: os.path.join(checks, name) for name in sorted(os.listdir(checks)) if name.startswith("checks_")})
    key = digest(own_text(__file__), *files, *(Path(path) for path in files.values()))

    def build(out):
        with tempfile.TemporaryDirectory(dir=PLACE) as tree:
            for name, path in files.items():
                os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
                shutil.copy(path, os.path.join(tree, name))
            run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, out, "160M"])

    return cached("qubes", ".img", key, build)
