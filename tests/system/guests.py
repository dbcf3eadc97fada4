# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the bare-metal test kernels as dom0 and compares what they print with the oracle's record.
import glob
import os
import re
import struct
import time

from harness.report import OUT, build_hypervisor, make, tail
from . import machine, oracle
from .boot import BAD_LINES, HYPERVISOR, medium

PLACES = ("tests/guests", "tests/guests/x86_32")
# Seeds that the run of every day does not use.
SOAK_FIRST, SOAK_SEEDS = 1000, 20
LINES = re.compile(r"^(RESULT (\w+): (ok|FAIL.*)|VALUE (.*))$", re.M)


def names():
    return sorted(os.path.basename(s)[:-2] for place in PLACES for s in glob.glob(f"{place}/*.c"))


def source_of(name):
    found, = (path for place in PLACES for path in glob.glob(f"{place}/{name}.c"))
    return found


def declared(source, what):
    """The words behind "// what:" in the first ten lines of the test kernel's source."""
    with open(source, encoding="ascii") as f:
        for line, _ in zip(f, range(10)):
            if line.startswith(f"// {what}:"):
                return line.split(":", 1)[1].split()
    return []


def guests_module(source, place):
    """The guests that a test kernel builds, one behind the other: as tests/guests/lib/builder.c reads them."""
    path = os.path.join(place, os.path.basename(source)[:-2] + ".guests")
    with open(path, "wb") as f:
        for guest in declared(source, "guests"):
            with open(os.path.join(place, "domu", f"{guest}.elf"), "rb") as elf:
                data = elf.read()
            f.write(struct.pack("<8s24sQ24x", b"BHGUEST", guest.encode(), len(data)))
            f.write(data + bytes(-len(data) % 64))
    return path


def machine_options(name):
    return dict(word.partition("=")[::2] for word in declared(source_of(name), "machine"))


def hypervisor_words(name):
    options = machine_options(name)
    return f"dom0_max_vcpus={options['vcpus']}" if "vcpus" in options else ""


def boot(name, words="guest-words", limit=300, smp=None):
    """Runs one test kernel; returns (its lines, the machine, the problem or None)."""
    source, place = source_of(name), os.path.join(OUT, "guests")
    modules = [(os.path.join(place, f"{name}.elf"), words)]
    if declared(source, "guests"):
        modules.append((guests_module(source, place), ""))
    options = machine_options(name)
    image = medium("", hypervisor_words(name), modules=modules, dom0_mem="256M")
    problem = None
    label = f"guest-{name}" + (f"-smp{smp}" if smp else "")
    with machine.Machine(label, image, "bios-vtd", smp or int(options.get("smp", 1)), 2048, machine.EDU,
                         icount="icount" in options, limit=limit) as vm:
        try:
            vm.wait_for("^GUEST-START")
            vm.wait_for("^GUEST-(DONE|STOPPED)")
            reason = vm.wait_exit(120)
            if reason != "guest-reset":
                problem = f"the machine stopped by {reason}"
        except (machine.Timeout, machine.Exited) as stop:
            problem = str(stop)
    if not problem and "GUEST-STOPPED" in vm.text:
        problem = "the test kernel met a fault"
    if not problem:
        bad = re.search(BAD_LINES[HYPERVISOR], vm.text, re.M)
        problem = bad and f"bad line: {bad[0]}"
    return [m for m in LINES.finditer(vm.text)], vm, problem


def compare(stage, name, lines):
    record = oracle.recorded(name)
    if record is None:
        stage.fail(f"{name}.oracle", "nothing is recorded: run make oracle")
        return
    known = oracle.differences()
    values = {m[4] for m in lines if m[4] is not None}
    for line in record:
        found = LINES.match(line)
        if found[4] is not None and found[4] not in values:
            word = " ".join(found[4].split()[:2]).rstrip(":")
            if not oracle.is_known(known, name, word):
                ours = [v for v in values if v.split()[:2] == found[4].split()[:2]]
                stage.fail(f"{name}.value", f"the oracle has '{found[4]}', here it is '{'; '.join(ours)}'")
    seen = {m[2] for m in lines if m[2]}
    for line in record:
        found = LINES.match(line)
        if found[2] and found[2] not in seen:
            stage.fail(f"{name}.{found[2]}", "no result line, but the oracle has one")
        elif found[2] and found[3] != "ok" and f"{name} {found[2]}" not in known:
            stage.fail(f"{name}.{found[2]}", f"the oracle fails here, and differences.txt does not say why: {line}")


def run(stage, options):
    # A kernel that stock Xen cannot run is not run there, and has no record.
    ours_only = {key.split()[0] for key in oracle.differences() if key.endswith(" *")}
    wanted = [n for n in names() if stage.wanted(n) and not (HYPERVISOR == "xen" and n in ours_only)]
    if not build_hypervisor(stage, HYPERVISOR):
        return
    good, output = make("guest-programs", keep_going=True)
    if not good:
        stage.fail("build", "the test kernels do not build", tail(output))
        return
    for name in wanted:
        run_one(stage, options, name, name in ours_only)


def run_one(stage, options, name, ours_only):
    lines, vm, problem = boot(name)
    if problem:
        stage.fail(f"{name}.run", problem, vm.tail(25))
    known = oracle.differences()
    passed = 0
    for m in lines:
        if m[2] and m[3] == "ok":
            passed += 1
        elif m[2] and not (HYPERVISOR == "xen" and f"{name} {m[2]}" in known):
            stage.fail(f"{name}.{m[2]}", m[3])
    if passed:
        stage.ok(name, f"{passed} tests", count=passed)
    elif not problem:
        stage.fail(f"{name}.run", "no result line", vm.tail())
    if options.record and not problem:
        words = f"bios-vtd, -smp {machine_options(name).get('smp', 1)}, 2048 MiB, dom0_mem=256M {hypervisor_words(name)}".rstrip()
        oracle.write(name, words, [m[0] for m in lines])
    elif not options.record and not ours_only:
        compare(stage, name, lines)


def soak(stage, options):
    """Hostile guests for so many minutes, each batch with seeds of its own; on one CPU and on two, in turn."""
    good, output = make("guest-programs", keep_going=True)
    if not good:
        stage.fail("build", "the test kernels do not build", tail(output))
        return
    end, first = time.monotonic() + 60 * options.soak_minutes, SOAK_FIRST
    while time.monotonic() < end:
        smp = 1 + first // SOAK_SEEDS % 2
        lines, vm, problem = boot("hostile", f"first={first} seeds={SOAK_SEEDS} actions=20000", limit=3600, smp=smp)
        failed = [m[3] for m in lines if m[2] and m[3] != "ok"]
        if problem or failed or not lines:
            stage.fail(f"hostile-{first}", problem or "; ".join(failed) or "no result line", vm.tail())
            return
        stage.ok(f"hostile-{first}", f"{SOAK_SEEDS} guests")
        first += SOAK_SEEDS
