# SPDX-License-Identifier: GPL-2.0-or-later
# Boots that must fail, each with one clear message on the console, a named backtrace where it is a panic, and a
# reset in order: never a triple fault, never silence.
import os
import re

from harness.report import OUT
from images import debian
from images.cache import cached, digest, run
from . import machine
from .boot import medium

WITHOUT_SVM = machine.CPUS["none"].replace("max,", "max,-svm,")
WITHOUT_NPT = machine.CPUS["none"].replace("max,", "max,-npt,")
# Seconds after which a machine counts as hung: far beyond what a loaded host takes.
LIMIT = 300
# Said before the reset; a triple fault has no time for it.
IN_ORDER = r"rebooting in \d+ seconds"


def kernel():
    """A small dom0 kernel that boots and ends at once."""
    return os.path.join(OUT, "guests/abi.elf")


def without_note():
    return cached("no-note", ".elf", digest(open_bytes(kernel())), lambda out: run(["objcopy", "--remove-section=.notes", kernel(), out]))


def open_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def cut_short():
    """The first part of an ELF: its headers point behind the end."""
    data = open_bytes(kernel())[:4096 + 512]

    def build(out):
        with open(out, "wb") as f:
            f.write(data)
    return cached("cut-short", ".elf", digest(data), build)


def refused(stage, name, message, kind="bios-vtd", modules=None, mem=2048, cpu=None, dom0_mem="256M", hv_words=""):
    """Boots and expects the message, a backtrace with names, and a reset."""
    if modules is None:
        modules = [(kernel(), "guest-words")]
    image = medium("", hv_words, dom0_mem=dom0_mem, modules=modules)
    with machine.Machine(name, image, kind, 1, mem, cpu=cpu, limit=LIMIT) as vm:
        try:
            found = vm.wait_for(message)
            vm.wait_for(IN_ORDER, start=found.start())
            reason = vm.wait_exit(LIMIT)
        except (machine.Timeout, machine.Exited) as problem:
            stage.fail(name, str(problem), vm.tail(25))
            return
    lines = re.findall(r"^.*PANIC.*$", vm.text, re.M)
    if reason != "guest-reset":
        stage.fail(name, f"the machine stopped by {reason}", vm.tail(15))
    elif len(lines) != 1:
        stage.fail(name, f"{len(lines)} panics", "\n".join(lines))
    elif "backtrace" in vm.text and not re.search(r"[0-9a-f]{16} \w+\+0x[0-9a-f]+", vm.text):
        stage.fail(name, "the backtrace has no names", vm.tail(15))
    else:
        stage.ok(name, lines[0].split(": ", 1)[-1])


def accepted(stage, name, message, hv_words):
    """Boots, expects the message, and runs to the end all the same."""
    image = medium("", hv_words, dom0_mem="256M", modules=[(kernel(), "guest-words")])
    with machine.Machine(name, image, "bios-vtd", 1, 2048, limit=LIMIT) as vm:
        try:
            found = vm.wait_for(message)
            vm.wait_for("^GUEST-DONE")
            vm.wait_exit(LIMIT)
        except (machine.Timeout, machine.Exited) as problem:
            stage.fail(name, str(problem), vm.tail(25))
            return
    stage.ok(name, found[0])


def no_iommu(stage, name):
    refused(stage, name, r"no IOMMU", kind="bios-none")


def no_svm(stage, name):
    refused(stage, name, r"PANIC.*(SVM|virtuali[sz]ation)", cpu=WITHOUT_SVM)


def no_npt(stage, name):
    refused(stage, name, r"PANIC.*nested paging", cpu=WITHOUT_NPT)


def no_module(stage, name):
    refused(stage, name, r"PANIC.*no dom0 kernel", modules=[])


def bzimage(stage, name):
    refused(stage, name, r"PANIC.*bzImage", modules=[(debian.kernel_bzimage(), "")])


def no_note(stage, name):
    refused(stage, name, r"PANIC.*(note|PVH)", modules=[(without_note(), "")])


def truncated(stage, name):
    refused(stage, name, r"PANIC.*dom0 kernel", modules=[(cut_short(), "")])


def not_elf(stage, name):
    refused(stage, name, r"PANIC.*ELF", modules=[(os.path.abspath("LICENSE"), "")])


def little_memory(stage, name):
    refused(stage, name, r"PANIC.*too little memory", mem=32, dom0_mem="")


def little_dom0_memory(stage, name):
    refused(stage, name, r"PANIC.*dom0_mem", dom0_mem="2M")


def unknown_parameter(stage, name):
    accepted(stage, name, r"^.*[Uu]nknown.*nonsense.*$", "nonsense=17")


def bad_value(stage, name):
    accepted(stage, name, r"^.*loglvl=nonsense.*(no effect|ignored).*$", "loglvl=nonsense")


def machine_check(stage, name):
    """An uncorrected error on a CPU that sleeps: the reason is said, by that CPU, before the reset in order."""
    image = medium("", "", dom0_mem="256M", modules=[(kernel(), "guest-words")])
    with machine.Machine(name, image, "bios-vtd", 2, 2048, limit=LIMIT) as vm:
        try:
            vm.wait_for("SMP: 2 CPUs online")
            # Dom0 has not begun: the other CPU waits for it.
            vm.command_qmp("stop")
            vm.monitor("mce 1 2 0xb600000000000136 0x4 0x12345000 0")
            vm.command_qmp("cont")
            found = vm.wait_for(r"PANIC on CPU 1: *machine check: bank 2, status b600000000000136, address 0*12345000\b")
            vm.wait_for(IN_ORDER, start=found.start())
            reason = vm.wait_exit(LIMIT)
        except (machine.Timeout, machine.Exited) as problem:
            stage.fail(name, str(problem), vm.tail(25))
            return
    if reason == "guest-reset":
        stage.ok(name, found[0])
    else:
        stage.fail(name, f"the machine stopped by {reason}", vm.tail(15))


def text_on_screen(vm):
    """None, or why the display does not show lines of text: of the 16 pixels of each row some are lit, never many."""
    width, height, pixels = vm.screen()
    background = pixels[-3:]
    rows = [pixels[y * width * 3:(y + 1) * width * 3] for y in range(height)]
    lit = [sum(row[x:x + 3] != background for x in range(0, len(row), 3)) for row in rows]
    lines = [max(lit[y:y + 16]) for y in range(0, height - 15, 16)]
    written = sum(0 < n < width // 2 for n in lines)
    if (width, height) == (720, 400) or written < 10 or written < sum(n > 0 for n in lines):
        return f"{width}x{height}, {written} of {len(lines)} lines look like text"
    return None


def noreboot(stage, name):
    """With noreboot the machine stays, with the reason on its consoles: here the second port, and the frame buffer."""
    image = medium("", "noreboot console=com2,vga com2=115200,8n1", dom0_mem="256M", modules=[], framebuffer=True)
    with machine.Machine(name, image, "bios-vtd", 1, 2048, limit=LIMIT, port=2) as vm:
        try:
            found = vm.wait_for(r"halted \(noreboot\)")
        except (machine.Timeout, machine.Exited) as problem:
            stage.fail(name, str(problem), vm.tail(25))
            return
        try:
            stage.fail(name, f"the machine stopped by {vm.wait_exit(8)}")
        except machine.Timeout:
            stage.ok(name, found[0])
        vm.save_screen(os.path.join(machine.LOGS, f"{name}.png"))
        problem = text_on_screen(vm)
        if problem:
            stage.fail(f"{name}.display", problem)
        else:
            stage.ok(f"{name}.display")


TESTS = {f"error-{f.__name__.replace('_', '-')}": f for f in (
    no_iommu, no_svm, no_npt, no_module, bzimage, no_note, truncated, not_elf, little_memory, little_dom0_memory,
    unknown_parameter, bad_value, machine_check, noreboot)}
