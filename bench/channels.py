#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# vchan between two qubes on Bulkhead and on stock Xen, our library against Debian's libxenvchan: events and instructions
# (-icount: one is a nanosecond of the guests' clock) of the whole machine, which has one CPU.
"""Usage: bench/channels.py [HYPERVISOR…]"""
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

HYPERVISORS = ("bulkhead", "xen")
CHECKS = os.path.join(HERE, "qubes")
with open(os.path.join(CHECKS, "checks_channels.py"), encoding="ascii") as f:
    MIB, PINGS = (int(n) for n in re.search(r"^MIB, PINGS, ROUNDS = (\d+), (\d+)", f.read(), re.M).groups())
LINE = rf"^{boot.PROMPT}BENCH (\w+) (\w+) events=(\d+) timeouts=(\d+) seconds=(\S+)"


def measure(hypervisor):
    """{(library, what): (events, timeouts, seconds)}, of several rounds the shortest: the first one warms up."""
    devices = machine.nvme(debian_root.debian_root(), throw_away=True)
    devices += machine.nvme(qubes.disk(CHECKS), "nvme1", throw_away=True)
    devices += machine.nvme(images.qube_root("minimal"), "nvme2", throw_away=True)
    image = boot.medium("bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.end=poweroff", stage.GRANTS, hypervisor=hypervisor)
    with machine.Machine(f"bench-channels-{hypervisor}", image, "bios-vtd", 1, stage.MEMORY_MIB, devices, icount=True,
                         limit=stage.LIMIT) as vm:
        vm.wait_for(rf"^{boot.PROMPT}TEST channels: ok")
        text = vm.text
    found = {}
    for m in re.finditer(LINE, text, re.M):
        have = int(m[3]), int(m[4]), float(m[5])
        found[m[1], m[2]] = min(found.get((m[1], m[2]), have), have, key=lambda values: values[2])
    return found


def figures(found, library):
    events, timeouts, seconds = found[library, "stream"]
    round_events, _, round_seconds = found[library, "ping"]
    return {"events per MiB": events / MIB, "timeouts per MiB": timeouts / MIB, "instructions per MiB": seconds * 1e9 / MIB,
            "instructions per round trip": round_seconds * 1e9 / PINGS, "events per round trip": round_events / PINGS}


def main():
    good, out = make("tools", "hypervisor", *stage.NEEDS)
    if not good:
        sys.exit(out[-3000:])
    for hypervisor in sys.argv[1:] or HYPERVISORS:
        found = measure(hypervisor)
        ours, stock = (figures(found, library) for library in ("ours", "stock"))
        print(f"{'channels on ' + hypervisor:32} {'libvchan':>12} {'libxenvchan':>12} {'ratio':>7}")
        for name, value in ours.items():
            ratio = f"{value / stock[name]:7.3f}" if stock[name] else ""
            print(f"{name:32} {value:12,.2f} {stock[name]:12,.2f} {ratio}".rstrip(), flush=True)


main()
