# SPDX-License-Identifier: GPL-2.0-or-later
# Daemon and agent together, with programs that nobody here wrote: xterm, GTK 3, foot.
import os
import re
import signal
import subprocess
import tempfile

from .bed import LIMIT, wait_until
from .daemon_checks import FRAME, same
from .desktop import Picture

DARK = 0x102030  # the desktop
LIGHT = 0xfff2bfbf  # what is white in icons of a red qube


class Qube:
    """A daemon and an agent in which a command runs."""

    def __init__(self, bed, *command, name="work", label="red", domain=7, options=(), agent_options=(),
                 environment=None):
        self.bed = bed
        self.daemon = bed.daemon(name=name, label=label, domain=domain, connect=False, options=options)
        self.runtime = tempfile.mkdtemp(prefix="runtime-", dir=self.daemon.place)
        env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY",
                                                                 "DBUS_SESSION_BUS_ADDRESS")}
        env.update(XDG_RUNTIME_DIR=self.runtime, HOME=self.runtime, LANG="C.UTF-8", NO_AT_BRIDGE="1",
                   **(environment or {}))
        self.log = open(os.path.join(self.daemon.place, "agent.log"), "wb")
        self.agent = subprocess.Popen([os.path.abspath(bed.agent), "-u", f"local:{self.daemon.place}?domain={domain}",
                                       *agent_options, "--", *command],
                                      env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      start_new_session=True, cwd=self.runtime)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.bed.desktop.picture().save(os.path.join(self.bed.pictures, "end-to-end.png"))
            with open(self.log.name, encoding="utf-8", errors="replace") as f:
                print(f"{self.daemon.name}: exit codes {self.daemon.process.poll()}, {self.agent.poll()}\n"
                      f"{self.daemon.said()[-1000:]}\n{f.read()[-2000:]}", flush=True)
        try:
            os.killpg(self.agent.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        try:
            self.agent.wait(LIMIT)
        finally:
            self.log.close()

    def window(self, title):
        """A window that is shown, by its title without the prefix, moved to a known place and with the focus."""
        desktop = self.bed.desktop
        number = desktop.find(f"[{self.daemon.name}] {title}")
        desktop.until(lambda: "IsViewable" in desktop.run("xwininfo", "-id", number), f"{title} is not shown")
        return number

    def read(self, name):
        path = os.path.join(self.runtime, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()


def to_place(desktop, number, x, y):
    """Moves the window so that the qube's part of it begins there."""
    desktop.do("windowmove", number, x - FRAME, y - FRAME)
    desktop.until(lambda: desktop.geometry(number)[:2] == (x - FRAME, y - FRAME), f"{number} is not at {x},{y}")


def focus(desktop, number):
    desktop.do("windowactivate", "--sync", number)
    desktop.do("windowfocus", "--sync", number)


def xterm(bed):
    """Typing arrives with its modifiers, the colour is right, resizing gives the program another size."""
    with Qube(bed, "xterm", "-bg", "#004000", "-fg", "#ffffff", "-T", "term", "-geometry", "60x15", "-e",
              "sh", "-c", "stty -echo; head -1 >$HOME/typed; trap 'stty size >$HOME/size' WINCH; "
              "touch $HOME/ready; while :; do sleep 0.1; done") as qube:
        desktop = bed.desktop
        number = qube.window("term")
        to_place(desktop, number, 100, 100)
        desktop.await_pixel(300, 250, 0x004000)
        desktop.await_pixel(98, 150, qube.daemon.color)
        focus(desktop, number)
        desktop.do("type", "Hello, World 42!\n")
        wait_until(lambda: qube.read("typed"), "nothing was typed")
        same("typed", qube.read("typed"), "Hello, World 42!\n")
        wait_until(lambda: os.path.exists(os.path.join(qube.runtime, "ready")), "not ready")
        desktop.do("windowsize", number, 700, 500)
        wait_until(lambda: qube.read("size"), "the terminal has no new size")
        desktop.await_pixel(100 + 650, 100 + 450, 0x004000)
        rows, columns = map(int, qube.read("size").split())
        if not (rows > 20 and columns > 80):
            raise AssertionError(f"size {rows} x {columns}")


def xterm_menu(bed):
    """An X11 program's menu is where the pointer is, in a frame, and goes."""
    with Qube(bed, "xterm", "-bg", "#004000", "-T", "term", "-e", "sleep", "1000") as qube:
        desktop = bed.desktop
        number = qube.window("term")
        to_place(desktop, number, 200, 200)
        desktop.await_pixel(400, 400, 0x004000)
        focus(desktop, number)
        desktop.do("mousemove", 300, 300, "keydown", "ctrl", "mousedown", 1)
        popups = desktop.until(lambda: [w for w in desktop.run("xdotool", "search", "--class", "work").split()
                                        if w != number and w.isdigit() and "Override Redirect State: yes" in
                                        desktop.run("xwininfo", "-id", w)], "no menu")
        x, y, width, height = desktop.geometry(popups[0])
        if not (x <= 300 <= x + width and y <= 320 and y + height > 300):
            raise AssertionError(f"the menu is at {(x, y, width, height)}")
        desktop.await_pixel(x, y + height // 2, qube.daemon.color)
        desktop.await_pixel(x + width - 1, y + height // 2, qube.daemon.color)
        desktop.do("mousemove", 250, 210, "mouseup", 1, "keyup", "ctrl")
        desktop.await_pixel(400, 400, 0x004000)
        desktop.until(lambda: "IsViewable" not in desktop.run("xwininfo", "-id", popups[0]), "the menu stays")


def gtk(bed):
    """A GTK 3 program as a Wayland client: menus by the pointer and by the keyboard, a dialog, closing."""
    with Qube(bed, "gtk3-demo-application") as qube:
        desktop = bed.desktop
        number = qube.window("Application Class")
        to_place(desktop, number, 200, 150)
        desktop.until(lambda: desktop.picture()[198, 250] == qube.daemon.color, "no frame")
        focus(desktop, number)

        def popups():
            return [w for w in desktop.run("xdotool", "search", "--class", "work").split() if w.isdigit() and all(
                text in desktop.run("xwininfo", "-id", w) for text in ("Override Redirect State: yes", "IsViewable"))]
        desktop.do("mousemove", 230, 162, "click", 1)
        menu = desktop.until(popups, "the menu does not open")[0]
        x, y, width, height = desktop.geometry(menu)
        if abs(x - 200) > 12 or not 160 <= y <= 195 or width < 40 or height < 40:
            raise AssertionError(f"the menu is at {(x, y, width, height)}")
        desktop.await_pixel(x, y + height // 2, qube.daemon.color)
        desktop.do("key", "Escape")
        desktop.until(lambda: not popups(), "the menu does not close")
        desktop.do("key", "F10")
        desktop.until(popups, "the menu does not open by the keyboard")
        desktop.do("key", "Escape")
        desktop.until(lambda: not popups(), "the menu does not close")
        # The window manager's way of closing ends the program, and the agent with it.
        desktop.do("key", "alt+F4")
        qube.agent.wait(LIMIT)


def wayland(bed):
    """A native Wayland program: a terminal; scrolling, fullscreen and back."""
    with Qube(bed, "foot", "-o", "colors.background=400040", "-o", "colors.alpha=1.0", "-T", "foot", "sh", "-c",
              "stty -echo; head -1 >$HOME/typed; sleep 1000") as qube:
        desktop = bed.desktop
        number = qube.window("foot")
        to_place(desktop, number, 150, 120)
        desktop.await_pixel(400, 400, 0x400040)
        # It leaves the title to the window manager: its own picture begins with the terminal's margin.
        same("upper left corner", f"{desktop.picture()[151, 121]:06x}", "400040")
        focus(desktop, number)
        desktop.do("type", "wayland\n")
        wait_until(lambda: qube.read("typed"), "nothing was typed")
        same("typed", qube.read("typed"), "wayland\n")
        desktop.do("key", "ctrl+shift+F11")
        desktop.await_pixel(1200, 780, 0x400040)
        desktop.await_pixel(1, 400, qube.daemon.color)
        desktop.do("key", "ctrl+shift+F11")
        desktop.await_pixel(1200, 780, DARK)
        desktop.await_pixel(400, 400, 0x400040)


def two_qubes_clipboard(bed):
    """A word selected in one qube is pasted in another, by the two keys alone."""
    options = ["-xrm", "XTerm*selectToClipboard: true", "-geometry", "40x10"]
    with Qube(bed, "xterm", *options, "-T", "from", "-bg", "#000040", "-fg", "#ffffff", "-e", "sh", "-c",
              "echo; echo '          MIDDLE'; sleep 1000") as work, \
            Qube(bed, "xterm", *options, "-T", "to", "-bg", "#400000", "-e", "sh", "-c",
                 "head -1 >$HOME/pasted; sleep 1000", name="mail", label="blue", domain=9) as mail:
        desktop = bed.desktop
        source, target = work.window("from"), mail.window("to")
        to_place(desktop, source, 50, 100)
        to_place(desktop, target, 650, 100)
        desktop.await_pixel(100, 200, 0x000040)
        desktop.await_pixel(700, 200, 0x400000)
        focus(desktop, source)
        # The word is in the second line, from column 10: cells of 6 x 13 pixels in xterm's own font.
        desktop.until(lambda: any(desktop.picture()[x, 120] == 0xffffff for x in range(110, 150)), "no word")
        desktop.do("mousemove", 125, 121, "click", "--repeat", 2, "--delay", 60, 1)
        desktop.do("key", "ctrl+shift+c")
        work.daemon.await_said("6 bytes were copied")
        focus(desktop, target)
        desktop.do("key", "ctrl+shift+v")
        mail.daemon.await_said("6 bytes of work were pasted")
        desktop.do("key", "shift+Insert", "Return")
        wait_until(lambda: mail.read("pasted"), "nothing was pasted")
        same("pasted", mail.read("pasted"), "MIDDLE\n")


def jumps(bed):
    """The pointer jumps between windows and presses at once, faster than anybody looks: each press is where it was meant."""
    program = "stty raw -echo; printf '\\033[?1000h'; touch $HOME/ready; exec cat >$HOME/pressed"
    options = ["-b", "0", "-fn", "6x13", "-geometry", "60x30", "+sb", "-e", "sh", "-c", program]
    with Qube(bed, "xterm", "-T", "one", *options) as work, \
            Qube(bed, "xterm", "-T", "two", *options, name="mail", label="blue", domain=9) as mail:
        desktop, qubes, places = bed.desktop, (work, mail), (50, 650)
        for qube, title, x in zip(qubes, ("one", "two"), places):
            to_place(desktop, qube.window(title), x, 100)
            wait_until(lambda: os.path.exists(os.path.join(qube.runtime, "ready")), "not ready")  # pylint: disable=cell-var-from-loop

        def seen(qube):
            """Column and row of each press, from 0."""
            with open(os.path.join(qube.runtime, "pressed"), "rb") as f:
                return [tuple(byte - 33 for byte in m[1]) for m in re.finditer(rb"\x1b\[M (..)", f.read(), re.S)]
        wanted = [[], []]
        for many in range(1, 6):
            words = []
            for i in range(4 * many):
                at, column, row = i * many // 2 % 2, (7 * i + 11 * many) % 60, (5 * i + many) % 30
                words += ["mousemove", places[at] + column * 6 + 3, 100 + row * 13 + 6, "click", 1]
                wanted[at].append((column, row))
            desktop.do(*words)
            for qube, those in zip(qubes, wanted):
                wait_until(lambda: len(seen(qube)) >= len(those), f"pressed {those}, but {seen(qube)}")  # pylint: disable=cell-var-from-loop
                same("pressed", seen(qube), those)


def icons(bed):
    """Icons of a Wayland client's application and of an X11 client come to their windows, tinted; also by a second sender."""
    data = os.path.join(bed.place, f"data-{bed.serial()}")
    pictures = os.path.join(data, "icons/hicolor/48x48/apps")
    os.makedirs(pictures)
    os.makedirs(os.path.join(data, "applications"))
    Picture(3, 1, b"\xff\xff\xff\0" * 3).save(os.path.join(pictures, "white.png"))
    bed.write(os.path.join(data, "applications", "foot.desktop"), "[Desktop Entry]\nType=Application\nIcon=white\n")
    # The call, without the daemons in between.
    built = os.path.abspath(os.path.dirname(bed.agent))
    program = os.path.join(data, "sender")
    started = os.path.join(data, "started")
    bed.write(program, f"#!/bin/sh\necho $$ >>{started}\nexec {built}/gui-icon-sender env DISPLAY={bed.desktop.env['DISPLAY']} "
              f"QREXEC_REMOTE_DOMAIN=work {built}/gui-icon-receiver\n")
    os.chmod(program, 0o755)
    commands = "foot -T wayland sleep 1000 & " \
               "until xterm -T x11 -e sh -c 'xprop -id $WINDOWID -f _NET_WM_ICON 32c -set _NET_WM_ICON \"2, 1, 16777215, 4294967295\"; " \
               "sleep 1000'; do sleep 0.1; done & wait"
    with Qube(bed, "sh", "-c", commands, agent_options=["--icons", program],
              environment={"XDG_DATA_DIRS": f"{data}:/usr/share"}) as qube:
        for title, wanted in (("wayland", [3, 1, *3 * [LIGHT]]), ("x11", [2, 1, LIGHT & 0xffffff, LIGHT])):
            number = qube.window(title)

            def seen():
                text = bed.desktop.run("xprop", "-id", number, "-notype", "32c", " = $0+\n", "_NET_WM_ICON")
                return [int(v) & 0xffffffff for v in text.split("=")[1].split(",")] if "=" in text else []
            bed.desktop.until(lambda: seen() == wanted, f"the icon of {title} is {seen()[:20]}")
        # The program has ended, as when the call is cut off: another one sends the icons again.
        bed.desktop.run("xprop", "-id", number, "-remove", "_NET_WM_ICON")
        same("icon", seen(), [])
        with open(started, encoding="ascii") as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)
        bed.desktop.until(lambda: seen() == wanted, f"the icon of {title} is {seen()[:20]} after a restart")
        with open(started, encoding="ascii") as f:
            same("starts", len(f.read().split()), 2)


CHECKS = [xterm, xterm_menu, gtk, wayland, two_qubes_clipboard, jumps, icons]
