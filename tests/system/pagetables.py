# SPDX-License-Identifier: GPL-2.0-or-later
# Looks at the page tables of the running hypervisor from outside: W^X, supervisor only, and of guest memory only what the
# hypervisor's own list of long-lived mappings and this CPU's windows account for.
import os
import re
import subprocess

from . import machine, structures

PATTERN = b"BULKHEAD-GUEST-FRAME"
# Guest frames that may be mapped: the enumerated long-lived ones, and windows of the moment.
GUEST_FRAMES_MAX = 8
TRIES = 400
PAGE = 4096
LINE = re.compile(r"^([0-9a-f]{16}): ([0-9a-f]{16}) (\S{9})$", re.M)


class Mapping:
    """One line of "info tlb": the flags are X(no execution) G P(large) D A C T U W, or a dash each."""

    def __init__(self, match):
        self.virtual, self.physical = int(match[1], 16), int(match[2], 16)
        flags = match[3]
        self.executable, self.large = flags[0] == "-", flags[2] == "P"
        self.user, self.writable = flags[7] == "U", flags[8] == "W"
        self.text = match[0]


def registers(vm, cpu):
    text = vm.monitor("info registers", cpu)
    return {name: int(re.search(rf"\b{name}=([0-9a-f]+)", text)[1], 16) for name in ("RIP", "CR3", "CR4")}


def stop_in_hypervisor(vm, cpu, low, high):
    """Stops the machine at a moment when the CPU runs the hypervisor; returns whether that was met."""
    for _ in range(TRIES):
        vm.command_qmp("stop")
        if low <= registers(vm, cpu)["RIP"] < high:
            return True
        vm.command_qmp("cont")
    return False


def mapped(vm, cpu):
    """All mappings of the CPU's present page tables, with the size of each."""
    found = [Mapping(m) for m in LINE.finditer(vm.monitor("info tlb", cpu).replace("\r", ""))]
    for m in found:
        # "info tlb" does not tell 1G from 2M pages: of a 1G page the first 2M are looked at.
        m.size = PAGE if not m.large else 2 << 20
    return found


def physical_runs(vm, mappings):
    """Runs (start, end) of mapped physical memory. Device memory is left out: it may react to being read."""
    hole = range(min(vm.mem << 20, 2 << 30), 4 << 30)
    runs = []
    for start, size in sorted({(m.physical, m.size) for m in mappings if m.physical not in hole}):
        if runs and start <= runs[-1][1]:
            runs[-1][1] = max(runs[-1][1], start + size)
        else:
            runs.append([start, start + size])
    return runs


def guest_frames(vm, mappings):
    """Physical addresses of mapped pages that begin with the guest's pattern."""
    hits = []
    for start, end in physical_runs(vm, mappings):
        data = vm.physical(start, end - start)
        hits += [start + at for at in range(0, end - start, PAGE) if data.startswith(PATTERN, at)]
    return hits


class Frames:
    """Descriptors of machine frames: whose is what is mapped? And the mappings that there are to be (gmap.h)."""

    PAGING = "hypervisor/arch/x86/include/arch/paging.h"
    DESCRIPTOR = 16

    def __init__(self, vm, mappings):
        self.layout = structures.Layout("hypervisor/arch/x86/gmap.c", "hypervisor/common/page_owner.c")
        self.page_states = structures.enumerators("hypervisor/include/bulkhead/mm.h", "page_state")
        self.kinds = structures.enumerators("hypervisor/include/bulkhead/gmap.h", "gmap_kind")["GMAP_KINDS"]
        self.memory = structures.Memory(vm, [(m.virtual, m.physical, m.size) for m in mappings])
        self.table, self.window, slots = structures.constants(self.PAGING, "FRAME_TABLE_BASE", "WINDOW_BASE",
                                                              "WINDOW_SLOTS")
        self.window_end = self.window + slots * PAGE
        self.domains_at, count_at = structures.symbols("domain_list", "frame_count")
        self.count = self.memory.number(count_at)
        self.states = {}

    def load(self, start, end):
        """States of the frames of a run of physical memory."""
        first, last = start // PAGE, min(end // PAGE, self.count)
        if first >= last:
            return
        data = self.memory.read(self.table + first * self.DESCRIPTOR, (last - first) * self.DESCRIPTOR)
        at = self.layout.offset("page", "state")
        for n in range(first, last):
            self.states[n] = data[(n - first) * self.DESCRIPTOR + at]

    def gmaps(self):
        """{virtual address: (frame, kind)} of all domains."""
        offset, memory, found = self.layout.offset, self.memory, {}
        for domain in memory.list(self.domains_at):
            head = domain - offset("domain", "link") + offset("domain", "gmaps")
            for link in memory.list(head):
                gmap = link - offset("gmap", "link")
                found[memory.number(gmap + offset("gmap", "ptr"))] = (
                    memory.number(gmap + offset("gmap", "mfn")), memory.number(gmap + offset("gmap", "kind"), 4))
        return found

    def problems(self, mappings):
        """Mappings of frames that are not the hypervisor's, without a reason; how many have one."""
        value, gmaps, found, reasons = self.page_states, self.gmaps(), [], 0
        own = {value["PAGE_HEAP"], value["PAGE_OFFLINE"], value["PAGE_ABSENT"]}
        names = {number: name for name, number in value.items()}
        for start, end in physical_runs(self.memory.vm, mappings):
            self.load(start, end)
        for m in mappings:
            for at in range(0, m.size, PAGE):
                state = self.states.get((m.physical + at) // PAGE, value["PAGE_ABSENT"])
                virtual, frame = m.virtual + at, (m.physical + at) // PAGE
                if state in own or self.window <= virtual < self.window_end:
                    continue
                mapped_frame, kind = gmaps.get(virtual, (None, None))
                if mapped_frame == frame and kind < self.kinds and not m.executable and \
                        state in (value["PAGE_DOMAIN"], value["PAGE_SPECIAL"]):
                    reasons += 1
                else:
                    found.append(f"{virtual:016x}: frame 0x{frame:x} is {names[state]}, without a gmap")
        if reasons != len(gmaps):
            found.append(f"{len(gmaps)} gmaps, but {reasons} of them are mapped")
        return found, reasons


def check_cpu(stage, name, vm, cpu, bounds):
    if not stop_in_hypervisor(vm, cpu, *bounds):
        stage.fail(name, f"CPU {cpu} was never met inside the hypervisor")
        return
    mappings = mapped(vm, cpu)
    with open(os.path.join(machine.LOGS, f"{vm.name}.cpu{cpu}.tlb"), "w", encoding="ascii") as f:
        f.writelines(m.text + "\n" for m in mappings)
    both = [m.text for m in mappings if m.writable and m.executable]
    user = [m.text for m in mappings if m.user]
    code = [m for m in mappings if m.executable]
    hits = guest_frames(vm, mappings)
    unexplained, gmaps = Frames(vm, mappings).problems(mappings) if mappings else ([], 0)
    vm.command_qmp("cont")
    if not mappings or not code:
        stage.fail(name, f"{len(mappings)} mappings, {len(code)} executable: the walk saw nothing")
    elif both:
        stage.fail(name, f"{len(both)} pages are writable and executable", "\n".join(both[:10]))
    elif user:
        stage.fail(name, f"{len(user)} pages are accessible to user mode", "\n".join(user[:10]))
    elif unexplained:
        stage.fail(name, f"{len(unexplained)} mappings of frames that are not the hypervisor's",
                   "\n".join(unexplained[:10]))
    elif not gmaps:
        stage.fail(name, "no gmap was found, and dom0 has its shared_info at least: the walk saw nothing")
    elif len(hits) > GUEST_FRAMES_MAX:
        stage.fail(name, f"{len(hits)} pages of the guest are mapped", "\n".join(map(hex, hits[:10])))
    else:
        size = sum(end - start for start, end in physical_runs(vm, mappings)) >> 10
        stage.ok(name, f"{size} KiB of memory, {len(code)} executable pages, {gmaps} gmaps, nothing else of the guest's")


def pattern_is_there(vm):
    """The positive control: somewhere in the machine's memory are many pages of the pattern, or else the walk would prove
    nothing."""
    step, hits = 256 << 20, 0
    low = min(vm.mem << 20, 2 << 30)
    for start in [*range(4 << 30, (4 << 30) + (vm.mem << 20) - low, step), *range(0, low, step)]:
        hits += vm.physical(start, step).count(PATTERN)
        if hits > 1000:
            return True
    return False


def check(stage, name, vm):
    """Every CPU in turn: the root tables differ."""
    bounds = image_bounds()
    # The guest waits for some seconds of its own time, which does not pass meanwhile.
    vm.command_qmp("stop")
    if not pattern_is_there(vm):
        stage.fail(name, "the guest's pattern is nowhere in memory")
    vm.command_qmp("cont")
    for cpu in range(vm.smp):
        check_cpu(stage, f"{name}-cpu{cpu}", vm, cpu, bounds)


def image_bounds():
    """The virtual addresses of the hypervisor's text."""
    elf = os.path.join(os.environ.get("O", "build"), "bulkhead.elf")
    out = subprocess.run(["readelf", "-SW", elf], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"\]\s+\.text\s+\S+\s+([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)", out)
    start = int(found[1], 16)
    return start, start + int(found[2], 16)
