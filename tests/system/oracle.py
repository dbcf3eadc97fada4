# SPDX-License-Identifier: GPL-2.0-or-later
# The record of what tests print on stock Xen, and the list of where that is not the model.
import fnmatch
import os
import subprocess

from images import debian

ORACLE = "tests/oracle"
DIFFERENCES = os.path.join(ORACLE, "differences.txt")


def versions(machine):
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return [f"# hypervisor: {debian.XEN_PACKAGE} {debian.candidate(debian.XEN_PACKAGE)}",
            f"# emulator: {qemu.stdout.splitlines()[0]}", f"# machine: {machine}"]


def write(name, machine, lines):
    os.makedirs(ORACLE, exist_ok=True)
    with open(os.path.join(ORACLE, f"{name}.txt"), "w", encoding="ascii") as f:
        f.write("\n".join(versions(machine) + lines) + "\n")


def recorded(name):
    try:
        with open(os.path.join(ORACLE, f"{name}.txt"), encoding="ascii") as f:
            return [line.rstrip("\n") for line in f if not line.startswith("#")]
    except FileNotFoundError:
        return None


def differences():
    """Lines "record test: why" or "record VALUE two words: why": where stock Xen is not the model."""
    known = {}
    if os.path.exists(DIFFERENCES):
        with open(DIFFERENCES, encoding="ascii") as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    key, _, why = line.partition(": ")
                    known[key.strip()] = why.strip()
    return known


def is_known(known, name, key):
    """Whether differences() says why a value (its key has two words) or a test is another one here."""
    line = f"{name} VALUE {key}" if " " in key else f"{name} {key}"
    return any(fnmatch.fnmatchcase(line, pattern) for pattern in known)
