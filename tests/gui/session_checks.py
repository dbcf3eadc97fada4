# SPDX-License-Identifier: GPL-2.0-or-later
# The session of dom0's screen: its window manager and panel, and the menu of qubes.
import os
import shutil
import signal
import subprocess

from .bed import LIMIT, wait_until
from .daemon_checks import same
from .desktop import Desktop

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "..", "..", "desktop", "session")
QUBES = """debian class=TemplateVM label=black
dvm class=AppVM template=debian label=red template_for_dispvms=yes
untrusted class=AppVM template=debian label=red
work class=AppVM template=debian label=blue domid=3
"""
LIST = """one.desktop:Name=One
two-2.desktop:Name=Two
two-2.desktop:Exec=rm
"""


class Session:
    """desktop-session as it is installed, but in a place of the test's."""

    def __init__(self, bed):
        self.place = os.path.join(bed.place, f"session-{bed.serial()}")
        self.lib = os.path.join(self.place, "lib")
        share, sessions = os.path.join(self.place, "share"), os.path.join(self.place, "sessions")
        for path in (self.lib, share, sessions):
            os.makedirs(path)
        self.words, self.ready = os.path.join(self.place, "words"), sessions
        for name in ("openbox.xml", "tint2rc", "dunstrc"):
            with open(os.path.join(SOURCES, name), encoding="utf-8") as f:
                bed.write(os.path.join(share, name), f.read().replace("@LIBDIR@", self.lib))
        bed.write(os.path.join(self.place, "qubes.list"), QUBES)
        bed.write(os.path.join(self.place, "answer"), LIST)
        built = os.path.abspath(bed.programs)
        self.script("qube-menu", f'exec {built}/qube-menu --qubes {self.place}/qubes.list --dir {self.place}/menus '
                                 f'--command {self.lib}/qube')
        # A new line for each command, its words by spaces.
        self.script("qube", f'echo "$*" >>{self.words}')
        self.script("qube-session", f"echo $$ >>{self.place}/sessions-started; exec sleep 1000")
        self.script("gui-monitor-layout", "exec sleep 1000")
        shutil.copy(os.path.join(HERE, "../../qrexec/etc/lib/qubes-session-ready"), self.lib)
        subprocess.run([f"{built}/qube-menu-update", "--dir", f"{self.place}/menus", "--from", f"{self.place}/answer",
                        "debian"], check=True, stdin=subprocess.DEVNULL, timeout=LIMIT)
        self.desktop = Desktop(self.place, wm=None)
        env = dict(self.desktop.env, QUBES_SESSION_SHARE=share, QUBES_LIB=self.lib, QUBES_SESSION_DIR=sessions,
                   PATH=f"{self.lib}:{os.environ['PATH']}")
        self.process = subprocess.Popen([os.path.join(SOURCES, "desktop-session")], env=env, cwd=self.place,
                                        stdin=subprocess.DEVNULL, stdout=self.desktop.log, stderr=self.desktop.log,
                                        start_new_session=True)

    def script(self, name, text):
        path = os.path.join(self.lib, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT)
        self.desktop.close()

    def lines(self, path):
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return f.read().splitlines()

    def menus(self):
        """How many menus are on the screen."""
        desktop = self.desktop
        found = desktop.run("xdotool", "search", "--onlyvisible", "--class", "^[Qq]ube-menu$").split()
        return sum("Override Redirect State: yes" in desktop.run("xwininfo", "-id", w) for w in found if w.isdigit())

    def await_menus(self, count):
        self.desktop.until(lambda: self.menus() == count, f"not {count} menus are open, but {self.menus()}")

    def choose(self, *keys, opens):
        """Keys in the open menu; `opens` submenus are open before the last one."""
        for key in keys[:-1]:
            self.desktop.do("key", key)
        self.await_menus(1 + opens)
        self.desktop.do("key", keys[-1])

    def await_command(self, text):
        wait_until(lambda: text in self.lines(self.words), f"no {text!r}, but {self.lines(self.words)}")


def menu(bed):
    """The panel's button and a key open the menu; applications of the template are started in the qube, or in a disposable."""
    with Session(bed) as session:
        desktop = session.desktop
        wait_until(lambda: os.listdir(session.ready), "the session does not say that it is ready")
        panel = desktop.find("tint2")
        desktop.until(lambda: "IsViewable" in desktop.run("xwininfo", "-id", panel), "no panel")
        x, y, _, height = desktop.geometry(panel)
        # Qubes by their names, what disposables are made of, templates: untrusted, work; dvm; debian. The applications by theirs: One, Two.
        desktop.do("mousemove", x + 40, y + height // 2, "click", 1)
        session.await_menus(1)
        session.choose("Down", "Right", "Down", "Return", opens=1)
        session.await_command("run untrusted QUBESRPC qubes.StartApp+two-2 dom0")
        session.await_menus(0)
        desktop.do("key", "super+space")
        session.await_menus(1)
        # Before the two applications there is "In a new disposable".
        desktop.do("key", "Down", "key", "Down", "key", "Down", "key", "Right")
        session.await_menus(2)
        desktop.do("key", "Right")
        session.await_menus(3)
        desktop.do("key", "Down", "key", "Return")
        session.await_command("run --disposable dvm QUBESRPC qubes.VMExecGUI+-2Fusr-2Flib-2Fqubes-2Fdesktop--run+run+two--2"
                              " dom0")
        session.await_menus(0)


def ends_and_keeps(bed):
    """What ends is started again; the session ends with its window manager, and says so."""
    with Session(bed) as session:
        started = os.path.join(session.place, "sessions-started")
        wait_until(lambda: session.lines(started), "qube-session does not start")
        os.kill(int(session.lines(started)[0]), signal.SIGKILL)
        wait_until(lambda: len(session.lines(started)) == 2, "qube-session is not started again")
        wait_until(lambda: os.listdir(session.ready), "the session does not say that it is ready")
        session.desktop.run("openbox", "--exit")
        same("exit code", session.process.wait(LIMIT), 0)
        same("ready", os.listdir(session.ready), [])
        pid = int(session.lines(started)[-1])
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "qube-session is left over")


CHECKS = [menu, ends_and_keeps]
