# SPDX-License-Identifier: GPL-2.0-or-later
# A disk as "make disk" writes it: it boots by itself with either firmware, and what qubes write stays.
import os

from harness.report import build_hypervisor, make, tail
from images import cache
from templates.disk import installed
from . import machine
from .boot import HYPERVISOR
from .desktop import CALL, LIMIT, MEMORY_LEAST_MIB, NEEDS, START
from .shell import KERNEL_WORDS, Shell, ShellError

# The boots, one after the other, of the same disk; each finds what the one before it has left.
FIRST, SECOND = "bios-vtd", "uefi-vtd"


class DiskBoot:
    def __init__(self, stage, kind, path):
        self.stage, self.kind, self.path = stage, kind, path
        self.vm = self.shell = None

    def run(self, act):
        """Whether the machine came to its desktop, act() succeeded, and the machine ended as it was told."""
        name = f"disk.{self.kind}"
        devices = machine.nvme(self.path) + machine.USB
        with machine.Machine(name, None, self.kind, 1, MEMORY_LEAST_MIB, devices, icount=True, limit=LIMIT, shell=True) as vm:
            self.vm, self.shell = vm, Shell(vm)
            try:
                self.shell.login()
                self.shell.until("test -e /run/qubes/session/user", START)
                note = act(self.shell)
                self.shell.send("systemctl poweroff")
                reason = vm.wait_exit(LIMIT)
                if reason != "guest-shutdown":
                    raise ShellError(f"the machine stopped by {reason}")
            except (ShellError, machine.Timeout, machine.Exited) as problem:
                vm.save_screen_quietly(os.path.join(machine.LOGS, f"{name}.png"))
                self.stage.fail(name, str(problem), vm.tail())
                return False
            finally:
                self.shell.close()
        self.stage.ok(name, note)
        return True


def sound(shell):
    """What has to be true of either boot."""
    failed = shell.sh("systemctl --failed --no-legend --plain")
    if failed:
        raise ShellError(f"units failed: {failed}")
    options = shell.sh("findmnt -n -o OPTIONS /")
    if not options.startswith("rw"):
        raise ShellError(f"the root is mounted {options}")


def write(shell):
    """A file in a qube, and a qube of one's own."""
    sound(shell)
    shell.sh("qube create mine AppVM template=debian label=yellow")
    begun = shell.vm.instructions()
    shell.sh(f"timeout {CALL} qvm-run -p work 'echo from-the-first-boot >kept'")
    return f"first call in a cold qube after {(shell.vm.instructions() - begun) / 1e9:.1f}e9 instructions"


def read(shell):
    """Both are still there."""
    sound(shell)
    if "mine" not in shell.sh("qube ls").split():
        raise ShellError("the new qube is gone")
    text = shell.sh(f"timeout {CALL} qvm-run -p work 'cat kept'")
    if text != "from-the-first-boot":
        raise ShellError(f"the file in the private volume is {text!r}")
    return "the file and the qube of the first boot are there"


def run(stage, _options):
    if not stage.wanted("disk") or not build_hypervisor(stage, HYPERVISOR):
        return
    good, out = make(*NEEDS)
    if not good:
        stage.fail("disk.build", "does not build", tail(out, 30))
        return
    path = os.path.join(cache.OUT, "check-disk.img")
    try:
        if os.path.exists(path):
            os.unlink(path)
        # As it is shipped, but for the shell that the test speaks to.
        installed.make_disk(path, HYPERVISOR, words=KERNEL_WORDS)
    except RuntimeError as problem:
        stage.fail("disk.make", "the disk cannot be made", tail(str(problem), 30))
        return
    stage.ok("disk.make", f"{os.stat(path).st_blocks >> 11} MiB of {os.path.getsize(path) >> 20} are written")
    if DiskBoot(stage, FIRST, path).run(write) and DiskBoot(stage, SECOND, path).run(read):
        os.unlink(path)
