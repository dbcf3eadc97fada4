#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# vchan between two qubes on Bulkhead and on stock Xen, our library against Debian's libxenvchan: instructions, events
# and entries into guests (each is the end of an exit), of the whole machine. Not a matter of the host's speed.
"""Usage: bench/channels.py [HYPERVISOR…]"""
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(HERE, "..", "tests"), HERE]

from gdb import Gdb  # noqa: E402
from harness.report import make  # noqa: E402
from images import debian_root, qubes  # noqa: E402
from system import boot, machine  # noqa: E402
from system import qubes as stage  # noqa: E402
from templates import images  # noqa: E402
import run as bench  # noqa: E402

OUT = os.environ.get("O", "build")
CHECKS = os.path.join(HERE, "qubes")
MIB, PINGS = (int(n) for n in re.search(r"^MIB, PINGS = (\d+), (\d+)$", open(os.path.join(CHECKS, "checks_channels.py"),
                                                                             encoding="ascii").read(), re.M).groups())
VMRUN = bytes.fromhex("0f01d8")
# Where Xen runs, and the address that its image is linked to before that.
XEN_VIRTUAL, XEN_LINKED = 0xFFFF82D040200000, 0x200000
# The order of bench/qubes/checks_channels.py.
RUNS = [(library, what) for library in ("ours", "stock") for what in ("stream", "ping")]
GOALS = {"events per MiB": 0.1, "entries per MiB": 0.1, "instructions per round trip": 0.8}


def segments(data):
    """(address, bytes) of what an ELF image loads."""
    number = bench.elf_number
    wide = data[4] == 2
    place, size, count = ((number(data, 32, 8), number(data, 54, 2), number(data, 56, 2)) if wide
                          else (number(data, 28, 4), number(data, 42, 2), number(data, 44, 2)))
    for at in range(place, place + size * count, size):
        if number(data, at, 4) != 1:
            continue
        offset, address, length = ([number(data, at + k, 8) for k in (8, 16, 32)] if wide
                                   else [number(data, at + k, 4) for k in (4, 8, 16)])
        yield address, data[offset:offset + length]


def entry_of(hypervisor):
    """Address of what follows the one VMRUN: there each exit ends."""
    if hypervisor == "xen":
        image, shift = bench.hypervisor_image(hypervisor), XEN_VIRTUAL - XEN_LINKED
    else:
        with open(os.path.join(OUT, "bulkhead.elf"), "rb") as f:
            image, shift = f.read(), 0
    found = [address + m.start() for address, part in segments(image) for m in re.finditer(re.escape(VMRUN), part)]
    if len(found) != 1:
        raise RuntimeError(f"{hypervisor}: {len(found)} places look like VMRUN")
    return found[0] + len(VMRUN) + shift


def symbols(program):
    text = subprocess.run(["nm", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {m[2]: int(m[1], 16) for m in re.finditer(r"^(\w+) T (mark_\w+)$", text, re.M)}


class Counter:
    """A machine that stops where it is looked at."""

    def __init__(self, vm, gdb):
        self.vm, self.gdb = vm, gdb

    def run_to(self, address):
        self.gdb.run_to([address], stage.LIMIT, pump=lambda: self.vm._pump(0))

    def count(self, counted, end):
        """How often `counted` was reached before `end`."""
        times = 0
        while self.gdb.run_to([counted, end], stage.LIMIT, pump=lambda: self.vm._pump(0)) == counted:
            times += 1
            self.gdb.step()
        return times


def measure(hypervisor):
    """{(library, what): (entries, events, seconds)}"""
    entry = entry_of(hypervisor)
    marks = {library: symbols(os.path.join(OUT, "vchan", name)) for library, name in
             (("ours", "vchan-echo"), ("stock", "vchan-echo-stock"))}
    devices = machine.nvme(debian_root.debian_root(), throw_away=True)
    devices += machine.nvme(qubes.disk(CHECKS), "nvme1", throw_away=True)
    devices += machine.nvme(images.qube_root("minimal"), "nvme2", throw_away=True)
    words = f"bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.end=poweroff"
    image = boot.medium(words, stage.GRANTS, hypervisor=hypervisor)
    entries = {}
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as place:
        stub = os.path.join(place, "gdb")
        extra = ["-gdb", f"unix:path={stub},server=on,wait=off"]
        with machine.Machine(f"bench-channels-{hypervisor}", image, "bios-vtd", 1, stage.MEMORY_MIB, devices + extra,
                             icount=True, limit=stage.LIMIT) as vm:
            vm.wait_for(boot.DEBIAN)
            gdb = Gdb(stub)
            counter = Counter(vm, gdb)
            for library, what in RUNS:
                counter.run_to(marks[library]["mark_begin"])
                entries[library, what] = counter.count(entry, marks[library]["mark_end"])
            gdb.detach()
            vm.wait_for(rf"^{boot.PROMPT}TEST channels: ok")
            said = {(m[1], m[2]): (int(m[3]), float(m[4])) for m in
                    re.finditer(r"^BENCH (\w+) (\w+) events (\d+) seconds (\S+)", vm.text, re.M)}
    return {key: (count, *said[key]) for key, count in entries.items()}


def figures(found, library):
    """With one CPU that executes an instruction each nanosecond, time is instructions."""
    entries, events, seconds = found[library, "stream"]
    round_entries, round_events, round_seconds = found[library, "ping"]
    return {"events per MiB": events / MIB, "entries per MiB": entries / MIB, "instructions per MiB": seconds * 1e9 / MIB,
            "MiB/s": MIB / seconds, "instructions per round trip": round_seconds * 1e9 / PINGS,
            "entries per round trip": round_entries / PINGS, "events per round trip": round_events / PINGS}


def main():
    good, out = make("tools", "hypervisor", *stage.NEEDS)
    if not good:
        sys.exit(out[-3000:])
    missed = 0
    for hypervisor in sys.argv[1:] or bench.HYPERVISORS:
        found = measure(hypervisor)
        ours, stock = (figures(found, library) for library in ("ours", "stock"))
        print(f"{'channels on ' + hypervisor:32} {'libvchan':>12} {'libxenvchan':>12} {'ratio':>7} {'goal':>6}")
        for name, value in ours.items():
            ratio, goal = value / stock[name], GOALS.get(name)
            missed += goal is not None and ratio > goal
            print(f"{name:32} {value:12,.2f} {stock[name]:12,.2f} {ratio:7.3f} {goal or '':>6} "
                  f"{'missed' if goal is not None and ratio > goal else ''}".rstrip(), flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
