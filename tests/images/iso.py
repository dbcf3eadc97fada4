# SPDX-License-Identifier: GPL-2.0-or-later
# A GRUB 2 ISO that boots one entry at once, in BIOS and in UEFI mode.
import os
import shutil
import tempfile
from pathlib import Path

from .cache import PLACE, cached, digest, own_text, run

GRUB_MODULES = "multiboot2 normal part_gpt part_msdos iso9660 serial terminal gzio all_video echo halt memrw sleep"


def config(hv_args, modules, framebuffer, before=(), last=()):
    """modules: list of (name on the medium, arguments)."""
    lines = ["set timeout=0", "set default=0", "serial --unit=0 --speed=115200",
             "terminal_input serial console", "terminal_output serial"]
    if framebuffer:
        lines += ["insmod all_video", "set gfxmode=1024x768x32", "set gfxpayload=keep",
                  "terminal_output gfxterm"]
    lines += before
    lines += ['menuentry "Bulkhead" {', f"    multiboot2 /boot/hypervisor.gz {hv_args}"]
    lines += [f"    module2 /boot/{name} {args}" for name, args in modules]
    lines += [f"    {line}" for line in last] + ["    echo GRUB-BOOTS", "}"]
    return "\n".join(lines) + "\n"


def iso(hypervisor, hv_args, modules, framebuffer=False, before=(), last=()):
    """modules: list of (file, arguments), in order; before, last: GRUB commands. Returns the path of the medium."""
    named = [(f"module{i}", args) for i, (_, args) in enumerate(modules)]
    text = config(hv_args, named, framebuffer, before, last)
    key = digest(text, Path(hypervisor), *(Path(path) for path, _ in modules), own_text(__file__))

    def build(out):
        with tempfile.TemporaryDirectory(dir=PLACE) as tree:
            boot = os.path.join(tree, "boot")
            os.makedirs(os.path.join(boot, "grub"))
            shutil.copy(hypervisor, os.path.join(boot, "hypervisor.gz"))
            for (path, _), (name, _) in zip(modules, named):
                shutil.copy(path, os.path.join(boot, name))
            with open(os.path.join(boot, "grub/grub.cfg"), "w", encoding="ascii") as f:
                f.write(text)
            run(["grub-mkrescue", "-o", out, f"--install-modules={GRUB_MODULES}", "--themes=",
                 "--fonts=unicode" if framebuffer else "--fonts=", "--locales=", tree])

    return cached("iso", ".iso", key, build)
