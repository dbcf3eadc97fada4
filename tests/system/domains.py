# SPDX-License-Identifier: GPL-2.0-or-later
# Domains: the stock toolstack in the Debian dom0 creates, runs and destroys stock guests. One boot runs all the checks
# of tests/domains/.
import re

from harness.report import build_hypervisor
from images import debian, debian_root, guest
from . import machine, oracle
from .boot import DEBIAN, HYPERVISOR, PROMPT, RESULT, Dom0Boot, check_names, medium

LIMIT = 3600
DOMAINS_MEM = 6144
# What the checks print on stock Xen, in tests/oracle/.
RECORD = "xl"
VALUE = re.compile(rf"^{PROMPT}VALUE (\S+ \S+) ?(.*)$", re.M)


class DomainsBoot(Dom0Boot):
    """With one CPU the machine's clock counts instructions: the time limits of the toolstack, and what happens when, do
    not depend on the host. (QEMU 7.2 cannot do so with two: one that never waits keeps the others from running.)"""

    def __init__(self, stage, name, only=(), smp=1, limit=LIMIT, **options):
        super().__init__(stage, name, words=only or check_names(guest.CHECKS), smp=smp, mem=DOMAINS_MEM, limit=limit,
                         **options)
        self.only = list(only)

    def run(self):
        words = (f"bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.only={','.join(self.only)} bh.end={self.end} "
                 f"{self.kernel_words}")
        devices = machine.nvme(debian_root.debian_root(), throw_away=True)
        devices += machine.nvme(guest.disk(), "nvme1", throw_away=True) + self.devices
        with machine.Machine(self.name, medium(words, self.hv_words), self.kind, self.smp, self.mem, devices,
                             icount=self.smp == 1, limit=self.limit) as vm:
            self._converse(vm, DEBIAN)
        self._check_faults(vm)
        return vm.text

    def _results(self, vm):
        super()._results(vm)
        if HYPERVISOR != "xen" and self.smp == 1:
            self._compare(vm.text)

    def _compare(self, text):
        """All that this run has of what was recorded; without a record of its own no check passes."""
        known, record = oracle.differences(), oracle.recorded(RECORD)
        if record is None:
            self.stage.fail(f"{self.name}.oracle", "nothing is recorded: run make oracle")
            return
        have = observed(text)
        for key, wanted in observed("\n".join(record)).items():
            if key.split()[0] in self.words and have.get(key) != wanted and not oracle.is_known(known, RECORD, key):
                self.stage.fail(f"{self.name}.{key.split()[0]}.oracle",
                                f"{key}: the oracle has '{wanted}', here it is '{have.get(key)}'")


def observed(text):
    """{"check key": value} and {"check": "ok" or "FAIL"} of a run, or of its record."""
    found = {m[1]: m[2] for m in VALUE.finditer(text)}
    found.update({m[1]: m[2] for m in re.finditer(RESULT, text, re.M)})
    return found


def record(stage, _options):
    """Runs all checks on stock Xen, and writes down what they print."""
    if not stage.wanted(RECORD) or not build_hypervisor(stage, HYPERVISOR):
        return
    boot = DomainsBoot(stage, "domains-xen", limit=2 * LIMIT)
    found = observed(boot.run())
    lines = [f"VALUE {key} {value}".rstrip() if " " in key else f"TEST {key}: {value}" for key, value in found.items()]
    oracle.write(RECORD, "bios-vtd, -smp 1, -icount, 6144 MiB, dom0_mem=1024M, xsave=0; "
                 f"xen-utils-4.17 {debian.candidate('xen-utils-4.17')}, {debian.kernel_package()}", lines)
