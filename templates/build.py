#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds images by name and prints their paths: build.py [minimal] [desktop] [initramfs] [dom0].
import os
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TOP, os.path.join(TOP, "tests")]
os.chdir(TOP)

from templates import images  # noqa: E402

BASES = {"minimal": lambda: images.qube_base("minimal"), "desktop": lambda: images.qube_base("desktop"), "dom0": images.dom0_base}
BUILDERS = {"minimal": lambda: images.qube_root("minimal"), "desktop": lambda: images.qube_root("desktop"),
            "initramfs": images.qube_initramfs, "dom0": images.dom0_root}


def main():
    wanted = sys.argv[1:] or list(BUILDERS)
    for name in wanted:
        if name not in BUILDERS:
            sys.exit(f"build.py: no image {name}; there are: {' '.join(BUILDERS)}")
    images.prepare(*(BASES[name] for name in wanted if name in BASES))
    for name in wanted:
        print(f"{name} {BUILDERS[name]()}")


try:
    main()
except RuntimeError as problem:
    sys.exit(str(problem))
