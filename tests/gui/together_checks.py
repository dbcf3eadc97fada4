# SPDX-License-Identifier: GPL-2.0-or-later
# Agent and daemon together, with clients that follow instructions: what the user sees and does, pixel by pixel.
import os
import re
import subprocess

from .bed import Daemon
from .daemon_checks import same
from .session import OUT, Session

RED, GREEN, BLUE, WHITE = 0xff0000, 0x00ff00, 0x0000ff, 0xffffff
FRAME = 3  # of the daemon around managed windows


class Qube:
    """A daemon and its agent."""
    def __init__(self, bed, name="work", label="red", domain=7, options=()):
        self.bed = bed
        self.daemon = Daemon(bed, name=name, label=label, domain=domain, connect=False, supervised=True)
        self.session = Session(connect=False, place=self.daemon.place, domain=domain, options=options)
        self.session.said("connected to domain 0")

    def client(self):
        return self.session.client()

    def hear(self, client, pattern, start=0):
        return self.session.hear(client, pattern, start)

    def top(self, client, name, x, y, width=300, height=200, colour="ff0000"):
        """A window of a client at a place of the screen; its number there."""
        client.tell(f"toplevel {name} {width} {height} {colour}", f"title {name} {name}")
        number = self.bed.desktop.find(f"[{self.daemon.name}] {name}")
        self.bed.desktop.until(lambda: "IsViewable" in self.bed.desktop.run("xwininfo", "-id", number), "not shown")
        self.move(number, x, y)
        return number

    def move(self, number, x, y):
        """Puts the contents of the window there."""
        desktop = self.bed.desktop
        desktop.do("windowmove", "--sync", number, x - FRAME, y - FRAME)
        for _ in range(3):
            left, top, _, _ = desktop.geometry(number)
            if (left, top) == (x - FRAME, y - FRAME):
                return
            # The window manager places its frame there, not the window.
            desktop.do("windowmove", number, 2 * (x - FRAME) - left, 2 * (y - FRAME) - top)
            desktop.until(lambda: desktop.geometry(number)[:2] != (left, top), "the window does not move")

    def close(self):
        self.session.close()


def need_not(client, pattern):
    client.read(0)
    if any(re.fullmatch(pattern, line) for line in client.lines):
        raise AssertionError(f"a client has said {pattern}: {client.lines[-8:]}")


def with_qube(check):
    """The agent ends before the daemon is looked at."""
    def run(bed):
        qube = Qube(bed)
        try:
            check(bed, qube)
        except BaseException:
            bed.desktop.picture().save(os.path.join(bed.pictures, f"together-{check.__name__}.png"))
            raise
        finally:
            qube.close()
    run.__name__ = check.__name__
    run.__doc__ = check.__doc__
    return run


@with_qube
def contents(bed, qube):
    """What a client draws is on the screen, in the frame of the qube; so is a change, and a new size."""
    client = qube.client()
    number = qube.top(client, "one", 100, 100)
    bed.desktop.await_pixel(100, 100, RED)
    bed.desktop.await_pixel(399, 299, RED)
    bed.desktop.await_pixel(98, 150, qube.daemon.color)
    bed.desktop.await_pixel(401, 150, qube.daemon.color)
    client.tell("fill one 10 20 5 5 00ff00")
    bed.desktop.await_pixel(110, 120, GREEN)
    bed.desktop.await_pixel(115, 120, RED)
    bed.desktop.do("windowsize", "--sync", number, 500 + 2 * FRAME, 400 + 2 * FRAME)
    qube.hear(client, "configure one 500 400.*")
    bed.desktop.await_pixel(598, 498, RED)
    client.tell("title one other")
    bed.desktop.find("[work] other")
    client.tell("free one")
    bed.desktop.until(lambda: not bed.desktop.run("xdotool", "search", "--name", "work. other").strip().isdigit(),
                      "the window stays")


@with_qube
def keys(bed, qube):
    """A key that is pressed on the screen reaches the client, which answers with a colour."""
    client = qube.client()
    number = qube.top(client, "one", 100, 100)
    client.tell("toggle one")
    bed.desktop.do("windowfocus", "--sync", number)
    qube.hear(client, "focus one .*")
    bed.desktop.do("key", "a")
    qube.hear(client, "key 30 0")
    bed.desktop.await_pixel(200, 200, 0x00ffff)
    bed.desktop.do("key", "a")
    bed.desktop.await_pixel(200, 200, RED)
    start = len(client.lines)
    bed.desktop.do("keydown", "shift", "key", "b", "keyup", "shift")
    qube.hear(client, "modifiers 1 0 0 0", start)
    qube.hear(client, "key 48 0", start)
    qube.hear(client, "modifiers 0 0 0 0", start)


@with_qube
def pointer(bed, qube):
    """The pointer is where it is seen; its shape is the client's."""
    client = qube.client()
    qube.top(client, "one", 100, 100)
    bed.desktop.do("mousemove", 150, 170)
    qube.hear(client, "(enter one|motion) 50 70")
    bed.desktop.do("mousemove", 151, 172)
    qube.hear(client, "motion 51 72")
    bed.desktop.do("click", 3)
    qube.hear(client, "button 273 1")
    qube.hear(client, "button 273 0")
    bed.desktop.do("click", 5)
    qube.hear(client, "axis 0 15")
    bed.desktop.do("mousemove", 700, 700)
    qube.hear(client, "leave one")


@with_qube
def popups(bed, qube):
    """A menu opens at its place, in a frame of its own, and goes when the user clicks elsewhere."""
    other = bed.daemon(name="vault", label="green", domain=8)
    other.agent.create(1, 700, 100, 200, 200)
    other.agent.hints(1, 1)
    other.agent.image(1, 200, 200, WHITE)
    other.agent.map(1)
    bed.desktop.await_pixel(800, 200, WHITE)
    client = qube.client()
    number = qube.top(client, "one", 100, 100)
    # A new window may have got the focus already, or get it by the click.
    bed.desktop.do("windowfocus", "--sync", number)
    bed.desktop.do("mousemove", 120, 120, "click", 1)
    qube.hear(client, "focus one .*")
    qube.hear(client, "button 272 0")
    client.tell("popup menu one 20 30 120 90 1")
    # Its place is below (20, 40) of the window; two pixels around it are the qube's colour.
    bed.desktop.await_pixel(120, 140, qube.daemon.color)
    bed.desktop.await_pixel(239, 229, qube.daemon.color)
    bed.desktop.await_pixel(122, 142, 0x808080)
    bed.desktop.await_pixel(237, 227, 0x808080)
    bed.desktop.await_pixel(240, 230, RED)
    bed.desktop.do("mousemove", 130, 150)
    qube.hear(client, "(enter menu|motion) 10 10")
    bed.desktop.do("mousemove", 800, 200, "click", 1)
    qube.hear(client, "done menu")
    client.tell("free menu")
    bed.desktop.await_pixel(122, 142, RED)


@with_qube
def menus_end(bed, qube):
    """A menu that never had the focus goes, too, when the user clicks on the desktop, or into a window that has it already."""
    desktop = bed.desktop
    other = bed.daemon(name="vault", label="green", domain=8)
    other.agent.create(1, 700, 100, 200, 200)
    other.agent.title(1, "other")
    other.agent.hints(1, 1)
    other.agent.image(1, 200, 200, WHITE)
    other.agent.map(1)
    desktop.await_pixel(800, 200, WHITE)
    client = qube.client()
    qube.top(client, "one", 100, 100)
    focused = desktop.find("[vault] other")
    desktop.do("windowactivate", "--sync", focused, "windowfocus", "--sync", focused)
    for i, places in enumerate((((800, 200),), ((640, 700),), ((98, 150),), ((130, 150), (20, 400)))):
        start = len(client.lines)
        # No window manager moves the focus for the button that leads back in browsers.
        desktop.do("mousemove", 120, 120, "click", 8)
        qube.hear(client, "button 275 0", start)
        client.tell(f"popup menu{i} one 20 30 120 90 1")
        desktop.await_pixel(122, 142, 0x808080)
        if i == 1:
            # A wheel that is turned elsewhere, or a button in the menu, is no end.
            desktop.do("mousemove", 800, 200, "click", 4, "mousemove", 130, 150, "click", 1)
            qube.hear(client, "button 272 0", start)
            need_not(client, f"done menu{i}")
        for place in places:
            need_not(client, f"done menu{i}")
            desktop.do("mousemove", *place, "click", 1)
        qube.hear(client, f"done menu{i}", start)
        client.tell(f"free menu{i}")
        desktop.await_pixel(122, 142, RED)
        desktop.do("windowfocus", "--sync", focused)


@with_qube
def menus_of_x11_end(bed, qube):
    """So do menus of X11 programs, which wait for a click that they have grabbed; the programs get nothing else."""
    desktop = bed.desktop
    qube.session.run("gtk3-demo-application", x11=True)
    number = desktop.find("[work] Application Class")
    desktop.until(lambda: "IsViewable" in desktop.run("xwininfo", "-id", number), "not shown")

    def menus():
        """Shown windows of the program without its own one."""
        return sorted(set(desktop.run("xdotool", "search", "--onlyvisible", "--class", "gtk3-demo").split()) - {number})
    left, top, _, _ = desktop.geometry(number)
    for place in ((20, 780), (left + 60, top - 8)):
        same("menus", menus(), [])
        desktop.do("mousemove", left + 30, top + 12, "click", 1)
        desktop.until(menus, "no menu opens")
        desktop.do("mousemove", *place, "click", 1)
        desktop.until(lambda: not menus(), "the menu stays")


@with_qube
def fifty_windows(bed, qube):
    client = qube.client()
    client.tell(*(f"toplevel w{i} 80 60 00ff00" for i in range(50)), *(f"title w{i} w{i}" for i in range(50)))
    bed.desktop.until(lambda: len(bed.desktop.run("xdotool", "search", "--onlyvisible", "--name",
                                                  "work. w").split()) == 50, "there are not 50 windows")
    client.tell(*(f"free w{i}" for i in range(50)))
    bed.desktop.until(lambda: not bed.desktop.run("xdotool", "search", "--onlyvisible", "--name",
                                                  "work. w").split(), "some windows stay")


@with_qube
def restart(bed, qube):
    """A daemon that is started anew finds the windows that are there."""
    client = qube.client()
    qube.top(client, "one", 100, 100)
    bed.desktop.await_pixel(200, 200, RED)
    qube.daemon.process.terminate()
    qube.daemon.process.wait(60)
    bed.desktop.until(lambda: "ended" in qube.session.text(), "the agent does not notice")
    client.tell("fill one 0 0 300 200 0000ff")
    again = Daemon(bed, connect=False, supervised=True, place=qube.daemon.place)
    number = bed.desktop.find("[work] one")
    qube.move(number, 100, 100)
    bed.desktop.await_pixel(200, 200, BLUE)
    bed.desktop.do("windowfocus", "--sync", number)
    qube.hear(client, "focus one .*")
    again.process.terminate()


@with_qube
def monitors(bed, qube):
    """Another size of dom0's screen, and its monitors, come to the programs of a qube that is running."""
    desktop, agent = bed.desktop, qube.session
    run = os.path.join(qube.daemon.place, "run")
    os.makedirs(run)
    bed.write(os.path.join(run, "qubes.list"), "work class=AppVM label=red domid=7\n")
    service = os.path.join(os.path.dirname(__file__), "../../gui/agent/session/qubes.SetMonitorLayout")
    client, calls = os.path.join(run, "client"), os.path.join(run, "calls")
    bed.write(client, f"#!/bin/sh\necho \"$*\" >>{calls}\nXDG_RUNTIME_DIR={agent.place} exec {service}\n")
    os.chmod(client, 0o755)

    def listed():
        text = subprocess.run(["xrandr", "--listmonitors"], env=agent.x_env(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=60).stdout
        return sorted(re.sub(r"/\d+", "", line.split()[2]) for line in text.splitlines()[1:])

    def await_monitors(*wanted):
        # One program of X11 stays, so that Xwayland does.
        desktop.until(lambda: listed() == sorted(wanted), f"X11 programs see {listed()}, not {wanted}")
    agent.run("xterm", x11=True)
    await_monitors("1280x800+0+0")
    desktop.start(os.path.join(OUT, "gui/gui-monitor-layout"), "--run", run, "--qrexec-client", client)
    try:
        desktop.resize(1000, 700)
        agent.said("1 monitors, screen 1000x700")
        await_monitors("1000x700+0+0")
        desktop.run("xrandr", "--setmonitor", "left", "600/0x700/0+0+0", "screen")
        desktop.run("xrandr", "--setmonitor", "right", "400/0x500/0+600+200", "none")
        agent.said("2 monitors, screen 1000x700")
        await_monitors("600x700+0+0", "400x500+600+200")
        # The next daemon tells only the size, which the monitors that are known have.
        start = len(agent.text())
        qube.daemon.process.terminate()
        qube.daemon.process.wait(60)
        agent.said("connection to the daemon ended", start)
        again = Daemon(bed, connect=False, supervised=True, place=qube.daemon.place)
        agent.said("connected to domain 0", start)
        await_monitors("600x700+0+0", "400x500+600+200")
        again.process.terminate()
    finally:
        desktop.run("xrandr", "--delmonitor", "left")
        desktop.run("xrandr", "--delmonitor", "right")
        desktop.resize(1280, 800)
    agent.said("1 monitors, screen 1280x800")
    await_monitors("1280x800+0+0")
    with open(calls, encoding="ascii") as f:
        words = set(f.read().splitlines())
    same("calls", words, {f"--no-error --socket-dir {run} -d work DEFAULT:QUBESRPC qubes.SetMonitorLayout dom0"})


CHECKS = [contents, keys, pointer, popups, menus_end, menus_of_x11_end, fifty_windows, restart, monitors]
