# SPDX-License-Identifier: GPL-2.0-or-later
# Domains: the stock toolstack in the Debian dom0 creates, runs and destroys stock guests. One boot runs all the checks
# of tests/domains/.
import os
import re

from images import debian_root, guest
from . import machine
from .boot import Dom0Boot, medium

LIMIT = 1800
DOMAINS_MEM = 6144


def checks():
    """The names of all checks, in their order."""
    found = []
    for name in sorted(os.listdir(guest.CHECKS)):
        if name.startswith("checks_"):
            with open(os.path.join(guest.CHECKS, name), encoding="utf-8") as f:
                found += re.findall(r"^def check_(\w+)\(", f.read(), re.M)
    return found


class DomainsBoot(Dom0Boot):
    """With one CPU the machine's clock counts instructions: the time limits of the toolstack, and what happens when, do
    not depend on the host. (QEMU 7.2 cannot do so with two: one that never waits keeps the others from running.)"""

    def __init__(self, stage, name, only=(), smp=1, limit=LIMIT, **options):
        super().__init__(stage, name, words=only or checks(), smp=smp, mem=DOMAINS_MEM, limit=limit, **options)
        self.only = list(only)

    def run(self):
        words = (f"bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.only={','.join(self.only)} bh.end={self.end} "
                 f"{self.kernel_words}")
        devices = machine.nvme(debian_root.debian_root(), throw_away=True)
        devices += machine.nvme(guest.disk(), "nvme1", throw_away=True) + self.devices
        with machine.Machine(self.name, medium(words, self.hv_words), self.kind, self.smp, self.mem, devices,
                             icount=self.smp == 1, limit=self.limit) as vm:
            self._converse(vm, r"^BULKHEAD-DEBIAN")
        self._check_faults(vm)
