#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the checks of this directory in dom0, in the order in which they are written, and prints a line for each.
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lib  # noqa: E402

PREFIX = "check_"


def clean_up():
    """One failed check must not spoil the next."""
    for name, (domid, *_) in lib.domains().items():
        if name != "Domain-0" and name not in lib.kept:
            lib.run("xl", "destroy", str(domid))


def one(name, function):
    begun = time.monotonic()
    lib.values.clear()
    try:
        note = function() or ""
        line = f"TEST {name}: ok {note} ({time.monotonic() - begun:.0f} s)"
    except Exception as problem:  # whatever it is, the other checks are to run
        if not isinstance(problem, lib.Failed):
            traceback.print_exc()
        line = f"TEST {name}: FAIL {type(problem).__name__}: {problem}".replace("\n", " ")
        clean_up()
    lines = [f"VALUE {name} {text}" for text in lib.values] + [line]
    print("\n".join(lines), flush=True)
    return lines


def main():
    os.makedirs(lib.WORK, exist_ok=True)
    os.chdir(lib.WORK)
    lib.bridge()
    wanted, lines = sys.argv[1:], []
    # Measurements, and what takes long, only where they are asked for.
    kinds = ("checks_", "bench_", "soak_") if wanted else "checks_"
    for module in sorted(m[:-3] for m in os.listdir(HERE) if m.startswith(kinds) and m.endswith(".py")):
        for name, function in list(vars(__import__(module)).items()):
            word = name[len(PREFIX):]
            if name.startswith(PREFIX) and (not wanted or word in wanted):
                lines += one(word, function)
    # Once more in one piece: messages of the hypervisor may have come in the middle of a line.
    time.sleep(1)
    print("\n" + "\n".join(lines), flush=True)


main()
