#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures the windows of qubes on this host, over the local transport, against Xnest and Xephyr doing the same for the same client.
"""Each line says what was measured, the value, and the limit that it has to keep; the exit code is 1 if one does not."""
import argparse
import ctypes
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from gui.bed import Bed  # noqa: E402
from gui.end_to_end_checks import Qube, focus, to_place  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
FRAMES, RATE = 300, 50
PIXELS = re.compile(r"gui-buffer|SYSV|memfd:|/dev/shm|wlroots|xwayland-shared")


def cpu(pid):
    """Seconds of processor time that the process has used, by the scheduler's count of nanoseconds of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def process_in(runtime, name):
    """The process of that name in the qube with that runtime directory; it need not be the agent's child."""
    for one in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{one}/comm", encoding="ascii") as f, open(f"/proc/{one}/environ", "rb") as g:
                if f.read().strip() == name and runtime.encode() in g.read():
                    return int(one)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    raise LookupError(name)


class Pipes:
    """Fifos to a client that something else starts."""

    def __init__(self, place, name):
        self.to, self.back = os.path.join(place, name + ".to"), os.path.join(place, name + ".back")
        os.mkfifo(self.to)
        os.mkfifo(self.back)
        self.redirection = f"<{self.to} >{self.back}"

    def open(self):
        self.writer = open(self.to, "w", encoding="ascii")
        self.reader = open(self.back, encoding="ascii")

    def expect(self, word):
        line = self.reader.readline().strip()
        if line != word:
            raise RuntimeError(f"the client says {line!r}")

    def go(self):
        self.writer.write("\n")
        self.writer.flush()


def run_frames(pipes, pids):
    """Processor seconds of each process for a client's frames, and the time that the frames took."""
    pipes.expect("ready")
    time.sleep(0.5)
    before, begun = {name: cpu(pid) for name, pid in pids().items()}, time.monotonic()
    pipes.go()
    pipes.expect("done")
    took = time.monotonic() - begun
    time.sleep(0.2)
    return {name: cpu(pid) - before[name] for name, pid in pids().items()}, took


def ours(bed, width, height, frames, rate, size):
    pipes = Pipes(bed.place, f"ours-{bed.serial()}")
    command = f"{bed.client} bench {width} {height} {frames} {rate} {size} {pipes.redirection}"
    with Qube(bed, "sh", "-c", command) as qube:
        pipes.open()
        return run_frames(pipes, lambda: {"daemon": qube.daemon.process.pid, "agent": qube.agent.pid,
                                          "Xwayland": process_in(qube.runtime, "Xwayland")})


def nested(bed, name, options, width, height, frames, rate, size):
    pipes = Pipes(bed.place, f"{name}-{bed.serial()}")
    server = bed.desktop.start(name, ":93", *options, "-ac", "-nolisten", "tcp")
    bed.desktop.until(lambda: os.path.exists("/tmp/.X11-unix/X93"), f"{name} does not start")
    client = bed.desktop.start("sh", "-c",
                               f"DISPLAY=:93 {bed.client} bench {width} {height} {frames} {rate} {size} {pipes.redirection}",
                               stdout=None)
    pipes.open()
    result = run_frames(pipes, lambda: {name: server.pid})
    pipes.go()
    client.wait()
    server.terminate()
    server.wait()
    return result


def xephyr(bed, width, height, *how):
    return nested(bed, "Xephyr", ("-screen", f"{width}x{height}"), width, height, *how)


def xnest(bed, width, height, *how):
    return nested(bed, "Xnest", ("-geometry", f"{width}x{height}"), width, height, *how)


class Keyboard:
    """Presses a key and watches a pixel."""

    def __init__(self, display):
        self.x, self.test = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
        self.x.XOpenDisplay.restype = ctypes.c_void_p
        self.display = ctypes.c_void_p(self.x.XOpenDisplay(display.encode()))
        self.x.XDefaultRootWindow.restype = ctypes.c_ulong
        self.root = ctypes.c_ulong(self.x.XDefaultRootWindow(self.display))
        self.x.XGetImage.restype = ctypes.c_void_p
        self.x.XGetPixel.restype = ctypes.c_ulong

    def pixel(self, x, y):
        image = ctypes.c_void_p(self.x.XGetImage(self.display, self.root, x, y, 1, 1, ctypes.c_ulong(-1), 2))
        value = self.x.XGetPixel(image, 0, 0) & 0xffffff
        self.x.XDestroyImage(image)
        return value

    def press(self, keycode):
        for down in (1, 0):
            self.test.XTestFakeKeyEvent(self.display, keycode, down, ctypes.c_ulong(0))
        self.x.XFlush(self.display)

    def latency(self, x, y):
        """Milliseconds from a key to another colour."""
        old = self.pixel(x, y)
        begun = time.perf_counter()
        self.press(38)
        while self.pixel(x, y) == old:
            if time.perf_counter() - begun > 5:
                raise TimeoutError("the colour does not change")
        return (time.perf_counter() - begun) * 1000


def latencies(bed, count):
    with Qube(bed, bed.client, "keys", "300", "200", "key") as qube:
        number = qube.window("keys")
        to_place(bed.desktop, number, 200, 200)
        focus(bed.desktop, number)
        bed.desktop.await_pixel(300, 300, 0x0000ff)
        keyboard = Keyboard(bed.desktop.env["DISPLAY"])
        for _ in range(10):
            keyboard.latency(300, 300)
        samples = []
        for _ in range(count):
            samples.append(keyboard.latency(300, 300))
            time.sleep(0.02)
        return sorted(samples)


def memory(pid):
    """(MiB without pictures, MiB of pictures), each page shared among those who have it."""
    plain = pictures = 0
    inside = False
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as f:
        for line in f:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                inside = PIXELS.search(line) is not None
            elif line.startswith("Pss:"):
                value = int(line.split()[1])
                pictures, plain = (pictures + value, plain) if inside else (pictures, plain + value)
    return plain / 1024, pictures / 1024


def ten_windows(bed):
    commands = " & ".join(f"{bed.client} w{i} 800 600 idle" for i in range(10))
    with Qube(bed, "sh", "-c", commands + " & wait") as qube:
        for i in range(10):
            qube.window(f"w{i}")
        time.sleep(1)
        return {"daemon": memory(qube.daemon.process.pid), "agent": memory(qube.agent.pid)}


class Report:
    def __init__(self):
        self.bad = 0

    def say(self, what, value, limit=None, unit=""):
        verdict = ""
        if limit is not None:
            good = value <= limit
            self.bad += not good
            verdict = f"  (limit {limit:g}{unit}: {'kept' if good else 'NOT KEPT'})"
        print(f"{what:62} {value:9.3f}{unit}{verdict}", flush=True)


def repaint(bed, report):
    mine, took = ours(bed, 1280, 720, FRAMES, RATE, 0)
    theirs, their_time = xephyr(bed, 1280, 720, FRAMES, RATE, 0)
    others, _ = xnest(bed, 1280, 720, FRAMES, RATE, 0)
    ms = {name: seconds * 1000 / FRAMES for name, seconds in {**mine, **theirs, **others}.items()}
    for name, value in ms.items():
        report.say(f"1280x720 repaint at {RATE} Hz: CPU per frame, {name}", value, unit=" ms")
    report.say("  frames per second, ours", FRAMES / took)
    report.say("  frames per second, Xephyr", FRAMES / their_time)
    # Xephyr is itself the server that takes the client's picture, which Xwayland is with us: it copies once, Xwayland, agent and
    # daemon copy once each. Xnest has no picture of its own, but gets and sends all through sockets.
    report.say("  CPU of agent + daemon against Xnest", (ms["agent"] + ms["daemon"]) / ms["Xnest"], 1.5)
    report.say("  CPU of agent + daemon against Xephyr", (ms["agent"] + ms["daemon"]) / ms["Xephyr"])
    report.say("  CPU of agent + daemon + Xwayland against Xnest",
               (ms["agent"] + ms["daemon"] + ms["Xwayland"]) / ms["Xnest"])
    _, took = ours(bed, 1280, 720, FRAMES, 0, 0)
    report.say("1280x720 repaint without a pause: client's frames per second", FRAMES / took)
    _, took = xephyr(bed, 1280, 720, FRAMES, 0, 0)
    report.say("  the same, Xephyr", FRAMES / took)


def small_damage(bed, report):
    full, _ = ours(bed, 1920, 1080, 150, 30, 0)
    small, _ = ours(bed, 1920, 1080, 150, 30, 16)
    whole, part = (sum(result[name] for name in ("agent", "daemon")) * 1000 / 150 for result in (full, small))
    report.say("1920x1080 repaint: CPU per frame of agent + daemon", whole, unit=" ms")
    report.say("16x16 in it: CPU per frame of agent + daemon", part, unit=" ms")
    report.say("  as a part of the full repaint", part / whole)
    many, _ = ours(bed, 1920, 1080, 3000, 1000, 16)
    each = sum(many[name] for name in ("agent", "daemon")) * 1000 / 3000
    report.say("16x16 in it, 1000 a second: CPU for each of agent + daemon", each, unit=" ms")
    report.say("  as a part of the full repaint", each / whole, 0.02)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="build")
    parser.add_argument("--keys", type=int, default=300)
    options = parser.parse_args()
    out = os.path.abspath(options.out)
    bed = Bed(tempfile.mkdtemp(prefix="bench-gui-"), f"{out}/gui/gui-daemon", f"{out}/vchan/libvchan.so",
              f"{out}/gui/bulkhead-gui-agent", size="2000x1200")
    bed.client = f"{out}/bench/gui-client"
    report = Report()
    try:
        repaint(bed, report)
        small_damage(bed, report)
        samples = latencies(bed, options.keys)
        report.say("key to pixel: median", statistics.median(samples), 5, " ms")
        report.say("key to pixel: 99th percentile", samples[int(len(samples) * 0.99)], unit=" ms")
        for name, (plain, pictures) in (windows := ten_windows(bed)).items():
            report.say(f"10 windows of 800x600: memory of the {name} beyond pictures", plain, unit=" MiB")
            report.say("  and pictures", pictures, unit=" MiB")
        report.say("  both, beyond pictures", sum(plain for plain, _ in windows.values()), 60, " MiB")
    finally:
        for daemon in bed.daemons:
            daemon.process.kill()
        bed.close()
    sys.exit(1 if report.bad else 0)


main()
