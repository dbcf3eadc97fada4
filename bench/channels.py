#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# vchan between two qubes on Bulkhead and on stock Xen, our library against Debian's libxenvchan: events, exits and
# instructions (-icount: one is a nanosecond of the guests' clock) of the whole machine, which has one CPU.
"""Usage: bench/channels.py [bulkhead|xen|bulkhead-2…]; …-2: two CPUs, a qube on each, where only counts mean something."""
import os
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(HERE, "..", "tests")]

from harness.report import make  # noqa: E402
from images import debian_root, qubes  # noqa: E402
from system import boot, machine  # noqa: E402
from system import qubes as stage  # noqa: E402
from templates import images  # noqa: E402

MACHINES = ("bulkhead", "xen", "bulkhead-2")
CHECKS = os.path.join(HERE, "qubes")
LINE = rf"^{boot.PROMPT}BENCH (\w+) (\w+) (\d+) events=(\d+) timeouts=(\d+) exits=(\d+) seconds=(\S+)"
BUSY = rf"^{boot.PROMPT}BUSY exits=(\d+) seconds=(\S+)"
LIBRARIES = {"ours": "libvchan", "large": "libvchan, 32 MiB", "stock": "libxenvchan"}
# Against libxenvchan: on the same hypervisor, and the one on Bulkhead against the other one on stock Xen.
GOALS = {"instructions per round trip": 0.8, "instructions per round trip, polled": 0.8}
GOALS.update({f"{name} per {unit}": 0.1 for name in ("events", "exits") for unit in ("MiB", "MiB, made and checked", "MiB, slower reader", "MiB, slower writer")})
UNITS = {"stream": "MiB", "work": "MiB, made and checked", "slow": "MiB, slower reader", "lazy": "MiB, slower writer", "ping": "round trip", "poll": "round trip, polled"}


def measure(name):
    """{(library, what, amount): (events, timeouts, exits, seconds)}, of several rounds the shortest: the first one warms up."""
    hypervisor, _, smp = name.partition("-")
    devices = machine.nvme(debian_root.debian_root(), throw_away=True)
    devices += machine.nvme(qubes.disk(CHECKS), "nvme1", throw_away=True)
    devices += machine.nvme(images.qube_root("minimal"), "nvme2", throw_away=True)
    image = boot.medium("bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.end=poweroff", stage.GRANTS, hypervisor=hypervisor)
    with machine.Machine(f"bench-channels-{name}", image, "bios-vtd", int(smp or 1), stage.MEMORY_MIB, devices,
                         icount=not smp, threads=bool(smp), limit=stage.LIMIT) as vm:
        vm.wait_for(rf"^{boot.PROMPT}TEST channels: ok")
        text = vm.text
    found = {}
    ticks = re.search(BUSY, text, re.M)
    print(f"{name}: a qube that only works exits {int(ticks[1]) / float(ticks[2]):.0f} times a second", flush=True)
    for m in re.finditer(LINE, text, re.M):
        key, have = (m[1], m[2], int(m[3])), (int(m[4]), int(m[5]), int(m[6]), float(m[7]))
        found[key] = min(found.get(key, have), have, key=lambda values: values[3])
    return found


def figures(found, library, timed):
    """What each further MiB or round trip takes: the connection itself is left out."""
    result = {}
    for what, unit in UNITS.items():
        both = sorted((amount, values) for (l, w, amount), values in found.items() if (l, w) == (library, what))
        if not both:
            continue
        (small, a), (large, b) = both
        for number, name, factor in ((0, "events", 1), (1, "timeouts", 1), (2, "exits", 1),
                                     (3, "instructions" if timed else "milliseconds", 1e9 if timed else 1e3)):
            result[f"{name} per {unit}"] = (b[number] - a[number]) * factor / (large - small)
        if timed:
            per = result[f"instructions per {unit}"]
            result[f"instructions of the start, {what}"] = a[3] * 1e9 - per * small
    return result


def compare(title, ours, stock):
    """ours and stock: what figures() returns, by a name for the column."""
    (left, mine), (right, other) = ours, stock
    print(f"{title:38} {left:>22} {right:>22}   ratio   goal")
    for name, value in mine.items():
        ratio = f"{value / other[name]:7.3f}" if other[name] else "       "
        goal = GOALS.get(name) if other[name] else None
        reached = "" if goal is None else f"{goal:6} {'reached' if value / other[name] <= goal else 'missed'}"
        print(f"{name:38} {value:22,.2f} {other[name]:22,.2f} {ratio} {reached}".rstrip(), flush=True)


def main():
    good, out = make("tools", "hypervisor", *stage.NEEDS)
    if not good:
        sys.exit(out[-3000:])
    found = {}
    for name in sys.argv[1:] or MACHINES:
        data = measure(name)
        found[name] = {library: figures(data, library, not name.endswith("-2")) for library in LIBRARIES}
        for library in ("ours", "large"):
            compare(f"channels on {name}", (LIBRARIES[library], found[name][library]), (LIBRARIES["stock"], found[name]["stock"]))
    if "bulkhead" in found and "xen" in found:
        compare("each where it belongs", ("libvchan on Bulkhead", found["bulkhead"]["ours"]), ("libxenvchan on Xen", found["xen"]["stock"]))


main()
