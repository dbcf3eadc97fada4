# SPDX-License-Identifier: GPL-2.0-or-later
# The system tests. Each is a function with @test; one boot may report many results.
from harness.report import build_hypervisor
from . import errors, guests
from .boot import HYPERVISOR, Dom0Boot
from .domains import DomainsBoot

TESTS = {}
SOAK_CYCLES = 200


def test(function):
    TESTS[function.__name__.replace("_", "-")] = function
    return function


# Stock Xen does not move a BAR of dom0 while it is mapped, and has a direct map of all memory.
XEN_CANNOT = ("rescan", "tables")
ALL_WORDS = """cpus mem memfill xen clock rtc nvme ahci ext4 net usb keyboard console display rescan dma idle stress
    tables dmesg""".split()


def words(text):
    """Words of one boot, without what stock Xen cannot do."""
    every = text if isinstance(text, list) else text.split()
    return [w for w in every if HYPERVISOR != "xen" or w not in XEN_CANNOT]


@test
def bios_vtd(stage, name):
    Dom0Boot(stage, name, "bios-vtd", words=words(ALL_WORDS)).run()


@test
def bios_vtd_smp2(stage, name):
    Dom0Boot(stage, name, "bios-vtd", smp=2,
             words=words("cpus mem clock nvme ext4 net smp hotplug stress idle tables dmesg")).run()


@test
def bios_amdvi(stage, name):
    Dom0Boot(stage, name, "bios-amdvi", words=words("cpus xen clock nvme ahci net intx usb display dma dmesg")).run()


@test
def uefi_vtd(stage, name):
    Dom0Boot(stage, name, "uefi-vtd", words=words("cpus mem xen clock rtc nvme ahci net intx usb display dma dmesg")).run()


@test
def bios_vtd_smp4(stage, name):
    Dom0Boot(stage, name, "bios-vtd", smp=4, words=words("cpus nvme smp dmesg")).run()


@test
def reboot(stage, name):
    Dom0Boot(stage, name, "bios-vtd", words=words("cpus"), end="reboot").run()


@test
def crash(stage, name):
    """A dom0 whose kernel panics: the hypervisor says so, and resets the machine."""
    boot = Dom0Boot(stage, name, "bios-vtd", words=words("cpus"), end="crash", allowed=r"dom0 has crashed|Kernel panic")
    boot.run()


@test
def debian(stage, name):
    Dom0Boot(stage, name, "bios-vtd", words="units root lspci lsusb display net xl xldmesg dmesg".split()).run_debian()


@test
def domains(stage, name):
    DomainsBoot(stage, name).run()


def soak(stage, options):
    """Boots of the full root in a row on two CPUs; every one has to reach its end."""
    if not build_hypervisor(stage, HYPERVISOR):
        return
    DomainsBoot(stage, "soak-domains", ["cycles", "dump_core"], kernel_words=f"bh.cycles={SOAK_CYCLES}", limit=4 * 3600).run()
    for number in range(1, options.soak_boots + 1):
        Dom0Boot(stage, f"soak-{number}", "bios-vtd", smp=2, words=["units", "root"]).run_debian()
    guests.soak(stage, options)


def run(stage, _options):
    if not build_hypervisor(stage, HYPERVISOR):
        return
    every = dict(TESTS, **({} if HYPERVISOR == "xen" else errors.TESTS))
    for name, function in every.items():
        if stage.wanted(name):
            try:
                function(stage, name)
            except Exception as problem:  # one broken test must not hide the others
                import traceback
                stage.fail(name, f"{type(problem).__name__}: {problem}", traceback.format_exc())
