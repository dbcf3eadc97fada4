# SPDX-License-Identifier: GPL-2.0-or-later
# Domains: the stock toolstack in the Debian dom0 creates, runs and destroys stock guests. One boot runs all the checks
# of tests/domains/.
from harness.report import build_hypervisor
from images import debian, debian_root, guest
from . import machine, oracle
from .boot import DEBIAN, HYPERVISOR, Dom0Boot, check_names, medium

LIMIT = 3600
DOMAINS_MEM = 6144
# What the checks print on stock Xen, in tests/oracle/.
RECORD = "xl"


class DomainsBoot(Dom0Boot):
    """With one CPU the machine's clock counts instructions: the time limits of the toolstack, and what happens when, do
    not depend on the host. (QEMU 7.2 cannot do so with two: one that never waits keeps the others from running.)"""

    def __init__(self, stage, name, only=(), smp=1, limit=LIMIT, files=(), **options):
        # What guests say in the hypervisor's log is no fault of it.
        options.setdefault("allowed", r"\(d[1-9]\d*\) .*Kernel panic")
        super().__init__(stage, name, words=only or check_names(guest.CHECKS), smp=smp, mem=DOMAINS_MEM, limit=limit,
                         **options)
        self.only, self.files = list(only), list(files)

    def run(self):
        words = (f"bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.only={','.join(self.only)} bh.end={self.end} "
                 f"{self.kernel_words}")
        devices = machine.nvme(debian_root.debian_root(), throw_away=True)
        devices += machine.nvme(guest.disk(*self.files), "nvme1", throw_away=True) + self.devices
        with machine.Machine(self.name, medium(words, self.hv_words), self.kind, self.smp, self.mem, devices,
                             icount=self.smp == 1, limit=self.limit) as vm:
            self._converse(vm, DEBIAN)
        self._check_faults(vm)
        return vm.text

    def _results(self, vm):
        super()._results(vm)
        if HYPERVISOR != "xen" and self.smp == 1:
            oracle.compare(self.stage, self.name, RECORD, self.words, vm.text)


def record(stage, _options):
    """Runs all checks on stock Xen, and writes down what they print."""
    if not stage.wanted(RECORD) or not build_hypervisor(stage, HYPERVISOR):
        return
    boot = DomainsBoot(stage, "domains-xen", limit=2 * LIMIT)
    lines = oracle.lines_of(boot.run())
    oracle.write(RECORD, "bios-vtd, -smp 1, -icount, 6144 MiB, dom0_mem=1024M, xsave=0; "
                 f"xen-utils-4.17 {debian.candidate('xen-utils-4.17')}, {debian.kernel_package()}", lines)
