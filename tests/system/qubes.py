# SPDX-License-Identifier: GPL-2.0-or-later
# Qubes: domains of the template under the stock toolstack, with vchan, QubesDB and qrexec between them and dom0. One
# boot runs all the checks of tests/qubes/.
import re

from harness.report import build_hypervisor, make, tail
from images import debian_root, qubes
from templates import images
from . import machine
from .boot import DEBIAN, HYPERVISOR, Dom0Boot, check_names, medium

LIMIT = 1500
# What passes on stock Xen, as recorded by "make oracle".
ORACLE = "tests/oracle/qubes.txt"
MEMORY_MIB = 3072
# What the tables of a desktop's qubes need; the hypervisor's limits are lower.
GRANTS = "gnttab_max_frames=1024 gnttab_max_maptrack_frames=4096"
NEEDS = ["qubesdb", "qrexec", "desktop", "vchan-programs"]


class QubesBoot(Dom0Boot):
    def __init__(self, stage, name, record=False, **options):
        self.record = record and HYPERVISOR == "xen"
        # One CPU and a clock that counts instructions: the time limits of the toolstack do not depend on the host.
        super().__init__(stage, name, words=check_names(qubes.CHECKS), smp=1, mem=MEMORY_MIB, limit=LIMIT, **options)

    def run(self):
        good, out = make(*NEEDS)
        if not good:
            self.stage.fail(f"{self.name}.build", "does not build", tail(out, 30))
            return
        words = f"bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.end={self.end} {self.kernel_words}"
        devices = machine.nvme(debian_root.debian_root(), throw_away=True)
        devices += machine.nvme(qubes.disk(), "nvme1", throw_away=True)
        devices += machine.nvme(images.qube_root("minimal"), "nvme2", throw_away=True) + self.devices
        with machine.Machine(self.name, medium(words, f"{GRANTS} {self.hv_words}".strip()), self.kind, self.smp, self.mem, devices,
                             icount=True, limit=self.limit) as vm:
            self._converse(vm, DEBIAN)
        self._check_faults(vm)
        if self.record:
            self._record(vm)

    def _record(self, vm):
        passed = set(re.findall(r"^TEST (\w+): ok", vm.text, re.M))
        version = re.search(r"Xen version (\S+)", vm.text)
        with open(ORACLE, "w", encoding="ascii") as f:
            f.write(f"# stock Xen {version[1] if version else ''}, {self.kind}, -smp {self.smp}, {self.mem} MiB\n")
            f.writelines(f"{word} ok\n" for word in self.words if word in passed)


def run(stage, options):
    """The stage: one boot. On Bulkhead the same as on stock Xen, whose record says what passes there."""
    if build_hypervisor(stage, HYPERVISOR):
        QubesBoot(stage, "qubes", record=options.record).run()
