#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Guests under the stock toolstack, on the hypervisor that HYPERVISOR names: instructions of whole requests.
"""make bench-domains: boots a Debian dom0 on each hypervisor, measures there, and prints a ratio for each figure."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tests"), HERE]

from harness.report import Report  # noqa: E402
from system.boot import HYPERVISOR, PROMPT  # noqa: E402
from system.domains import DomainsBoot  # noqa: E402

MEASUREMENTS = os.path.join(HERE, "domains", "bench_guests.py")
WORDS = "bench_create bench_block bench_net".split()
LIMIT = 3600
# At most so much of stock Xen's instructions; requests are to be as fast at least, which is their inverse.
GOALS = {"xl_create": 0.9, "xl_create_to_init": 0.95, "xl_create_hypervisor": 0.6, "guest_memory_kib": 0.7,
         "block_4k_read": 1.0, "block_4k_write": 1.0, "block_64k_read": 1.0, "block_64k_write": 1.0,
         "net_ping": 1.0, "net_copy_mib": 1.0}
QUIET = "loglvl=error guest_loglvl=error"

# Where the hypervisor's code lies; no kernel has any there.
CODE = {"bulkhead": (0xFFFFFFFF80000000, 0xFFFFFFFF81000000), "xen": (0xFFFF82D000000000, 0xFFFF82D100000000)}
LOOK_EVERY = 0.02


class Boot(DomainsBoot):
    """Also looks where the CPU is while a guest is created, and leaves out where it does nothing."""
    looks, of_hypervisor = 0, 0

    def _converse(self, vm, marker):
        vm.when(rf"^{PROMPT}BENCH-LOOK$", self._look_around)
        super()._converse(vm, marker)

    def _look_around(self, vm, _match):
        begin, end = CODE[HYPERVISOR]
        while not re.search(rf"^{PROMPT}BENCH-LOOKED$", vm.text, re.M):
            state = vm.monitor("info registers")
            rip = int(re.search(r"RIP=([0-9a-f]+)", state)[1], 16)
            if "HLT=1" not in state:
                self.looks += 1
                self.of_hypervisor += begin <= rip < end
            vm._pump(LOOK_EVERY)


def measure():
    """In a process of its own for each hypervisor: prints what dom0 printed. The words may be fewer."""
    report = Report([])
    boot = Boot(report.stage("bench"), f"bench-domains-{HYPERVISOR}", only=sys.argv[2:] or WORDS, files=[MEASUREMENTS],
                limit=LIMIT, hv_words=QUIET)
    found = {m[1]: int(m[2]) for m in re.finditer(rf"^{PROMPT}BENCH (\w+) (\d+)$", boot.run(), re.M)}
    if boot.looks and "xl_create" in found:
        found["xl_create_hypervisor"] = found["xl_create"] * boot.of_hypervisor // boot.looks
        print(f"looked {boot.looks} times while a guest was created, {boot.of_hypervisor} times at the hypervisor")
    print("\n".join(f"BENCH {name} {value}" for name, value in found.items()), flush=True)
    return report.close()


def results(hypervisor):
    done = subprocess.run([sys.executable, __file__, "measure"], env=dict(os.environ, HYPERVISOR=hypervisor),
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.stdout.write(done.stdout)
    return {m[1]: int(m[2]) for m in re.finditer(r"^BENCH (\w+) (\d+)$", done.stdout, re.M)}


def main():
    ours, theirs = results("bulkhead"), results("xen")
    missed = 0
    print(f"{'':26} {'Bulkhead':>14} {'Xen 4.17':>14} {'ratio':>7} {'goal':>6}")
    for name, goal in GOALS.items():
        mine, other = ours.get(name), theirs.get(name)
        if not mine or not other:
            print(f"{name:26} {mine or '-':>14} {other or '-':>14}   not measured")
            missed += 1
            continue
        missed += mine / other > goal
        print(f"{name:26} {mine:14,} {other:14,} {mine / other:7.3f} {goal:6} {'missed' if mine / other > goal else ''}")
    for name, count in ours.items():
        if "_exits_" in name:
            print(f"{name:34} {count / (1 if name.startswith('net') else 100):10.2f}")
    print(f"bench: {len(GOALS) - missed} of {len(GOALS)} goals reached")
    return 1 if missed else 0


sys.exit(measure() if sys.argv[1:2] == ["measure"] else main())
