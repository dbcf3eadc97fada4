# SPDX-License-Identifier: GPL-2.0-or-later
# One boot of a dom0 with the test initramfs, and what must be true of every such boot.
import hashlib
import os
import re
import tempfile

from harness.report import tail
from images import debian, debian_root, initramfs, iso
from . import machine, pagetables

HYPERVISOR = os.environ.get("HYPERVISOR", "bulkhead")
# Xen restores the FPU lazily and counts on #NM, which QEMU 7.2 does not raise for XSAVE and XRSTOR.
HV_ARGS = {
    "bulkhead": "console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all",
    "xen": "console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all dom0=pvh iommu=verbose xsave=0",
}
KERNEL_ARGS = "console=hvc0 earlyprintk=xen"
# Lines that no healthy run has.
BAD_LINES = {
    "bulkhead": r"^.*(PANIC|[Pp]anic:|IOMMU fault|ASSERT|BUG:|Kernel panic).*$",
    "xen": r"^.*(\(XEN\) Panic|DMAR:\[DMA|IO_PAGE_FAULT|Assertion|Kernel panic).*$",
}
DMA_FAULT = {"bulkhead": r"IOMMU fault", "xen": r"DMAR:\[DMA (Read|Write)\]|IO_PAGE_FAULT"}
# Where the hypervisor's own image lies, as it says itself.
IMAGE_LINE = {"bulkhead": r"loaded by .* at (0x[0-9a-f]+)", "xen": r"image load base address: (0x[0-9a-f]+)"}
# What the emulated CPU offers of protections is in force, and said to be.
PROTECTIONS = r"^\(BH\) protections in force: (W\^X, NX, stack protector.*SMEP, SMAP, UMIP)"
# The emulator's own report of a blocked transfer: it needs no help from the hypervisor.
EMULATOR_FAULT = re.compile(r"^.*(vtd_iommu_translate: detected|vtd_dma_remap|amdvi_.*fault).*$", re.M)

DISK_MIB = 16
MAIL_OFFSET = 8191 * 4096
# Machine memory below 4 GiB (2 GiB of it on q35) that a dom0 of 1 GiB has no address for.
BEYOND_DOM0 = 0x7F000000
COLOUR = (0xC0, 0x60, 0x20)


def disk_content():
    """The same 16 MiB every time, without a pattern that a wrong offset would keep."""
    return hashlib.shake_256(b"bulkhead data disk").digest(DISK_MIB << 20)


def medium(kernel_words, hv_words="", dom0_mem="1024M", modules=None, hypervisor=HYPERVISOR, framebuffer=False):
    """The ISO; modules replaces the usual kernel and initramfs."""
    if modules is None:
        modules = [(debian.kernel_elf(), f"{KERNEL_ARGS} {kernel_words}".strip()), (initramfs.initramfs(), "")]
    memory = f" dom0_mem={dom0_mem}" if dom0_mem else ""
    return iso.iso(debian.hypervisor(hypervisor), f"{HV_ARGS[hypervisor]}{memory} {hv_words}".strip(), modules,
                   framebuffer)


# The prompt of a login may come just before a line of the tests.
PROMPT = "(?:.*login: )?"
DEBIAN = rf"^{PROMPT}BULKHEAD-DEBIAN"
RESULT = rf"^{PROMPT}TEST (\S+): (ok|FAIL) ?(.*)$"


def check_names(place):
    """The names of all checks in files of that place, in the order of files and functions."""
    found = []
    for name in sorted(os.listdir(place)):
        if name.startswith("checks_"):
            with open(os.path.join(place, name), encoding="utf-8") as f:
                found += re.findall(r"^def check_(\w+)\(", f.read(), re.M)
    return found


class Dom0Boot:
    """Boots, lets dom0 run the words' checks, and reports each as a result of its own."""

    def __init__(self, stage, name, kind="bios-vtd", smp=1, mem=4096, words=(), hv_words="", kernel_words="",
                 end="poweroff", devices=(), framebuffer=False, allowed=None, limit=600):
        self.stage, self.name, self.kind, self.smp, self.mem = stage, name, kind, smp, mem
        self.words, self.hv_words, self.kernel_words, self.end = list(words), hv_words, kernel_words, end
        self.devices, self.framebuffer, self.allowed, self.limit = list(devices), framebuffer, allowed, limit
        self.attacks = {}

    def run_debian(self):
        """The full root on NVMe, in place of the checks of the initramfs."""
        words = (f"bh.root=/dev/nvme0n1 bh.test={','.join(self.words)} bh.end={self.end} {self.kernel_words}")
        image = medium(words, self.hv_words)
        devices = (machine.nvme(debian_root.debian_root(), throw_away=True) + machine.USB + machine.NET
                   + self.devices)
        with machine.Machine(self.name, image, self.kind, self.smp, self.mem, devices, limit=self.limit) as vm:
            self._converse(vm, DEBIAN)
        self._check_faults(vm)

    def run(self):
        content = disk_content()
        words = (f"bh.test={','.join(self.words)} bh.cpus={self.smp} bh.mem=900 bh.end={self.end} "
                 f"bh.disk.sum={hashlib.sha256(content).hexdigest()} {self.kernel_words}")
        image = medium(words, self.hv_words, framebuffer=self.framebuffer)
        with tempfile.TemporaryDirectory(prefix="bulkhead-") as place:
            self.nvme_image = machine.data_disk(place, content)
            os.mkdir(os.path.join(place, "ahci"))
            ahci_image = machine.data_disk(os.path.join(place, "ahci"), content)
            devices = (machine.nvme(self.nvme_image) + machine.ahci_disk(ahci_image) + machine.EDU + machine.USB
                       + machine.NET + self.devices)
            with machine.Machine(self.name, image, self.kind, self.smp, self.mem, devices,
                                 limit=self.limit) as vm:
                self._converse(vm)
                self._check_disks(vm, {"nvme": self.nvme_image, "ahci": ahci_image})
        self._check_faults(vm)

    def _converse(self, vm, marker=r"^BULKHEAD-USERSPACE"):
        vm.when(rf"^{PROMPT}MOVE-TABLET\?", lambda vm, _: [vm.point(x, 9000) for x in (1000, 9000, 20000)])
        vm.when(rf"^{PROMPT}PRESS-KEY\?", lambda vm, _: vm.key("a"))
        vm.when(rf"^{PROMPT}LOOK-AT-DISPLAY\?", self._look)
        vm.when(rf"^{PROMPT}TYPE-LINE\?", self._type)
        vm.when(rf"^{PROMPT}MAIL\?", self._mail)
        vm.when(rf"^{PROMPT}TEST dma:", self._after_attack)
        vm.when(rf"^{PROMPT}WALK-TABLES\?", lambda vm, _: pagetables.check(self.stage, f"{self.name}.tables", vm))
        try:
            seen = vm.wait_for(marker)
            self.stage.ok(f"{self.name}.userspace", f"{vm.arrived(seen.start()):.1f} s")
            vm.wait_for(rf"^{PROMPT}TESTS-DONE")
            reason = vm.wait_exit(180)
            wanted = {"poweroff": "guest-shutdown"}.get(self.end, "guest-reset")
            if reason == wanted:
                self.stage.ok(f"{self.name}.{self.end}", f"after {vm.arrived(len(vm.text)):.0f} s")
            else:
                self.stage.fail(f"{self.name}.{self.end}", f"the machine stopped by {reason}", vm.tail())
        except (machine.Timeout, machine.Exited) as problem:
            vm.save_screen_quietly(os.path.join(machine.LOGS, f"{self.name}.png"))
            self.stage.fail(f"{self.name}.run", str(problem), vm.tail())
        self._results(vm)

    def _results(self, vm):
        results = {m[1]: (m[2] == "ok", m[3], m.start())
                   for m in re.finditer(RESULT, vm.text, re.M)}
        for word in self.words:
            name = f"{self.name}.{word}"
            if word not in results:
                self.stage.fail(name, "no result line")
            elif results[word][0]:
                self.stage.ok(name, f"{results[word][1]} [{vm.arrived(results[word][2]):.0f} s]")
            else:
                self.stage.fail(name, results[word][1], self._around(vm, word))
        if self.smp > 1 and HYPERVISOR == "bulkhead":
            agree = re.search(rf"SMP: {self.smp} CPUs online, and their clocks agree$", vm.text, re.M)
            (self.stage.ok if agree else self.stage.fail)(f"{self.name}.clocks", "" if agree else "not said to agree")
        if "console" in self.words and HYPERVISOR == "bulkhead":
            if re.search(r"^\(BH\) key 'q': domains", vm.text, re.M):
                self.stage.ok(f"{self.name}.debug-keys")
            else:
                self.stage.fail(f"{self.name}.debug-keys", "the hypervisor's list of keys was not seen")

        if "tables" in self.words and HYPERVISOR == "bulkhead":
            found = re.search(PROTECTIONS, vm.text, re.M)
            if found:
                self.stage.ok(f"{self.name}.protections", found[1])
            else:
                self.stage.fail(f"{self.name}.protections", "the boot line does not name what this CPU has")

    @staticmethod
    def _around(vm, word):
        found = re.search(rf"^{PROMPT}TEST {word}:.*$", vm.text, re.M)
        return tail(vm.text[:found.end()], 15)

    def _type(self, vm, _match):
        """A line for dom0; on Bulkhead the key of the help before, behind three times Ctrl-A, and three again."""
        if HYPERVISOR == "bulkhead":
            vm.send("\1\1\1h\1\1\1")
        # Dom0 has got the two before the switch; Ctrl-U forgets them.
        vm.send("\x15the quick brown fox\n")

    def _look(self, vm, _match):
        """Dom0 has painted the whole frame buffer in one colour."""
        width, height, pixels = vm.screen()
        painted = sum(pixels[i:i + 3] == bytes(COLOUR) for i in range(0, len(pixels), 3 * 97))
        share = painted / (len(pixels) // (3 * 97))
        vm.save_screen(os.path.join(machine.LOGS, f"{self.name}.png"))
        if share > 0.95:
            self.stage.ok(f"{self.name}.picture", f"{width}x{height}")
        else:
            self.stage.fail(f"{self.name}.picture", f"{share:.0%} of the display has the colour painted")

    def _mail(self, vm, _match):
        """Says what the edu device shall attack: memory of the machine that dom0 does not have.

        The hypervisor's image is attacked by reading only: where it lies low, dom0 may have memory of its own at
        the same (guest-physical) address, and writing there would be dom0's right."""
        found = re.search(IMAGE_LINE[HYPERVISOR], vm.text)
        if not found:
            self.stage.fail(f"{self.name}.dma-target", "the hypervisor did not say where its image is")
        base = int(found[1], 16) if found else 0
        reads = [base + 0x1000, base + 0x20000, BEYOND_DOM0]
        self.attacks = {target: vm.physical(target, 2048) for target in reads}
        text = "".join(f"read {target:#x}\n" for target in reads) + f"write {BEYOND_DOM0:#x}\n"
        fd = os.open(self.nvme_image, os.O_WRONLY)
        os.pwrite(fd, text.encode(), MAIL_OFFSET)
        os.close(fd)

    def _after_attack(self, vm, _match):
        for target, before in self.attacks.items():
            name = f"{self.name}.dma-read-{target:x}"
            got = re.search(rf"^DMA-GOT {target:#x} ([0-9a-f]+)$", vm.text, re.M)
            if not got:
                self.stage.fail(name, "no attack was seen")
            elif any(before[:32]) and bytes.fromhex(got[1]) == before[:32]:
                self.stage.fail(name, "the device read what is there")
            else:
                self.stage.ok(name)
        name = f"{self.name}.dma-write"
        if not re.search(r"^DMA-WROTE", vm.text, re.M):
            self.stage.fail(name, "no attack was seen")
        elif set(vm.physical(BEYOND_DOM0, 2048)) == {0xA5}:
            self.stage.fail(name, "the device overwrote memory that is not dom0's")
        else:
            self.stage.ok(name)

    def _check_disks(self, vm, images):
        """What dom0 says it wrote is what the disk has."""
        vm.kill()
        for found in re.finditer(r"^DISK-WROTE (\w+) ([0-9a-f]+)$", vm.text, re.M):
            with open(images[found[1]], "rb") as f:
                f.seek(DISK_MIB << 20)
                have = hashlib.sha256(f.read(8 << 20)).hexdigest()
            # The file system test writes elsewhere on the same disk.
            if have == found[2]:
                self.stage.ok(f"{self.name}.{found[1]}-content")
            else:
                self.stage.fail(f"{self.name}.{found[1]}-content", "the image does not have what dom0 wrote")

    def _check_faults(self, vm):
        with open(vm.log_path, encoding="latin-1") as f:
            log = f.read()
        if self.attacks:
            faults = re.findall(rf"^.*(?:{DMA_FAULT[HYPERVISOR]}).*$", vm.text, re.M)
            if faults:
                self.stage.ok(f"{self.name}.dma-reported", faults[-1])
            elif vm.iommu == "amdvi":
                # It takes the event log for full whatever is in it (amdvi_test_mask() has OR for AND).
                self.stage.skip(f"{self.name}.dma-reported", "QEMU 7.2 never writes an event of AMD-Vi")
            else:
                self.stage.fail(f"{self.name}.dma-reported", "no fault is on the hypervisor's console")
        bad = [m[0] for m in re.finditer(BAD_LINES[HYPERVISOR], vm.text, re.M)]
        if not self.attacks:
            bad += [m[0] for m in EMULATOR_FAULT.finditer(log)]
        else:
            bad = [line for line in bad if not re.search(DMA_FAULT[HYPERVISOR], line)]
        # What a check quotes has its place: tools say "panic:", too.
        bad = [line for line in bad if not re.match(rf"{PROMPT}(TEST [^:]+: ok|VALUE )", line)]
        if self.allowed:
            bad = [line for line in bad if not re.search(self.allowed, line)]
        if bad:
            self.stage.fail(f"{self.name}.no-faults", f"{len(bad)} bad lines", "\n".join(bad[:10]))
        else:
            self.stage.ok(f"{self.name}.no-faults")
