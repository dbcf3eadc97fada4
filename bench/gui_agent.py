#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures the agent of the windows alone: counts, which are the same on every machine, and processor time.
"""A daemon is played that reads everything. The exit code is 1 if a limit is not kept."""
import os
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from gui.session import OUT, Session  # noqa: E402

FRAMES, SMALL = 200, 500
BAD = []


def cpu(pid):
    """Microseconds of processor time."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e3


def say(what, value, limit=None):
    kept = limit is None or value <= limit
    print(f"{what:66} {value:12.3f}" + ("" if limit is None else f"  (limit {limit}: {'kept' if kept else 'NOT KEPT'})"))
    if not kept:
        BAD.append(what)


def difference(before, after):
    return {name: after[name] - before[name] for name in after}


def frames(width, height):
    """Full repaints at the pace of the agent's frame callbacks."""
    with Session(program=f"{OUT}/gui/bulkhead-gui-agent", options=["--no-x11"], screen=(1920, 1080)) as s:
        client = s.client()
        s.top(client, "one", width, height)
        s.sync(client)
        before, time = s.stats(), cpu(s.agent.pid)
        client.tell(f"repaint one {FRAMES}")
        s.hear(client, f"repainted {FRAMES} pace .*")
        spent = cpu(s.agent.pid) - time
        counts = difference(before, s.stats())
    say(f"{width}x{height} repaint: copies of the picture for each frame",
        counts["copied_bytes"] / counts["commits"] / (width * height * 4), 1)
    say("  second copies, bytes", counts["shadow_bytes"], 0)
    say("  messages of damage for each frame", counts["damage_sent"] / counts["commits"], 1)
    say("  processor time of the agent for each frame, us", spent / counts["commits"])
    return spent / counts["commits"]


def small(width, height, whole):
    """Rectangles of 16x16 pixels in a large window."""
    with Session(program=f"{OUT}/gui/bulkhead-gui-agent", options=["--no-x11"], screen=(1920, 1080)) as s:
        client = s.client()
        s.top(client, "one", width, height)
        s.sync(client)
        before, time = s.stats(), cpu(s.agent.pid)
        for start in range(0, SMALL, 10):
            client.tell(*(f"fill one {(start + i) % 100 * 16} 32 16 16 00ff00" for i in range(10)))
            s.sync(client)
        spent = cpu(s.agent.pid) - time
        counts = difference(before, s.stats())
    say(f"16x16 in {width}x{height}: bytes copied for each", counts["copied_bytes"] / SMALL, 16 * 16 * 4)
    say("  processor time of the agent for each, us", spent / SMALL)
    say("  as a part of the full repaint", spent / SMALL / whole)


def windows():
    """What a window costs beyond its pixels."""
    with Session(program=f"{OUT}/gui/bulkhead-gui-agent", options=["--no-x11"]) as s:
        client = s.client()
        s.top(client, "first", 16, 16)
        s.sync(client)

        def heap():
            with open(f"/proc/{s.agent.pid}/smaps_rollup", encoding="ascii") as f:
                return sum(int(line.split()[1]) for line in f if line.startswith("Private_Dirty:"))
        before = heap()
        client.tell(*(f"toplevel w{i} 16 16 0000ff" for i in range(200)))
        s.daemon.until(lambda: len([w for w in s.daemon.windows.values() if w.mapped]) == 201, "200 windows")
        s.sync(client)
        say("memory of the agent for each window of one page of pixels, KiB", (heap() - before) / 200, 32)


def main():
    small(1920, 1080, frames(1920, 1080))
    frames(1280, 720)
    windows()
    sys.exit(1 if BAD else 0)


main()
