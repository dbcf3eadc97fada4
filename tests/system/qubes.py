# SPDX-License-Identifier: GPL-2.0-or-later
# Qubes: domains of the template under the stock toolstack, with vchan, QubesDB and qrexec between them and dom0. One
# boot runs all the checks of tests/qubes/.
from harness.report import build_hypervisor, make, tail
from images import debian, debian_root, qubes
from templates import images
from . import machine, oracle
from .boot import DEBIAN, HYPERVISOR, Dom0Boot, check_names, medium

# Against hangs only: what the checks wait for, they wait for by the machine's clock, which counts instructions.
LIMIT = 3600
# What the checks print on stock Xen, in tests/oracle/.
RECORD = "qubes"
MEMORY_MIB = 3072
# What the tables of a desktop's qubes need; the hypervisor's limits are lower.
GRANTS = "gnttab_max_frames=1024 gnttab_max_maptrack_frames=4096"
# Starts the qubes that the others are about.
FIRST = "start"
NEEDS = ["qubesdb", "qrexec", "desktop", "vchan-programs"]


def check_of(line):
    """The check that a line of the record is of."""
    return line.split()[1].rstrip(":")


class QubesBoot(Dom0Boot):
    def __init__(self, stage, name, record=False, **options):
        self.record = record and HYPERVISOR == "xen"
        # One CPU and a clock that counts instructions: the time limits of the toolstack do not depend on the host.
        words = [word for word in check_names(qubes.CHECKS) if stage.wanted(f"{name}.{word}")]
        if words and FIRST not in words:
            words.insert(0, FIRST)
        super().__init__(stage, name, words=words, smp=1, mem=MEMORY_MIB, limit=LIMIT, **options)

    def run(self):
        good, out = make(*NEEDS)
        if not good:
            self.stage.fail(f"{self.name}.build", "does not build", tail(out, 30))
            return
        words = f"bh.root=/dev/nvme0n1 bh.run=/dev/nvme1n1 bh.only={','.join(self.words)} bh.end={self.end} {self.kernel_words}"
        devices = machine.nvme(debian_root.debian_root(), throw_away=True)
        devices += machine.nvme(qubes.disk(), "nvme1", throw_away=True)
        devices += machine.nvme(images.qube_root("minimal"), "nvme2", throw_away=True) + self.devices
        with machine.Machine(self.name, medium(words, f"{GRANTS} {self.hv_words}".strip()), self.kind, self.smp, self.mem, devices,
                             icount=True, limit=self.limit) as vm:
            self._converse(vm, DEBIAN)
        self._check_faults(vm)
        if self.record:
            # What this run had no part in stays as it was recorded.
            lines = [line for line in oracle.recorded(RECORD) or [] if check_of(line) not in self.words] + oracle.lines_of(vm.text)
            lines.sort(key=lambda line: check_names(qubes.CHECKS).index(check_of(line)))
            oracle.write(RECORD, f"{self.kind}, -smp 1, -icount, {MEMORY_MIB} MiB, dom0_mem=1024M; "
                         f"xen-utils-4.17 {debian.candidate('xen-utils-4.17')}, {debian.kernel_package()}", lines)
        elif HYPERVISOR != "xen":
            oracle.compare(self.stage, self.name, RECORD, self.words, vm.text)


def run(stage, options):
    """The stage: one boot. On Bulkhead the same as on stock Xen, whose record says what passes there."""
    boot = QubesBoot(stage, "qubes", record=options.record)
    if boot.words and build_hypervisor(stage, HYPERVISOR):
        boot.run()
