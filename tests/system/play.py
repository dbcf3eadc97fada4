#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# "make run": boots the desktop on the user's screen, or for a VNC viewer. "make run-console": a Debian dom0 with the serial
# console on the terminal (Ctrl-a x ends, Ctrl-a c: monitor).
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.dirname(os.path.dirname(HERE))]
os.chdir(os.path.dirname(os.path.dirname(HERE)))

from images import cache, debian, debian_root, initramfs, progress  # noqa: E402
from system import boot, desktop, machine, play_times  # noqa: E402
from system.play_screenshot import MONITOR  # noqa: E402
from templates.disk import installed  # noqa: E402

# What the emulator has besides the machine's memory: translated code, mostly.
HOST_MIB = 400


def make_command(more):
    targets = ["tools", *more] + (["hypervisor"] if boot.HYPERVISOR == "bulkhead" else [])
    return [os.environ.get("MAKE", "make"), f"O={cache.OUT}", f"-j{os.cpu_count()}", *targets]


def build(steps):
    """Runs the named steps with progress; returns their results by name."""
    made = {}
    for number, (name, work) in enumerate(steps, 1):
        try:
            with progress.Stage(number, len(steps), name):
                made[name] = work()
        except cache.NeedsRoot:
            build_as_root()
            made[name] = work()
    return made


def build_as_root():
    """What only root can build, by this program started through sudo; it is ours afterwards."""
    if not shutil.which("sudo") or not os.geteuid():
        raise RuntimeError("the file systems of Debian can only be built by root: run this as root, or install sudo")
    again = ["env", f"O={cache.OUT}", f"HYPERVISOR={boot.HYPERVISOR}", sys.executable, "-B", *sys.argv, "--images"]
    prompt = "sudo password of %u, to build the file systems of Debian: "
    for command in (again, ["chown", "-R", f"{os.getuid()}:{os.getgid()}", cache.OUT]):
        if subprocess.run(["sudo", "-p", prompt, *command], check=False).returncode:
            raise RuntimeError("sudo could not build the file systems: run this as root")


def need_memory(mebibytes):
    """The machine's memory has to be there: a host that swaps is of no use to it."""
    with open("/proc/meminfo", encoding="ascii") as f:
        available = int(re.search(r"^MemAvailable: *(\d+) kB$", f.read(), re.M)[1]) >> 10
    if available < mebibytes + HOST_MIB:
        raise RuntimeError(f"not enough memory: the machine has {mebibytes} MiB, the emulator takes {HOST_MIB} MiB more, and {available} MiB "
                           "are available here. End other programs, or give it less: make run RUN_ARGS='--mem 4096' (at least 4096 for "
                           "two or three qubes).")


def free_display():
    """A number of a VNC display that nobody on this host has."""
    for number in range(1, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", 5900 + number))
                return number
            except OSError:
                continue
    raise RuntimeError("no free port for VNC from 5901 on")


def find_display():
    """(QEMU's -display, how to look)."""
    have = subprocess.run(["qemu-system-x86_64", "-display", "help"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
                          text=True).stdout.split()
    if "gtk" in have and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "gtk", "the screen is in QEMU's window"
    number = free_display()
    return f"vnc=127.0.0.1:{number}", (f"look with a VNC viewer at 127.0.0.1:{5900 + number} (from another machine: "
                                       f"ssh -L {5900 + number}:127.0.0.1:{5900 + number} …)")


# The stages of the desktop.
PROGRAMS, ROOTS, DISK = "hypervisor, tools and desktop", "template of qubes, dom0", "disk"


def make_disk(options):
    """Builds what is to be on a disk, and the disk."""
    images = [("kernel", debian.kernel_elf), (ROOTS, desktop.devices)]
    if options.images:
        build(images)
        sys.exit(0)
    if os.path.exists(options.disk):
        raise RuntimeError(f"{options.disk} is there already, and what is on it is kept: name another file, DISK=FILE, or remove it")
    build([(PROGRAMS, lambda: progress.run_make(make_command(desktop.NEEDS))), *images,
           (DISK, lambda: installed.make_disk(options.disk, boot.HYPERVISOR))])
    print(f"{options.disk}: a disk with GRUB for BIOS and UEFI, the hypervisor, dom0 and the template of its qubes. "
          f"\"make run DISK={options.disk}\"\nboots it in an emulator.")


def built(options):
    """Builds the desktop; returns (boot medium, disks and pointer)."""
    images = [("kernel", debian.kernel_elf), ("initramfs", initramfs.initramfs), (ROOTS, desktop.devices)]
    if options.images:
        build(images)
        sys.exit(0)
    made = build([(PROGRAMS, lambda: progress.run_make(make_command(desktop.NEEDS))), *images,
                  ("boot medium", lambda: desktop.boot_medium(options.words))])
    return made["boot medium"], made[ROOTS]


def play_desktop(options):
    memory = options.mem or desktop.MEMORY_MIB
    need_memory(memory)
    if options.disk and not os.path.exists(options.disk):
        make_disk(options)
    medium, devices = (None, machine.nvme(options.disk) + machine.USB) if options.disk else built(options)
    stays = f"What is written stays on {options.disk}." if options.disk else "Nothing that was written to the disks stays."
    display, look = (options.display, f"the screen is at {options.display}") if options.display else find_display()
    vm = machine.Machine("run", medium, options.machine, options.smp, memory, devices)
    if os.path.exists(MONITOR):
        os.unlink(MONITOR)
    monitor = ["-chardev", f"socket,id=qmp0,path={MONITOR},server=on,wait=off", "-mon", "chardev=qmp0,mode=control"]
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as place:
        watcher = play_times.Watcher(place, lambda text: print(f"\r\n[make run: {text}]\r", flush=True))
        command = vm.command(place, serial=["-serial", "mon:stdio", *monitor, *watcher.arguments()], display=display)
        print(f"The desktop boots now: {look}.\n"
              "It takes some minutes without hardware virtualisation. A click on the background, or the panel's button Qubes,\n"
              "opens the menu. \"make screenshot\" in another terminal writes a picture. This terminal is dom0's console: log in as\n"
              f"root, without a password; Ctrl-A X ends the emulator. {stays}\n", flush=True)
        watcher.start()
        return os.spawnvp(os.P_WAIT, command[0], command)


def play_console(options):
    devices = machine.USB + machine.NET + machine.EDU
    images = [] if options.kernel else [("kernel", debian.kernel_elf), ("initramfs", initramfs.initramfs),
                                        ("root file system", debian_root.debian_root)]
    if options.images:
        build(images)
        return 0
    steps = [("hypervisor and tools", lambda: progress.run_make(make_command([]))), *images]
    steps.append(("boot medium", lambda: boot.medium("bh.root=/dev/nvme0n1", options.words,
                                                     modules=[(options.kernel, "")] if options.kernel else None)))
    made = build(steps)
    if not options.kernel:
        devices += machine.nvme(made["root file system"], throw_away=True)
    vm = machine.Machine("run", made["boot medium"], options.machine, options.smp, options.mem or 4096, devices)
    with tempfile.TemporaryDirectory(prefix="bulkhead-") as place:
        command = vm.command(place, serial=["-serial", "mon:stdio"], display=options.display or "none")
        print("A Debian dom0 boots now (about half a minute): log in as root, without a password.\n"
              "Ctrl-A X ends the emulator, Ctrl-A C is its monitor, Ctrl-A Ctrl-A is a Ctrl-A for the machine.\n", flush=True)
        return os.spawnvp(os.P_WAIT, command[0], command)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--console", action="store_true", help="a Debian dom0 without a desktop")
    parser.add_argument("--machine", default="bios-vtd", help="bios-vtd, uefi-vtd, bios-amdvi, …")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--mem", type=int, help="MiB")
    parser.add_argument("--display", help="QEMU's -display: gtk, none, vnc=:1, …")
    parser.add_argument("--words", default="", help="more words for the hypervisor's command line")
    parser.add_argument("--kernel", help="with --console: an ELF to boot in place of Debian's kernel")
    parser.add_argument("--disk", metavar="FILE", help="boot from this disk alone, and keep what is written to it; made if it is not there")
    parser.add_argument("--make-disk", action="store_true", help="make it, and no more")
    parser.add_argument("--images", action="store_true", help="build the images, and no more")
    options = parser.parse_args()
    if options.make_disk:
        sys.exit(make_disk(options))
    sys.exit(play_console(options) if options.console or options.kernel else play_desktop(options))


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, OSError) as problem:
        sys.exit(f"make {'disk' if '--make-disk' in sys.argv else 'run'}: {problem}")
    except KeyboardInterrupt:
        sys.exit("make run: interrupted")
