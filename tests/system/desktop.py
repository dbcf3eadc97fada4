# SPDX-License-Identifier: GPL-2.0-or-later
# The desktop: dom0's image with its session, and qubes of the template whose windows stand on its screen.
import hashlib
import os
import re
import shlex
import time

from harness.report import build_hypervisor, make, tail
from templates import images
from . import machine
from .boot import HYPERVISOR, Dom0Boot, medium
from .qmp import QmpError
from .screen import Screen
from .shell import KERNEL_WORDS, Shell, ShellError

# Against a machine that hangs; everything else is limited by the machine's own clock.
LIMIT = 2400
MEMORY_MIB = 6144
# The least that is promised to be enough.
MEMORY_LEAST_MIB = 4096
# What the tables of a desktop's qubes need; the hypervisor's limits are lower.
GRANTS = "gnttab_max_frames=1024 gnttab_max_maptrack_frames=4096"
NEEDS = ["tools", "qubesdb", "qrexec", "desktop", "gui"]
# The colours of labels, as gui/common/label.c has them.
COLOURS = {"work": (0x34, 0x65, 0xA4), "personal": (0x73, 0xD2, 0x16), "untrusted": (0xCC, 0, 0)}
# Seconds of the machine's clock: how long a start may take, and a call; and what a hand needs for each of its moves.
START, CALL, HAND = 300, 900, 0.5
# A terminal shows nothing but this word, line by line.
WORD = "from-work-4711"
# Small ones, so that they stand beside each other.
XTERM = "xterm -geometry 46x10 -fa Mono"
COPIED = f"{XTERM} -xrm '*selectToClipboard: true' -e 'yes {WORD} | head -n 60; exec sleep 100000'"
PASTED = f"{XTERM} -xrm '*selectToClipboard: true' -e 'read -r line; echo \"$line\" >pasted; exec sleep 100000'"
# What has to be true in a qube of the template, for a program that a call has started as the user.
IN_TEMPLATE = """
    [ "$(id -un)" = user ]
    [ "$(cat /sys/module/xen_gntalloc/parameters/limit)" = 262144 ]
    [ -w /dev/xen/gntalloc ] && [ -w /dev/xen/gntdev ] && [ -w /dev/xen/evtchn ]
    [ -S "$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY" ] && [ -n "$DISPLAY" ] && [ -n "$DBUS_SESSION_BUS_ADDRESS" ]
    [ -d /lib/modules/$(uname -r) ]
    [ "$(findmnt -n -o FSTYPE /)" = overlay ] && [ "$(cat /sys/block/xvda/ro)" = 1 ]
    [ "$(findmnt -n -o SOURCE /rw)" = /dev/xvdb ]
    [ "$(ls /sys/class/net)" = lo ]
    command -v xterm mousepad pcmanfm xpdf >/dev/null
    ! systemctl --failed --no-legend --plain | grep .
    ! systemctl --user --failed --no-legend --plain | grep .
""".strip().splitlines()
# What a program of each qube paints: so many blocks of so many cells, each in a colour that its qube and its place decide; and how it
# calls itself, as if it were dom0.
BLOCKS, ROWS, BLOCK_CELLS, BLOCK_LINES = 8, 4, 5, 2
CELL, ORIGIN = (6, 13), (5, 5)
PAINTER = f"xterm -geometry {BLOCKS * BLOCK_CELLS}x{ROWS * BLOCK_LINES} -fa Mono -T dom0"
# A terminal's 256 colours have a cube of these levels, from number 16 on.
CUBE, CUBE_FIRST = (0, 95, 135, 175, 215, 255), 16
# How much the colour of a line of a list changes at least when it is chosen, and not only under the pointer.
CHOSEN = 100
# The panel's button, from the lower left corner; how wide the square of a running qube is in the menu; which of the template's
# applications is xterm, from 0.
BUTTON, SQUARE, APPLICATION = (38, 15), (12, 18), 4
# Points in these windows, from their frame's corner: the first character of the third line, what follows its word, a part of this
# word, the first line without its first character.
WORD_BEGIN, WORD_END, BESIDE, FIRST_LINE = (7, 36), (5 + len(WORD) * 6 + 2, 36), (40, 31), (15, 5)


def devices():
    """The disks of dom0 and of the template, and a pointer that is where the screen shows it."""
    dom0, template = images.desktop()
    return machine.nvme(dom0, throw_away=True) + machine.nvme(template, "nvme1", throw_away=True) + machine.USB


def boot_medium(words=""):
    return medium(f"bh.root=/dev/nvme0n1 {KERNEL_WORDS}", f"{GRANTS} {words}".strip())


class DesktopBoot(Dom0Boot):
    """One boot; each step is a result of its own, and what follows from a failed one is not tried."""

    # In emulated time, as the time limits of the toolstack and of systemd are, whatever else the host does.
    STEPS = "session cold windows warm menu template pictures prompt paste disposable list memory shutdown".split()

    def __init__(self, stage, name, **options):
        super().__init__(stage, name, mem=MEMORY_LEAST_MIB, limit=LIMIT, **options)
        self.vm = self.shell = self.screen = None
        # Some of them, for a look at one: what builds on others needs these, too.
        self.steps = [step for step in self.STEPS if stage.wanted(step)]

    def run(self):
        if not self.steps:
            return
        good, out = make(*NEEDS)
        if not good:
            self.stage.fail(f"{self.name}.build", "does not build", tail(out, 30))
            return
        try:
            disks, iso = devices(), boot_medium()
        except RuntimeError as problem:
            self.stage.fail(f"{self.name}.images", "the images cannot be built", tail(str(problem), 30))
            return
        with machine.Machine(self.name, iso, self.kind, 1, self.mem, disks, icount=True, limit=self.limit, shell=True) as vm:
            self.vm, self.shell = vm, Shell(vm)
            self.screen = Screen(vm, lambda: self.shell.pause(HAND))
            for step in self.steps:
                if not self._step(step):
                    break
            self.shell.close()
        self._check_faults(vm)

    def _step(self, step):
        name, begun, executed = f"{self.name}.{step}", time.monotonic(), self.vm.instructions()
        try:
            note = getattr(self, f"step_{step}")() or ""
        except (ShellError, QmpError, machine.Timeout, machine.Exited) as problem:
            self._picture("failed")
            self.stage.fail(name, str(problem), self.vm.tail())
            return False
        if not note and self.vm.process.poll() is None:
            note = self._cost(begun, executed)
        self.stage.ok(name, note)
        return True

    def _cost(self, begun, executed):
        """Since when: seconds of the host, and instructions of the machine."""
        return f"{time.monotonic() - begun:.0f} s, {(self.vm.instructions() - executed) / 1e9:.1f}e9 instructions"

    def _picture(self, name):
        self.vm.save_screen_quietly(os.path.join(machine.LOGS, f"{self.name}-{name}.png"))

    def _wait(self, what, look, seconds=300):
        """The first true value of look(); the machine runs meanwhile, for so long by its own clock."""
        for _ in range(seconds * 2):
            found = look()
            if found:
                return found
            self.shell.pause(0.5)
        raise machine.Timeout(f"no {what} in {seconds} s of the machine's clock")

    def _windows(self, name, count):
        """Frames of the qube's colour, of which there have to be so many."""
        return self._wait(f"{count} windows in the colour of {name}", lambda: self._exactly(COLOURS[name], count))

    def _exactly(self, colour, count):
        frames = self.screen.frames(colour)
        return frames if len(frames) == count else None

    def _background(self, command):
        """Starts a command; _finished() waits for it."""
        self.shell.sh(f"rm -f /run/bg.*; ({command}; echo $? >/run/bg.code.new; mv /run/bg.code.new /run/bg.code) >/run/bg.out 2>&1 </dev/null &")

    def _finished(self):
        """(exit code, output) of the command in the background."""
        code = int(self.shell.until("cat /run/bg.code", CALL))
        return code, self.shell.sh("cat /run/bg.out")

    def step_session(self):
        """Dom0 comes up to a screen with a session, without a login."""
        self.shell.login()
        self.shell.until("test -e /run/qubes/session/user", START)
        self._wait("panel", self.screen.has_panel)
        note = self._cost(self.vm.begun, 0)
        failed = self.shell.sh("systemctl --failed --no-legend --plain")
        if failed:
            raise ShellError(f"units failed: {failed}")
        self._picture("session")
        return f"power-on to desktop {note}"

    def _first_window(self, name, count, command):
        begun, executed = time.monotonic(), self.vm.instructions()
        self._background(command)
        frames = self._windows(name, count)
        note = self._cost(begun, executed)
        # The new one has the keyboard.
        self._wait("active window", lambda: any(map(self.screen.is_active, frames)))
        return note

    def step_cold(self):
        """From a qube that does not run to its window."""
        note = self._first_window("work", 1, f"qvm-run --gui work {shlex.quote(COPIED)}")
        return f"command to first window {note}"

    def step_windows(self):
        """Two more of the same template, each in the frame of its colour."""
        self.shell.sh(f"qvm-run --gui personal {shlex.quote(PASTED)} & qvm-run --gui untrusted '{XTERM}' & wait")
        for name in COLOURS:
            self._windows(name, 1)
        self._picture("windows")

    def step_warm(self):
        """A further window of a running qube; it goes when its program ends."""
        note = self._first_window("work", 2, f"qvm-run -p work '{XTERM} -e \"read line\"'")
        self.vm.key("ret")
        code, out = self._finished()
        if code:
            raise ShellError(f"exit code {code}: {out}")
        self._windows("work", 1)
        return f"command to window {note}"

    def step_menu(self):
        """The panel's menu starts a program in a qube; the user does it, not root."""
        _, height, _ = self.vm.screen()
        self.screen.click(BUTTON[0], height - BUTTON[1])
        # A qube that runs has a full square of its colour there.
        square = self._wait("work in the menu", lambda: self.screen.block(COLOURS["work"], *SQUARE))
        self._picture("menu")
        self.screen.click(square.x + 40, square.centre()[1])
        self._wait("menu of applications", lambda: self._menus() == 2)
        for key in ("right", *["down"] * APPLICATION, "ret"):
            self.vm.key(key)
            self.shell.pause(HAND)
        frames = self._windows("work", 2)
        self._wait("active window", lambda: any(map(self.screen.is_active, frames)))
        self.vm.key("alt", "f4")
        self._windows("work", 1)

    def _menus(self):
        """How many menus are open: their windows, by their class and their place."""
        return len(re.findall(r'"Qube-menu"\) +\d{3,}x\d{2,}\+', self._x("xwininfo -root -tree")))

    def step_template(self):
        """What the template promises to programs."""
        script = "; ".join(f"({line.strip()}) || echo {shlex.quote(line.strip())}" for line in IN_TEMPLATE)
        wrong = self.shell.sh(f"qvm-run -p --gui work {shlex.quote(script)}")
        if wrong:
            raise ShellError(f"not so: {wrong}")
        return f"{len(IN_TEMPLATE)} things are so"

    @staticmethod
    def _palette(name):
        """Colour numbers of the blocks that the qube's program paints."""
        return [CUBE_FIRST + number % len(CUBE) ** 3 for number in hashlib.sha256(name.encode()).digest()[:BLOCKS * ROWS]]

    def _painter(self, name):
        """Command for a qube: a window in these colours, until a key is pressed in it."""
        numbers = self._palette(name)
        rows = [" ".join(map(str, numbers[at:at + BLOCKS])) for at in range(0, len(numbers), BLOCKS)]
        # The last line has no end, or the terminal would scroll.
        script = (f"row() {{ printf \"$end\"; for c; do printf '\\033[48;5;%sm{' ' * BLOCK_CELLS}' $c; done; end='\\n'; }}; printf '\\033[?25l'; "
                  + "; ".join(f"row {row}" for row in rows for _ in range(BLOCK_LINES)) + "; read line")
        return f"{PAINTER} -e {shlex.quote(script)}"

    def step_pictures(self):
        """Title, frame and content of a window of each qube: what the qube painted is on the screen, and nothing of what it must not do."""
        self._background(" & ".join(f"qvm-run -p {name} {shlex.quote(self._painter(name))}" for name in COLOURS) + " & wait")
        frames = {name: self._painted(name) for name in COLOURS}
        self._picture("pictures")
        widths = {name: self._wait("title", lambda frame=frame: self.screen.title_width(frame)) for name, frame in frames.items()}
        # What is before the qube's own words is its name.
        if sorted(widths.values()) != [widths[name] for name in sorted(widths, key=len)] or len(set(widths.values())) != len(widths):
            raise ShellError(f"the titles are so wide: {widths}")
        for name, frame in frames.items():
            self._activate(frame)
            self.vm.key("ret")
            self._windows(name, 1)
        code, out = self._finished()
        if code:
            raise ShellError(f"exit code {code}: {out}")
        return f"{len(frames)} titles, frames, and {len(frames) * BLOCKS * ROWS * 4} points"

    def _painted(self, name):
        """The frame of the window that the qube's program has painted, once it looks so."""
        title = f"[{name}] dom0"
        ask = f"xwininfo -name {shlex.quote(title)} && xprop -name {shlex.quote(title)} _QUBES_VMNAME _NET_WM_NAME"
        told = self._wait(f"window {title!r}", lambda: self._x(f"({ask}) 2>/dev/null || true"))
        if f'_NET_WM_NAME(UTF8_STRING) = "{title}"' not in told or f'_QUBES_VMNAME(STRING) = "{name}"' not in told:
            raise ShellError(f"the window of {name} is described as {told}")
        found = {key: int(value) for key, value in re.findall(r"(Absolute upper-left [XY]|Width|Height): +(\d+)", told)}
        box = found["Absolute upper-left X"], found["Absolute upper-left Y"], found["Width"], found["Height"]
        frame = self._wait(f"frame in the colour of {name} at {box}", lambda: next(
            (f for f in self.screen.frames(COLOURS[name]) if (f.x, f.y, f.width, f.height) == box), None))
        self._wait(f"colours of {name}", lambda: not self._wrong_points(name, frame))
        return frame

    def _wrong_points(self, name, frame):
        """Points of the content that have another colour than the qube's program painted: the corners of each block."""
        wrong = []
        width, height = BLOCK_CELLS * CELL[0], BLOCK_LINES * CELL[1]
        whole, _, pixels = self.vm.screen()
        for at, number in enumerate(self._palette(name)):
            cube = number - CUBE_FIRST
            colour = bytes((CUBE[cube // 36], CUBE[cube // 6 % 6], CUBE[cube % 6]))
            left, top = frame.x + ORIGIN[0] + at % BLOCKS * width, frame.y + ORIGIN[1] + at // BLOCKS * height
            for x, y in ((left, top), (left + width - 1, top), (left, top + height - 1), (left + width - 1, top + height - 1)):
                if pixels[(y * whole + x) * 3:][:3] != colour:
                    wrong.append((x, y))
        return wrong

    def step_prompt(self):
        """A copy between qubes is asked about: nothing is answered by accident; the pointer and the keyboard answer."""
        self._background("qvm-run -p work 'echo from-work >letter && qvm-copy letter'")
        # It arms itself only when nothing has been pressed for a while.
        self._armed(self._prompt())
        self._picture("prompt")
        swatch = self._wait("the line of personal", lambda: self.screen.block(COLOURS["personal"], 20, 60))
        at = swatch.x + swatch.width + 300, swatch.centre()[1]
        before = self.screen.pixel(*at)
        self.screen.click(swatch.x + swatch.width + 40, swatch.centre()[1])
        # Keys and clicks come by devices of their own: the line is chosen when it looks so.
        self._wait("chosen line", lambda: sum(abs(a - b) for a, b in zip(self.screen.pixel(*at), before)) > CHOSEN)
        self.vm.key("alt", "a")
        code, out = self._finished()
        if code:
            raise ShellError(f"exit code {code}: {out}")
        text = self.shell.sh("qvm-run -p personal 'cat QubesIncoming/work/letter'")
        if text != "from-work":
            raise ShellError(f"the copy is {text!r}")

    def _prompt(self):
        """The window of the question, by its number."""
        return self._wait("question", lambda: self._x("xwininfo -root -tree | awk '/Question of work/ { print $1; exit }'"))

    def _armed(self, window):
        self._wait("armed question", lambda: re.search(r"= 1,", self._x(f"xprop -id {window} _QREXEC_PROMPT_ARMED")))

    def _x(self, command):
        """Output of a command with dom0's screen."""
        return self.shell.sh(f"runuser -u user -- env DISPLAY=:0 sh -c {shlex.quote(command)}")

    def _activate(self, frame):
        """Keys are of another device than the pointer: they have to wait until its click has been seen."""
        self.screen.click_title(frame)
        self._wait("active window", lambda: self.screen.is_active(frame))

    def step_paste(self):
        """From the clipboard of one qube to dom0's, from there to another qube's, and from that into its program."""
        source, target = self._windows("work", 1)[0], self._windows("personal", 1)[0]
        self._activate(source)
        self.screen.drag(source.x + WORD_BEGIN[0], source.y + WORD_BEGIN[1], source.x + WORD_END[0], source.y + WORD_END[1])
        self._wait("selected word", lambda: self.screen.dark(source.x + BESIDE[0], source.y + BESIDE[1], 20, 10) > 0.4)
        self.vm.key("ctrl", "shift", "c")
        self.shell.until("test -s /run/qubes/qubes-clipboard.bin", 120)
        self._activate(target)
        self.vm.key("ctrl", "shift", "v")
        # The daemon forgets the text as soon as the other qube has it.
        self.shell.until("test ! -s /run/qubes/qubes-clipboard.bin", 120)
        self.vm.key("shift", "insert")
        self._wait("pasted word", lambda: self.screen.dark(target.x + FIRST_LINE[0], target.y + FIRST_LINE[1], 60, 10) > 0.05)
        self.vm.key("ret")
        self._picture("paste")
        text = self.shell.sh("qvm-run -p personal 'while [ ! -s pasted ]; do sleep 0.5; done; cat pasted'")
        if text != WORD:
            raise ShellError(f"pasted is {text!r}")

    def step_disposable(self):
        """A program in a disposable shows its window; its end is the disposable's."""
        others = int("windows" in self.steps)
        note = self._first_window("untrusted", others + 1, f"qvm-run -p --gui --dispvm=dvm 'hostname; {XTERM} -e \"read line\"; cat /etc/hostname'")
        self._picture("disposable")
        names = self.shell.sh("qube ls")
        self.vm.key("ret")
        code, out = self._finished()
        words = out.split()
        if code or len(words) != 2 or words[0] != words[1] or not re.fullmatch(r"disp\d+", words[0]):
            raise ShellError(f"exit code {code}, it is called {out!r}")
        if not re.search(rf"^{words[0]} +Running +DispVM ", names, re.M):
            raise ShellError(f"it was not in the list: {names}")
        if words[0] in self.shell.sh("xl list; qube ls"):
            raise ShellError("it is still there")
        self._windows("untrusted", others)
        return f"command to first window {note}"

    def step_list(self):
        """The manager's list is that of the toolstack, and dom0's memory and processor are as they were told."""
        running = {line.split()[-1]: line.split()[0] for line in self.shell.sh("qube ls").splitlines() if " Running " in line}
        domains = {line.split()[1]: line.split()[0] for line in self.shell.sh("xl list").splitlines()[2:]}
        if running != domains or "windows" in self.steps and sorted(domains.values()) != sorted(COLOURS):
            raise ShellError(f"the manager has {running}, the toolstack {domains}")
        return " ".join(sorted(domains.values()))

    def step_memory(self):
        """Who has how much of it."""
        used = "free -m | awk '/^Mem:/ { print $2 - $7 }'"
        dom0, work = self.shell.sh(used), self.shell.sh(f"qvm-run -p work {shlex.quote(used)}")
        rss = "ps -C {} -o rss= | awk '{{ sum += $1 }} END {{ print int(sum / 1024) }}'"
        daemons = self.shell.sh(rss.format("gui-daemon"))
        agent = self.shell.sh(f"qvm-run -p work {shlex.quote(rss.format('bulkhead-gui-ag,Xwayland'))}")
        total, free = (int(self.shell.sh(f"xl info | awk '/^{name}_memory/ {{ print $3 }}'")) for name in ("total", "free"))
        given = sum(int(line.split()[2]) for line in self.shell.sh("xl list").splitlines()[1:])
        return (f"dom0 uses {dom0} MiB, of which the daemons of windows {daemons}; work {work}, of which agent and Xwayland {agent}; "
                f"the hypervisor keeps {total - free - given} of {total}, {free} are free")

    def step_shutdown(self):
        """From within dom0: the qubes first."""
        self.shell.sh("for q in $(qube ls | awk '/ Running / { print $1 }'); do qube shutdown $q & done; wait")
        domains = self.shell.sh("xl list | awk 'NR > 1 { print $1 }'")
        if domains != "Domain-0":
            raise ShellError(f"domains are left: {domains}")
        self.shell.send("systemctl poweroff")
        reason = self.vm.wait_exit(self.limit)
        if reason != "guest-shutdown":
            raise ShellError(f"the machine stopped by {reason}")
        return f"the machine ran for {time.monotonic() - self.vm.begun:.0f} s"


def run(stage, _options):
    """The stage: one boot."""
    if build_hypervisor(stage, HYPERVISOR):
        DesktopBoot(stage, "desktop", kind=os.environ.get("MACHINE", "bios-vtd")).run()
