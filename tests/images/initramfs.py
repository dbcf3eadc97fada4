# SPDX-License-Identifier: GPL-2.0-or-later
# The small initramfs of system tests: static busybox, a few stock modules, and the checks of init.sh.
import os
from pathlib import Path

from . import debian
from .cache import OUT, cached, digest, own_text, run
from .cpio import Archive

HERE = os.path.dirname(os.path.abspath(__file__))
INIT = os.path.join(HERE, "init.sh")
DMA_ATTACK = os.path.join(os.path.dirname(HERE), "system/dma-attack.c")

MODULES = """
    nvme ahci sd_mod e1000e xhci-pci xhci-hcd usbhid hid-generic usb-storage ext4 crc32c_generic loop
    bochs evdev xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-acpi-processor
""".split()


def module_files(place, names):
    """Relative paths of the wanted modules and all that they depend on."""
    depends = {}
    with open(os.path.join(place, "modules.dep"), encoding="ascii") as f:
        for line in f:
            path, _, needs = line.partition(":")
            depends[path] = needs.split()
    by_name = {os.path.basename(p).split(".")[0].replace("_", "-"): p for p in depends}
    with open(os.path.join(place, "modules.builtin"), encoding="ascii") as f:
        builtin = {os.path.basename(line.strip()).split(".")[0].replace("_", "-") for line in f}
    wanted = set()
    for name in names:
        name = name.replace("_", "-")
        if name in builtin:
            continue
        path = by_name[name]
        wanted.update([path, *depends[path]])
    return sorted(wanted)


def add_modules(archive, version, place, names):
    """The wanted modules of this kernel with a modules.dep of just them."""
    base = f"lib/modules/{version}"
    files = module_files(place, names)
    for path in files:
        archive.copy(f"{base}/{path}", os.path.join(place, path), 0o644)
    with open(os.path.join(place, "modules.dep"), encoding="ascii") as f:
        kept = [line for line in f if line.partition(":")[0] in files]
    archive.file(f"{base}/modules.dep", "".join(kept).encode())


def with_busybox(init, directories):
    """The beginning of each initramfs: directories, the devices that the kernel opens, a shell, and what is run first."""
    archive = Archive()
    for path in directories:
        archive.directory(path)
    archive.char_device("dev/console", 5, 1)
    archive.char_device("dev/null", 1, 3, 0o666)
    archive.copy("bin/busybox", debian.busybox(), 0o755)
    archive.link("bin/sh", "busybox")
    archive.copy("init", init, 0o755)
    return archive


def dma_attack():
    """The static attack program; it runs where there is no C library."""
    return cached("dma-attack", "", digest(Path(DMA_ATTACK)),
                  lambda out: run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
                                   "-o", out, DMA_ATTACK]))


def build(out):
    version, place = debian.kernel_modules()
    archive = with_busybox(INIT, "proc sys dev run tmp mnt root etc sbin usr/bin usr/sbin".split())
    archive.copy("bin/dma-attack", dma_attack(), 0o755)
    add_modules(archive, version, place, MODULES)
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.write(out)


def initramfs():
    key = digest(Path(INIT), Path(DMA_ATTACK), Path(debian.busybox()), debian.kernel_package(),
                 own_text(__file__, os.path.join(HERE, "cpio.py")))
    return cached("initramfs", ".cpio", key, build)
