#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# The same work on Bulkhead and on stock Xen, counted in instructions (-icount shift=0: one is a nanosecond).
"""make bench: boot, round trips, size and memory; prints a ratio for each, and the goal that it is measured against."""
import gzip
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "tests"), HERE]

from gdb import Gdb  # noqa: E402
from images import debian, initramfs, iso  # noqa: E402
from system import guests, machine  # noqa: E402

OUT = os.environ.get("O", "build")
HYPERVISORS = ("bulkhead", "xen")
# Equal terms: console level, no scrubbing of what the firmware left, the same dom0 memory.
ARGS = {
    "bulkhead": "console=com1 com1=115200,8n1 loglvl=error guest_loglvl=error bootscrub=no dom0_mem=1024M",
    "xen": "console=com1 com1=115200,8n1 loglvl=error guest_loglvl=error bootscrub=0 dom0=pvh dom0_mem=1024M xsave=0",
}
KERNEL_ARGS = "console=hvc0 quiet"
HPET_ENABLE = "write_dword 0xfed00010 1"
HPET_COUNTER, HPET_NS = 0xFED000F0, 10
GOALS = {
    "boot to dom0": 0.5, "dom0 to userspace": 1.0, "hypercall": 0.8, "cpuid": 0.8, "event_to_self": 0.8,
    "self_ipi": 0.8, "timer": 0.8, "image bytes": 0.5, "memory_kib": 0.5,
    # Of guests; to build one is what of "xl create" is the hypervisor's.
    "guest_build": 0.6, "guest_destroy": 1.0, "guest_memory_kib": 0.7, "foreign_map_unmap": 0.8,
    "grant_map_unmap": 0.8, "grant_copy_4k": 0.8, "event_round_trip": 0.8,
}


def elf_number(data, offset, size):
    return int.from_bytes(data[offset:offset + size], "little")


def hypervisor_image(hypervisor):
    with gzip.open(debian.hypervisor(hypervisor)) as f:
        return f.read()


def elf_entry(data):
    """Physical entry point of an image as linked."""
    wide = data[4] == 2
    entry = elf_number(data, 24, 8 if wide else 4)
    phoff = elf_number(data, 32 if wide else 28, 8 if wide else 4)
    size, count = elf_number(data, 54 if wide else 42, 2), elf_number(data, 56 if wide else 44, 2)
    for i in range(count):
        at = phoff + i * size
        if elf_number(data, at, 4) != 1:
            continue
        vaddr, paddr = ((elf_number(data, at + 16, 8), elf_number(data, at + 24, 8)) if wide
                        else (elf_number(data, at + 8, 4), elf_number(data, at + 12, 4)))
        memsz = elf_number(data, at + (40 if wide else 20), 8 if wide else 4)
        if vaddr <= entry < vaddr + memsz:
            return entry - vaddr + paddr
    return entry


def pvh_entry(path):
    """Address in the note XEN_ELFNOTE_PHYS32_ENTRY (18)."""
    with open(path, "rb") as f:
        data = f.read()
    phoff, size, count = elf_number(data, 32, 8), elf_number(data, 54, 2), elf_number(data, 56, 2)
    for i in range(count):
        at = phoff + i * size
        if elf_number(data, at, 4) != 4:
            continue
        pos, end = elf_number(data, at + 8, 8), elf_number(data, at + 8, 8) + elf_number(data, at + 32, 8)
        while pos + 12 <= end:
            namesz, descsz, kind = (elf_number(data, pos + k, 4) for k in (0, 4, 8))
            desc = pos + 12 + (namesz + 3) // 4 * 4
            if data[pos + 12:pos + 12 + namesz].rstrip(b"\0") == b"Xen" and kind == 18:
                return elf_number(data, desc, descsz)
            pos = desc + (descsz + 3) // 4 * 4
    raise RuntimeError(f"{path} has no PVH note")


def medium(hypervisor, modules, extra="", last=()):
    return iso.iso(debian.hypervisor(hypervisor), f"{ARGS[hypervisor]} {extra}".strip(), modules,
                   before=["insmod memrw", HPET_ENABLE], last=last)


def clock(vm):
    """Emulated time in ticks, the HPET's counter: an access by the monitor costs the machine nothing."""
    text = vm.monitor(f"xp /1wx {HPET_COUNTER:#x}")
    return int(text.split(":")[1].split()[0], 16)


def load_base(hypervisor):
    """Where GRUB puts the image: at its address as linked, or where the image's own message says."""
    image = medium(hypervisor, boot_modules(), "loglvl=all")
    pattern = {"xen": r"image load base address: (0x[0-9a-f]+)\s", "bulkhead": r"loaded by .* at (0x[0-9a-f]+),"}
    with machine.Machine(f"bench-base-{hypervisor}", image, "bios-vtd", 1, 4096, icount=True, limit=120) as vm:
        return int(vm.wait_for(pattern[hypervisor])[1], 16)


def boot_modules():
    return [(debian.kernel_elf(), KERNEL_ARGS), (initramfs.initramfs(), "")]


def measure_boot(hypervisor):
    offset, base = elf_entry(hypervisor_image(hypervisor)) - 0x200000, load_base(hypervisor)
    # GRUB places a relocatable image by what else it loads: some multiples of 2 MiB around.
    entries = [base + offset + (k << 21) for k in range(-40, 2) if base + (k << 21) >= 0x200000]
    dom0 = pvh_entry(debian.kernel_elf())
    with open("/bin/busybox", "rb") as f:
        user = elf_number(f.read(64), 24, 8)
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as place:
        stub = os.path.join(place, "gdb")
        extra = ["-gdb", f"unix:path={stub},server=on,wait=off"]
        # A breakpoint of a machine that has not run yet is sometimes forgotten by the emulator: set it when GRUB waits.
        image = medium(hypervisor, boot_modules(), last=["echo BENCH-READY", "sleep 1"])
        with machine.Machine(f"bench-boot-{hypervisor}", image, "bios-vtd", 1, 4096, extra, icount=True,
                             limit=900) as vm:
            vm.wait_for("^.*BENCH-READY")
            gdb = Gdb(stub)
            times = []
            for addresses in (entries, [dom0], [user]):
                gdb.run_to(addresses, 600, pump=lambda: vm._pump(0))
                times.append(clock(vm))
            gdb.close()
    spans = [((end - begin) & 0xFFFFFFFF) * HPET_NS for begin, end in zip(times, times[1:])]
    return {"boot to dom0": spans[0], "dom0 to userspace": spans[1]}


def measure_kernel(hypervisor, name):
    """What a kernel of bench/guests/ prints."""
    source, place = f"bench/guests/{name}.c", os.path.join(OUT, "bench")
    modules = [(os.path.join(place, f"{name}.elf"), "")]
    if guests.declared(source, "guests"):
        modules.append((guests.guests_module(source, place), ""))
    with machine.Machine(f"bench-{name}-{hypervisor}", medium(hypervisor, modules), "bios-vtd", 1, 4096,
                         icount=True, limit=600) as vm:
        vm.wait_for(r"^GUEST-(DONE|STOPPED)")
        return {m[1]: int(m[2]) for m in re.finditer(r"^BENCH (\w+) (\d+)", vm.text, re.M)}


def main():
    results = {}
    for hypervisor in HYPERVISORS:
        results[hypervisor] = {"image bytes": os.path.getsize(debian.hypervisor(hypervisor))}
        results[hypervisor].update(measure_kernel(hypervisor, "roundtrips"))
        results[hypervisor].update(measure_kernel(hypervisor, "guests"))
        results[hypervisor].update(measure_boot(hypervisor))
    print(f"{'':20} {'Bulkhead':>14} {'Xen 4.17':>14} {'ratio':>7} {'goal':>6}")
    missed = 0
    for name, goal in GOALS.items():
        ours, theirs = (results[h].get(name) for h in HYPERVISORS)
        if not ours or not theirs:
            print(f"{name:20} {ours or '-':>14} {theirs or '-':>14}   not measured")
            missed += 1
            continue
        good = ours / theirs <= goal
        missed += not good
        print(f"{name:20} {ours:14,} {theirs:14,} {ours / theirs:7.3f} {goal:6} {'' if good else 'missed'}")
    print(f"bench: {len(GOALS) - missed} of {len(GOALS)} goals reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
