# SPDX-License-Identifier: GPL-2.0-or-later
# How long "make run" takes to its desktop and to the first window of a qube: seen on the screen, through a monitor of QEMU.
import os
import select
import socket
import tempfile
import threading
import time

from .machine import read_ppm
from .qmp import Qmp, QmpError
from .screen import LABELS, Screen

# Seconds between two looks, and how long the emulator has for an answer.
INTERVAL = 1
ANSWER = 30


def ask(qmp, sock, command, **arguments):
    """The emulator's answer; raises OSError or QmpError."""
    qmp.send(command, **arguments)
    while not qmp.replies:
        if not select.select([sock], [], [], ANSWER)[0] or not qmp.feed():
            raise OSError("the emulator does not answer")
    return qmp.take_reply()


class Watcher(threading.Thread):
    """Says when the desktop and the first window are there, then ends."""

    def __init__(self, place, say):
        super().__init__(daemon=True)
        self.path, self.say, self.begun = os.path.join(place, "watch"), say, time.monotonic()

    def arguments(self):
        """What QEMU needs for it."""
        return ["-chardev", f"socket,id=watch0,path={self.path},server=on,wait=off", "-mon", "chardev=watch0,mode=control"]

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as self.sock:
                self._connect()
                self.qmp, screen = Qmp(self.sock), Screen(self)
                ask(self.qmp, self.sock, "qmp_capabilities")
                self._await(screen.has_panel)
                self.say(f"the desktop is there, {self._age()} after power-on")
                label = self._await(lambda: next((name for name, colour in LABELS.items() if screen.frames(colour)), None))
                self.say(f"the first window of a qube is there, in {label}, {self._age()} after power-on")
        except (OSError, QmpError):
            # The emulator has ended, with or without a desktop.
            pass

    def _connect(self):
        while not os.path.exists(self.path):
            time.sleep(INTERVAL)
        self.sock.connect(self.path)
        self.sock.setblocking(False)

    def _age(self):
        seconds = round(time.monotonic() - self.begun)
        return f"{seconds // 60}:{seconds % 60:02} min"

    @staticmethod
    def _await(look):
        while True:
            found = look()
            if found:
                return found
            time.sleep(INTERVAL)

    def screen(self):
        with tempfile.NamedTemporaryFile(prefix="bulkhead-") as f:
            ask(self.qmp, self.sock, "screendump", filename=f.name)
            return read_ppm(f.read())
