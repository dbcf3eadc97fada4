# SPDX-License-Identifier: GPL-2.0-or-later
# What tests of the daemon stand on: a desktop, daemons with their agents, and what the daemons have said.
import os
import shutil
import signal
import subprocess
import time

from .agent import Agent, Gone
from .desktop import Desktop

LIMIT = 60
LABELS = {"red": 0xcc0000, "orange": 0xf57900, "yellow": 0xedd400, "green": 0x73d216, "gray": 0x555555,
          "blue": 0x3465a4, "purple": 0x75507b, "black": 0x000000}
POLICY = """qubes.ClipboardPaste * work vault deny
qubes.ClipboardPaste * @anyvm @anyvm ask
"""


class Daemon:
    """A gui-daemon process with the agent of its qube."""

    def __init__(self, bed, name="work", label="red", domain=7, version=0x10008, options=(), supervised=False,
                 connect=True, place=None, environment=None, pass_fds=()):
        self.bed, self.name, self.domain, self.color = bed, name, domain, LABELS[label]
        self.place = place or os.path.join(bed.place, f"{name}-{bed.serial()}")
        os.makedirs(self.place, exist_ok=True)
        self.log_path = os.path.join(self.place, "log")
        self.log = open(self.log_path, "ab")
        self.version, self.agent = version, None
        if connect:
            self.agent = self.new_agent()
        command = [bed.program, "-d", str(domain), "-N", name, "-l", label, "-u", f"local:{self.place}?domain=0",
                   "--clipboard-dir", bed.clipboard, "-q", bed.qubes, "-p", bed.policy, "--legacy-dir", bed.place,
                   "-C", bed.config, *options]
        env = dict(bed.desktop.env, ASAN_OPTIONS="detect_leaks=0:strict_string_checks=1",
                   UBSAN_OPTIONS="print_stacktrace=1", **(environment or {}))
        self.process = subprocess.Popen(command + ([] if supervised else ["--once"]), env=env,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, pass_fds=pass_fds)
        bed.daemons.append(self)
        if connect:
            try:
                self.agreed, self.screen = self.agent.handshake()
            except (TimeoutError, Gone) as error:
                raise AssertionError(f"no handshake: {error!r}, exit code {self.process.poll()}: {self.said()}") from None

    def new_agent(self):
        return Agent(self.bed.library, self.place, self.domain, 0, self.version)

    def said(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def await_said(self, text):
        self.bed.desktop.until(lambda: text in self.said(), f"the daemon does not say {text!r}: {self.said()[-500:]}")

    def ends(self):
        """Its exit code; what the sanitizers find ends it with another one than the daemon's own."""
        try:
            return self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the daemon does not end: {self.said()[-500:]}") from None

    def expect_dropped(self, words):
        """The session ends because the agent broke a rule, and the user is told which."""
        self.agent.expect_gone()
        code = self.ends()
        if code != 3 or words not in self.said():
            raise AssertionError(f"exit code {code}, not 3 with {words!r}: {self.said()[-1500:]}")

    def stop(self):
        """Ends it; a finding of the sanitizers is an error of the test."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            self.ends()
        except TimeoutError:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.agent:
                self.agent.close()
            self.log.close()
        for word in ("AddressSanitizer", "runtime error", "Gdk-WARNING", "Gtk-WARNING", "CRITICAL"):
            if word in self.said():
                raise AssertionError(self.said()[-3000:])


class Bed:
    def __init__(self, place, program, library, agent=None, pictures=None, size="1280x800", prompt=None,
                 programs=None):
        self.place, self.program, self.library, self.number = place, program, library, 0
        self.agent, self.pictures, self.prompt = agent, pictures or place, prompt
        self.programs = programs
        self.daemons = []
        self.clipboard = os.path.join(place, "clipboard")
        self.policy = os.path.join(place, "policy.d")
        self.qubes = os.path.join(place, "qubes.list")
        self.config = os.path.join(place, "guid.conf")
        os.makedirs(self.clipboard)
        os.makedirs(self.policy)
        self.write(os.path.join(self.policy, "50-test.policy"), POLICY)
        self.write(self.qubes, "".join(f"{name} class=AppVM domid={domain}\n" for name, domain in (
            ("work", 7), ("vault", 8), ("mail", 9))))
        self.write(self.config, "global: { startup_timeout = 30; };\n")
        self.desktop = Desktop(place, size)

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def serial(self):
        self.number += 1
        return self.number

    def daemon(self, *args, **options):
        return Daemon(self, *args, **options)

    def reset(self):
        """Ends what a test has left; reports what went wrong there."""
        problems = []
        for daemon in self.daemons:
            try:
                daemon.stop()
            except (AssertionError, TimeoutError, Gone) as error:
                problems.append(str(error))
        self.daemons = []
        self.desktop.do("mousemove", 1279, 799)
        for name in os.listdir(self.clipboard):
            os.unlink(os.path.join(self.clipboard, name))
        if problems:
            raise AssertionError("\n".join(problems))

    def close(self):
        self.desktop.close()
        shutil.rmtree(self.place, ignore_errors=True)


def wait_until(condition, what, limit=LIMIT):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)
