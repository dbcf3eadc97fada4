# SPDX-License-Identifier: GPL-2.0-or-later
# The desktop: dom0's image with its session, and qubes of the template whose windows stand on its screen.
import os
import re
import time

from harness.report import build_hypervisor, make, tail
from templates import images
from . import machine
from .boot import HYPERVISOR, Dom0Boot, medium
from .shell import KERNEL_WORDS, Shell, ShellError

LIMIT = 1200
MEMORY_MIB = 6144
# What the tables of a desktop's qubes need; the hypervisor's limits are lower.
GRANTS = "gnttab_max_frames=1024 gnttab_max_maptrack_frames=4096"
NEEDS = ["tools", "qubesdb", "qrexec", "desktop", "gui"]
# The colours of labels, as gui/common/label.c has them.
COLOURS = {"work": (0x34, 0x65, 0xA4), "personal": (0x73, 0xD2, 0x16), "untrusted": (0xCC, 0, 0)}
# A frame has at least so many pixels of its colour; nothing else on the screen has these colours.
FRAME_PIXELS = 1500


def devices():
    """The disks of dom0 and of the template, and a pointer that is where the screen shows it."""
    return (machine.nvme(images.dom0_root(), throw_away=True) + machine.nvme(images.qube_root("desktop"), "nvme1", throw_away=True)
            + machine.USB)


def boot_medium(words=""):
    return medium(f"bh.root=/dev/nvme0n1 {KERNEL_WORDS}", f"{GRANTS} {words}".strip())


class DesktopBoot(Dom0Boot):
    """One boot; each step is a result of its own, and what follows from a failed one is not tried."""

    def __init__(self, stage, name):
        super().__init__(stage, name, mem=MEMORY_MIB, limit=LIMIT)
        self.vm = self.shell = None

    def run(self):
        good, out = make(*NEEDS)
        if not good:
            self.stage.fail(f"{self.name}.build", "does not build", tail(out, 30))
            return
        with machine.Machine(self.name, boot_medium(), self.kind, 1, self.mem, devices(), limit=self.limit, shell=True) as vm:
            self.vm, self.shell = vm, Shell(vm)
            for step in (self.step_session, self.step_qubes, self.step_windows, self.step_call, self.step_disposable,
                         self.step_shutdown):
                if not self._step(step):
                    break
            self.shell.close()
        self._check_faults(vm)

    def _step(self, step):
        name, begun = f"{self.name}.{step.__name__.removeprefix('step_')}", time.monotonic()
        try:
            note = step() or ""
        except (ShellError, machine.Timeout, machine.Exited) as problem:
            self._picture("failed")
            self.stage.fail(name, str(problem), self.vm.tail())
            return False
        self.stage.ok(name, f"{note} {time.monotonic() - begun:.0f} s")
        return True

    def _picture(self, name):
        self.vm.save_screen_quietly(os.path.join(machine.LOGS, f"{self.name}-{name}.png"))

    def _count(self, colour):
        """Pixels of the screen that have exactly this colour."""
        _, _, pixels = self.vm.screen()
        return len(re.findall(re.escape(bytes(colour)), pixels))

    def step_session(self):
        """Dom0 comes up to a screen with a session, without a login."""
        self.shell.login(self.limit)
        self.shell.until("test -e /run/qubes/session/user", self.limit)
        failed = self.shell.sh("systemctl --failed --no-legend --plain")
        if failed:
            raise ShellError(f"units failed: {failed}")
        self._picture("session")

    def step_qubes(self):
        """Three qubes of one template."""
        self.shell.sh("for q in work personal untrusted; do qube start $q & done; wait", self.limit)
        states = self.shell.sh("qube ls")
        for name in COLOURS:
            if not re.search(rf"^{name} +Running ", states, re.M):
                raise ShellError(f"{name} does not run: {states}")

    def step_windows(self):
        """A program of each shows its window in the frame of its colour."""
        before = {name: self._count(colour) for name, colour in COLOURS.items()}
        self.shell.sh("for q in work personal untrusted; do qvm-run --gui $q 'xterm >/dev/null 2>&1 &' & done; wait", self.limit)
        end = time.monotonic() + self.limit
        for name, colour in COLOURS.items():
            while self._count(colour) < before[name] + FRAME_PIXELS:
                self.shell.sh("sleep 1")
                if time.monotonic() > end:
                    raise ShellError(f"no window in the colour of {name}")
        self._picture("windows")

    def step_call(self):
        """A call from qube to qube, which nobody allows but the policy."""
        self.shell.sh("mkdir -p /run/qubes/policy.d; echo 'qubes.Filecopy * work personal allow' >/run/qubes/policy.d/10-test.policy")
        self.shell.sh("qvm-run -p work 'echo from-work >letter && qvm-copy-to-vm personal letter'", self.limit)
        text = self.shell.sh("qvm-run -p personal 'cat QubesIncoming/work/letter'", self.limit)
        if text != "from-work":
            raise ShellError(f"the copy is {text!r}")

    def step_disposable(self):
        """A command in a disposable, which is gone afterwards."""
        out = self.shell.sh("qvm-run -p --dispvm=dvm 'cat /proc/sys/kernel/hostname'", self.limit)
        if not out.startswith("disp"):
            raise ShellError(f"it is called {out!r}")
        if "disp" in self.shell.sh("xl list"):
            raise ShellError("it is still there")

    def step_shutdown(self):
        """From within dom0: the qubes first."""
        self.shell.sh("for q in work personal untrusted; do qube shutdown $q & done; wait", self.limit)
        domains = self.shell.sh("xl list | awk 'NR > 1 { print $1 }'")
        if domains != "Domain-0":
            raise ShellError(f"domains are left: {domains}")
        self.shell.send("systemctl poweroff")
        reason = self.vm.wait_exit(self.limit)
        if reason != "guest-shutdown":
            raise ShellError(f"the machine stopped by {reason}")


def run(stage, _options):
    """The stage: one boot."""
    if build_hypervisor(stage, HYPERVISOR):
        DesktopBoot(stage, "desktop").run()
