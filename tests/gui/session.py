# SPDX-License-Identifier: GPL-2.0-or-later
# An agent, a played daemon and clients, for tests of the agent alone.
import os
import re
import select
import signal
import subprocess
import tempfile
import time

from . import peer

OUT = os.path.abspath(os.environ.get("O", "build"))
ASAN = {"ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
        "LSAN_OPTIONS": "print_suppressions=0:suppressions=" + os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                                           "lsan.txt"),
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


class Client:
    """tests/gui/wl-client, or any program whose output does not matter."""
    def __init__(self, env, place, *command):
        # In a directory of the test's: some programs write files where they are started.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=place,
                                        stderr=subprocess.DEVNULL)
        self.lines, self.rest = [], b""

    def read(self, wait):
        if select.select([self.process.stdout], [], [], wait)[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise peer.Broken(f"a client has ended; it said {self.lines[-8:]}")
            *lines, self.rest = (self.rest + data).split(b"\n")
            self.lines += [line.decode() for line in lines]

    def tell(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())
        self.process.stdin.flush()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Session:
    def __init__(self, minor=8, screen=(1280, 800), program=f"{OUT}/gui/asan/bulkhead-gui-agent", options=(),
                 env=None, connect=True, place=None, domain=1):
        self.dir = None if place else tempfile.TemporaryDirectory(prefix="gui-agent-")
        self.place = place or self.dir.name
        self.screen = screen
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.place, WAYLAND_DISPLAY="wayland-test",
                        LIBVCHAN_URI=f"local:{self.place}?domain={domain}", GDK_BACKEND="wayland", NO_AT_BRIDGE="1",
                        GTK_A11Y="none", XCURSOR_THEME="Adwaita", **ASAN, **(env or {}))
        self.env.pop("DISPLAY", None)
        self.log_path = os.path.join(self.place, "agent.log")
        self.log = open(self.log_path, "w+", encoding="utf-8", errors="replace")
        self.clients = []
        self.agent = subprocess.Popen([program, "--socket=wayland-test", *options], env=self.env,
                                      stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.place)
        self.said(r"Wayland display")
        self.daemon = None
        if connect:
            self.connect(minor)

    def connect(self, minor=8, **more):
        self.daemon = peer.Daemon(self.place, f"{OUT}/vchan/libvchan.so", minor=minor, screen=self.screen, **more)
        return self.daemon

    def text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def said(self, pattern, start=0):
        """Waits until the agent's log has a match, and returns it."""
        end = time.monotonic() + peer.LIMIT
        while True:
            found = re.search(pattern, self.text()[start:])
            if found:
                return found
            if self.agent.poll() is not None or time.monotonic() > end:
                raise peer.Broken(f"the agent did not say {pattern}: {self.text()[-3000:]}")
            time.sleep(0.01)

    def stats(self):
        """The agent's counters."""
        start = len(self.text())
        self.agent.send_signal(signal.SIGUSR1)
        line = self.said(r"stats: (.*)\n", start)[1]
        return {key: int(value) for key, value in (pair.split("=") for pair in line.split())}

    def x_env(self):
        return dict(self.env, DISPLAY=self.said(r"X11 display (:\d+)")[1], GDK_BACKEND="x11")

    def run(self, *command, x11=False):
        client = Client(self.x_env() if x11 else self.env, self.place, *command)
        self.clients.append(client)
        return client

    def client(self):
        client = self.run(f"{OUT}/gui/wl-client")
        self.hear(client, "ready")
        return client

    def hear(self, client, pattern, start=0):
        """Waits for a line of a client while the daemon goes on; returns the match."""
        def find():
            client.read(0)
            for line in client.lines[start:]:
                match = re.fullmatch(pattern, line)
                if match:
                    return match
            return None
        if self.daemon:
            return self.daemon.until(find, f"\"{pattern}\" of a client, which said {client.lines[-8:]}")
        end = time.monotonic() + peer.LIMIT
        while True:
            client.read(0.05)
            found = find()
            if found:
                return found
            if time.monotonic() > end:
                raise peer.Broken(f"a client did not say \"{pattern}\", but {client.lines[-8:]}")

    def sync(self, client):
        """All that the client was told is done, and all that the agent says about it is here."""
        start = len(client.lines)
        client.tell("sync")
        self.hear(client, "synced", start)
        while self.daemon.one() or self.daemon.lib.libvchan_data_ready(self.daemon.handle):
            self.daemon.pump(0)

    def top(self, client, name, width=300, height=200, colour="ff0000"):
        """A toplevel of a client; returns the daemon's window."""
        client.tell(f"toplevel {name} {width} {height} {colour}", f"title {name} {name}")
        return self.daemon.window(title=name)

    def close(self):
        """Ends everything; what a sanitizer found is an error."""
        for client in self.clients:
            client.stop()
        if self.daemon:
            self.daemon.close()
        early = self.agent.poll()
        if early is None:
            self.agent.terminate()
            try:
                self.agent.wait(peer.LIMIT)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()
        text = self.text()
        self.log.close()
        if self.dir:
            self.dir.cleanup()
        if early is not None or self.agent.returncode or "Sanitizer" in text or "runtime error" in text:
            raise peer.Broken(f"the agent ended with {self.agent.returncode}: {text[-6000:]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        try:
            self.close()
        except peer.Broken as broken:
            if kind is None or "Sanitizer" in str(broken):
                raise
        return False
