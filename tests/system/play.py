#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# "make run": boots the Debian dom0 with the serial console on the terminal (Ctrl-a x ends, Ctrl-a c: monitor).
import argparse
import os
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
os.chdir(os.path.dirname(os.path.dirname(HERE)))

from images import cache, debian, debian_root, initramfs, progress  # noqa: E402
from system import boot, machine  # noqa: E402


def make_command():
    targets = ["tools"] + (["hypervisor"] if boot.HYPERVISOR == "bulkhead" else [])
    return [os.environ.get("MAKE", "make"), f"O={cache.OUT}", f"-j{os.cpu_count()}", *targets]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--machine", default="bios-vtd", help="bios-vtd, uefi-vtd, bios-amdvi, …")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--mem", type=int, default=4096)
    parser.add_argument("--display", default="none", help="QEMU's -display: gtk, vnc=:1, …")
    parser.add_argument("--words", default="", help="more words for the hypervisor's command line")
    parser.add_argument("--kernel", help="an ELF to boot in place of Debian's kernel")
    options = parser.parse_args()

    devices = machine.USB + machine.NET + machine.EDU
    steps = [("hypervisor and tools", lambda: progress.run_make(make_command())),
             ("kernel", debian.kernel_elf), ("initramfs", initramfs.initramfs),
             ("root file system", debian_root.debian_root)]
    if options.kernel:
        del steps[1:]
    for number, (name, work) in enumerate(steps, 1):
        with progress.Stage(number, len(steps) + 1, name):
            made = work()
    if not options.kernel:
        devices += machine.nvme(made, throw_away=True)
    with progress.Stage(len(steps) + 1, len(steps) + 1, "boot medium"):
        image = boot.medium("bh.root=/dev/nvme0n1", options.words,
                            modules=[(options.kernel, "")] if options.kernel else None)
    vm = machine.Machine("run", image, options.machine, options.smp, options.mem, devices)
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as place:
        command = vm.command(place, serial=["-serial", "mon:stdio"], display=options.display)
        print("A Debian dom0 boots now (about half a minute): log in as root, without a password.\n"
              "Ctrl-A X ends the emulator, Ctrl-A C is its monitor, Ctrl-A Ctrl-A is a Ctrl-A for the machine.\n", flush=True)
        status = os.spawnvp(os.P_WAIT, command[0], command)
    sys.exit(status)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("make run: interrupted")
