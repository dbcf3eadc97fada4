# SPDX-License-Identifier: GPL-2.0-or-later
# What assistive programs see of the programs on a desktop: roles and names, by AT-SPI.
import re
import subprocess

REGISTRY, ROOT = "org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"
ACCESSIBLE = "org.a11y.atspi.Accessible"
# What the user works with or reads: without a name it cannot be told what it is.
NAMED = {"frame", "dialog", "push button", "toggle button", "check box", "radio button", "text", "entry", "list", "list box",
         "list item", "combo box", "menu", "menu item", "table", "tree"}


class Access:
    """A bus of a session with assistive technologies; programs that are started with `environment` are on it."""

    def __init__(self, desktop):
        self.env = {k: v for k, v in desktop.env.items() if k != "NO_AT_BRIDGE"}
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--print-address", "--nofork"], stdout=subprocess.PIPE,
                                    stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env, text=True)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = self.bus.stdout.readline().strip()
        self.address = None
        answer = self.call("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus.GetAddress")
        self.address = re.search(r"'([^']+)'", answer)[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # What the bus has started ends with it.
        self.bus.terminate()
        self.bus.wait()
        self.bus.stdout.close()

    def environment(self):
        return self.env

    def call(self, name, path, method, *arguments):
        where = ["--address", self.address] if self.address else ["--session"]
        done = subprocess.run(["gdbus", "call", *where, "--dest", name, "--object-path", path, "--method", method, *arguments],
                              env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{method} of {name}: {done.stderr}")
        return done.stdout.strip()

    def children(self, name, path):
        return re.findall(r"\('([^']+)', (?:objectpath )?'([^']+)'\)",
                          self.call(name, path, ACCESSIBLE + ".GetChildren"))

    def walk(self, name=REGISTRY, path=ROOT):
        """(role, name) of everything below."""
        for child in self.children(name, path):
            role = re.search(r"'(.*)'", self.call(*child, ACCESSIBLE + ".GetRoleName"))[1]
            text = self.call(*child, "org.freedesktop.DBus.Properties.Get", ACCESSIBLE, "Name")
            yield role, re.fullmatch(r"\(<['\"](.*)['\"]>,\)", text)[1].strip()
            yield from self.walk(*child)

    def unnamed(self):
        return [role for role, name in self.walk() if role in NAMED and not name]
