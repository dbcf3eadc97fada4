# SPDX-License-Identifier: GPL-2.0-or-later
# A root shell in dom0 over the machine's second serial line: commands and their results, apart from all messages.
import base64
import contextlib
import os
import re
import socket
import time

from . import machine

# "console=" has systemd offer a login there; the kernel's own messages stay away with loglevel=0.
KERNEL_WORDS = "console=ttyS1,115200 console=hvc0 quiet loglevel=0"


class ShellError(Exception):
    pass


# A terminal's line, while nobody reads it, has no more bytes.
LINE_MAX = 4000


class Shell:
    """Of a machine with shell=True. Commands are sent one at a time; what they print comes back in base64, behind a number of its own.

    Limits are of the machine's clock, or its deadline: how fast the host is does not matter."""

    def __init__(self, vm):
        self.vm, self.number, self.text = vm, 0, ""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.path.join(vm.place, "shell"))
        self.sock.setblocking(False)

    def close(self):
        self.sock.close()

    def send(self, command):
        """A command whose result is not waited for."""
        self._send(f"{command}\n")

    def _send(self, text):
        if len(text) > LINE_MAX:
            raise ShellError(f"a line of {len(text)} bytes is too long for a terminal: {text[:100]}…")
        # The emulator gives its UART no more than that has room for.
        self.sock.sendall(text.encode())

    def _wait(self, seconds):
        self.vm.wait_for_other(self.sock, seconds)
        with contextlib.suppress(BlockingIOError):
            self.text += self.sock.recv(65536).decode("latin-1").replace("\r", "")

    def expect(self, pattern, start):
        compiled = re.compile(pattern, re.M)
        while True:
            found = compiled.search(self.text, start)
            if found:
                return found
            if time.monotonic() > self.vm.deadline:
                raise machine.Timeout(f"no /{pattern}/ until the machine's end; the shell ends with: {self.text[-200:]!r}")
            self._wait(0.2)

    def login(self):
        self.expect(r"login: $", 0)
        self._send("root\n")
        self.expect(r"# $", 0)
        begin = len(self.text)
        # The plain shell: it edits no lines and has no prompt.
        self._send("stty -echo; PS1= exec dash\n")
        self._send("echo up-$((1+1))\n")
        self.expect(r"up-2$", begin)

    def run(self, command):
        """(exit code, output with errors)."""
        self.number += 1
        begin = len(self.text)
        self._send(f"( {command}\n) </dev/null >/run/out 2>&1; echo \"@{self.number} $? $(base64 -w0 </run/out)@\"\n")
        done = self.expect(rf"@{self.number} (\d+) ([A-Za-z0-9+/=]*)@", begin)
        return int(done[1]), base64.b64decode(done[2]).decode(errors="replace")

    def sh(self, command):
        """Output of a command that has to succeed."""
        code, out = self.run(command)
        if code:
            raise ShellError(f"{command}: exit code {code}: {out.strip()[-300:]}")
        return out.strip()

    def until(self, command, seconds=300):
        """Repeats a command until it succeeds; its output. raises machine.Timeout when it never does."""
        code, out = self.run(f"n=0; while ! ({command}) >/run/until 2>&1; do n=$((n+1)); [ $n -lt {seconds * 2} ] || exit 124; sleep 0.5; done; "
                             "cat /run/until")
        if code:
            raise machine.Timeout(f"not so after {seconds} s of the machine's clock: {command}: {self.run('tail -n 3 /run/until')[1].strip()}")
        return out.strip()

    def pause(self, seconds):
        """Lets the machine run for so long, by its own clock."""
        self.sh(f"sleep {seconds}")
