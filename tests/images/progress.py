# SPDX-License-Identifier: GPL-2.0-or-later
# Progress of work that takes long: which stage of how many, how far it is, and since when it runs.
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time

# How far apt, mmdebstrap and xorriso say that they are, in percent.
PERCENT = re.compile(r"(?:(?:dl|pm)status:[^:]*:|^[ \w]*:? +|xorriso : UPDATE :.* )(\d{1,3}(?:\.\d+)?)(?::| \[|% done)")
# What mmdebstrap says that it does now; each has percentages of its own.
PHASE = re.compile(r"^I: ([a-z][a-z ]+?)(?: inside the chroot)?(?:\.\.\.)?$")
# Without a terminal, a line at this interval shows that the work goes on.
QUIET_SECONDS = 30

_current = None


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Stage:
    """One stage, used as a context; within it tell() says what is being done."""

    def __init__(self, number, total, name, out=None):
        self.title = f"[{number}/{total}] {name}"
        self.out = out or sys.stderr
        # By thread: what each does, and how far it is.
        self.works, self.shown = {}, 0.0
        self.lock, self.over = threading.Lock(), threading.Event()

    def __enter__(self):
        global _current
        _current, self.begun = self, time.monotonic()
        self.terminal = self.out.isatty()
        self._draw(True)
        self.ticker = threading.Thread(target=self._tick, daemon=True)
        self.ticker.start()
        return self

    def __exit__(self, kind, value, trace):
        global _current
        _current = None
        self.over.set()
        self.ticker.join()
        outcome = "done" if kind is None else getattr(value, "outcome", "failed")
        self._write(f"{self.title}: {outcome} after {self.age()}", last=True)

    def age(self):
        return clock(time.monotonic() - self.begun)

    def tell(self, text=None, percent=None):
        """A text without a percentage begins another step."""
        with self.lock:
            old_text, old_percent = self.works.get(threading.get_ident(), ("", None))
            new = text is not None and percent is None
            self.works[threading.get_ident()] = text or old_text, percent if new or percent is not None else old_percent
        self._draw(new)

    def _state(self):
        """What is done, by threads that still run; the first of them waits when there are more."""
        alive = [thread.ident for thread in threading.enumerate()]
        with self.lock:
            works = [work for ident, work in self.works.items() if ident in alive]
        texts = [text + ("" if percent is None else f" {percent:.0f} %") for text, percent in works[1:] or works]
        return ", ".join(filter(None, texts))

    def _tick(self):
        while not self.over.wait(1):
            self._draw(False)

    def _draw(self, new):
        if not self.terminal and not new and time.monotonic() - self.shown < QUIET_SECONDS:
            return
        if self.terminal and not new and time.monotonic() - self.shown < 0.2:
            return
        self.shown = time.monotonic()
        # The clock is first: lines are cut off where the terminal ends.
        self._write(f"{self.title}: {self.age()} {self._state()}".rstrip())

    def _write(self, line, last=False):
        end = "\n" if last or not self.terminal else ""
        start = "\r\x1b[K" if self.terminal else ""
        width = os.get_terminal_size(self.out.fileno()).columns - 1 if self.terminal else len(line)
        with self.lock:
            self.out.write(start + (line[:width] if width > 0 else line) + end)
            self.out.flush()


def active():
    return _current is not None


def tell(text=None, percent=None):
    """Says within the current stage what is being done and how far it is; False when there is no stage."""
    if _current is None:
        return False
    _current.tell(text, percent)
    return True


def hear(line):
    """Takes what a program says of its progress."""
    phase = PHASE.match(line)
    if phase:
        tell(phase[1])
    else:
        tell(percent=percent_in(line))


def percent_in(line):
    """The last percentage that a line of a program's output names, or None."""
    found = PERCENT.findall(line)
    return float(found[-1]) if found else None


def follow(command, on_line, **kwargs):
    """Runs a command on a terminal of its own and calls on_line for each line or part of one that is drawn over;
    returns (exit code, output)."""
    try:
        ours, theirs = pty.openpty()
        # Programs draw no progress on a terminal without columns.
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 25, 100, 0, 0))
    except OSError:  # no terminals here: no percentages either
        ours, theirs = os.pipe()
    output, rest = b"", b""
    with subprocess.Popen(command, stdin=kwargs.pop("stdin", subprocess.DEVNULL), stdout=theirs,
                          stderr=subprocess.STDOUT, **kwargs) as process:
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # EIO: all that wrote to it are gone
                break
            if not part:
                break
            output += part
            *lines, rest = re.split(rb"[\r\n]+", rest + part)
            for line in lines:
                on_line(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line.decode(errors="replace")))
        os.close(ours)
    return process.returncode, output


def run_make(command):
    """Builds with make, counting the lines of what it will do; raises RuntimeError with its output when that fails."""
    step = re.compile(r"^ +[A-Z]{2,8} +(\S.*)$")
    plan = subprocess.run([*command, "-n"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, errors="replace", check=False).stdout
    total, seen = max(1, len(re.findall(r"^printf '  %-8s %s", plan, re.M))), 0

    def on_line(line):
        nonlocal seen
        found = step.match(line)
        if found:
            seen += 1
            tell(os.path.basename(found[1]), min(100, 100 * seen / total))

    code, output = follow(command, on_line)
    if code:
        raise RuntimeError(f"{' '.join(command)}: exit code {code}\n" + output.decode(errors="replace")[-4000:])
