#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# make gui-demo: two qubes on one host, over the local transport, on the user's display or one of Xvfb.
"""Qube "work" is red and runs a GTK program and xterm, qube "mail" is blue and runs a native Wayland program. Without
DISPLAY a picture of the screen of Xvfb is written, and the demonstration ends."""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from gui.bed import LABELS, POLICY  # noqa: E402
from gui.desktop import Desktop  # noqa: E402

QUBES = [("work", "red", 7, "gtk3-widget-factory & xterm -T 'xterm in work' -geometry 60x12 & wait"),
         ("mail", "blue", 9, "foot -T 'Wayland in mail' -w 420x260")]


def start(place, out, env, qube):
    name, label, domain, command = qube
    directory = os.path.join(place, name)
    os.makedirs(os.path.join(directory, "runtime"))
    daemon = subprocess.Popen(
        [f"{out}/gui/gui-daemon", "-d", str(domain), "-N", name, "-l", label, "-u", f"local:{directory}?domain=0",
         "--clipboard-dir", place, "-q", f"{place}/qubes.list", "-p", place, "--legacy-dir", place], env=env)
    inside = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    agent = subprocess.Popen([f"{out}/gui/bulkhead-gui-agent", "-u", f"local:{directory}?domain={domain}", "--",
                              "sh", "-c", command], env=dict(inside, XDG_RUNTIME_DIR=f"{directory}/runtime"),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [agent, daemon]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="build")
    parser.add_argument("--picture", default="build/gui-demo.png", help="without DISPLAY: where the picture goes")
    options = parser.parse_args()
    place = tempfile.mkdtemp(prefix="gui-demo-")
    with open(f"{place}/qubes.list", "w", encoding="ascii") as f:
        f.writelines(f"{name} class=AppVM domid={domain}\n" for name, _, domain, _ in QUBES)
    with open(f"{place}/50-demo.policy", "w", encoding="ascii") as f:
        f.write(POLICY)
    desktop = None if os.environ.get("DISPLAY") else Desktop(place, "1600x1000")
    env = desktop.env if desktop else dict(os.environ, GDK_BACKEND="x11")
    processes = []
    try:
        for qube in QUBES:
            processes += start(place, options.out, env, qube)
        if not desktop:
            print("Ctrl+C ends it. Ctrl+Shift+C and Ctrl+Shift+V copy between the qubes.")
            processes[0].wait()
            return
        for title in ("[work] gtk3-widget-factory", "[work] xterm in work", "[mail] Wayland in mail"):
            number = desktop.find(title)
            desktop.until(lambda w=number: "IsViewable" in desktop.run("xwininfo", "-id", w), f"{title} is not shown")
            desktop.run("xdotool", "windowraise", number)
        desktop.until(lambda: all(desktop.picture().count(LABELS[label]) for _, label, _, _ in QUBES), "no frames")
        time.sleep(2)  # for a picture, not for a test: the programs draw at their own pace
        desktop.picture().save(options.picture)
        print(f"{options.picture}: the screen with {len(QUBES)} qubes")
    except KeyboardInterrupt:
        pass
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        if desktop:
            desktop.close()
        shutil.rmtree(place, ignore_errors=True)


main()
