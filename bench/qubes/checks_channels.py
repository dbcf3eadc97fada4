# SPDX-License-Identifier: GPL-2.0-or-later
# Channels between two qubes, over our library and over Debian's: what bench/channels.py compares.
import re
import subprocess

from lib import last_line, need
from qube import PROGRAMS, VAULT, WORK, Qube, policy, qubes

RING = 1 << 20  # the largest of both
MIB, PINGS, ROUNDS = 64, 500, 3
PROGRAM = {"ours": "vchan-echo", "stock": "vchan-echo-stock"}


def check_channels():
    """Prints what both ends say of themselves, and the time of the end that writes or asks."""
    policy("")
    for name in (WORK, VAULT):
        qubes[name] = Qube(name).start()
    for qube in qubes.values():
        qube.ready()
        for program in PROGRAM.values():
            qube.put(f"/run/{program}", f"{PROGRAMS}/{program}")
    port = 40
    for _ in range(ROUNDS):
        for library, program in PROGRAM.items():
            for what, serve, ask in (("stream", "sink", f"source {MIB << 20} 65536"), ("ping", "echo", f"ping {PINGS} 1")):
                port += 1
                print(f"BENCH {library} {what} {both_ends(program, port, serve, ask)}", flush=True)


def both_ends(program, port, serve, ask):
    words = [(VAULT, f"FAST=1 /run/{program} -r {RING} -w {RING} server {qubes[WORK].domid} {port} {serve}"),
             (WORK, f"FAST=1 /run/{program} client {qubes[VAULT].domid} {port} {ask}")]
    ends = [subprocess.Popen(qubes[name].command(text, "root"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            for name, text in words]
    sums, seconds = {"events_sent": 0, "timeouts": 0}, None
    for end in ends:
        out = end.communicate(timeout=240)[0].decode(errors="replace")
        need(end.returncode == 0 and "result=ok" in out and f"read_ring={RING} " in out, last_line(out))
        for name in sums:
            sums[name] += int(re.search(rf"{name}=(\d+)", out)[1])
        seconds = re.search(r"seconds=(\S+)", out)[1]
    return f"events={sums['events_sent']} timeouts={sums['timeouts']} seconds={seconds}"
