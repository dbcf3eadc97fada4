# SPDX-License-Identifier: GPL-2.0-or-later
# The record of what tests print on stock Xen, and the list of where that is not the model.
import fnmatch
import os
import re
import subprocess

from images import debian
from .boot import PROMPT, RESULT

ORACLE = "tests/oracle"
DIFFERENCES = os.path.join(ORACLE, "differences.txt")
VALUE = re.compile(rf"^{PROMPT}VALUE (\S+ \S+) ?(.*)$", re.M)


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


def observed(text):
    """{"check key": value} and {"check": "ok" or "FAIL"} of a run of checks in dom0, or of its record."""
    found = {m[1]: m[2] for m in VALUE.finditer(text)}
    found.update({m[1]: m[2] for m in re.finditer(RESULT, text, re.M)})
    return found


def lines_of(text):
    """What observed() finds, as the lines of a record."""
    return [f"VALUE {key} {value}".rstrip() if " " in key else f"TEST {key}: {value}" for key, value in observed(text).items()]


def compare(stage, name, record, words, text):
    """All that this run has of what was recorded; without a record of its own no check passes."""
    known, lines = differences(), recorded(record)
    if lines is None:
        stage.fail(f"{name}.oracle", "nothing is recorded: run make oracle")
        return
    have = observed(text)
    for key, wanted in observed("\n".join(lines)).items():
        if key.split()[0] in words and have.get(key) != wanted and not is_known(known, record, key):
            stage.fail(f"{name}.{key.split()[0]}.oracle", f"{key}: the oracle has '{wanted}', here it is '{have.get(key)}'")
