# SPDX-License-Identifier: GPL-2.0-or-later
# Channels between two qubes, over our library and over Debian's: what bench/channels.py compares.
import re
import subprocess

from lib import cpus, exits, last_line, need, xl
from qube import PROGRAMS, VAULT, WORK, Qube, policy, qubes

RING = 1 << 20  # the largest of both
ROUNDS = 2
# A short and a long run: what the connection itself takes is in both, and not in their difference.
STREAMS_MIB, PINGS = (64, 320), (500, 4500)
PROGRAM = {"ours": "vchan-echo", "stock": "vchan-echo-stock"}


def check_channels():
    """Prints what both ends say of themselves, the time of the end that writes or asks, and the exits of both qubes."""
    policy("")
    for name in (WORK, VAULT):
        qubes[name] = Qube(name).start()
    for cpu, qube in enumerate(qubes.values()):
        qube.ready()
        if cpus() > 1:
            xl("vcpu-pin", qube.name, "0", str(cpu), str(cpu))
        for program in PROGRAM.values():
            qube.put(f"/run/{program}", f"{PROGRAMS}/{program}")
    port, several = 40, cpus() > 1
    for _ in range(ROUNDS):
        for library, program in PROGRAM.items():
            for size in STREAMS_MIB:
                ask = f"source {size << 20} 65536"
                port += 2
                print(f"BENCH {library} stream {size} {both_ends(program, port, 'sink', ask)}", flush=True)
                # Ends that make and check each byte run at the same time, where there is a CPU for each.
                if several:
                    print(f"BENCH {library} work {size} {both_ends(program, port + 1, 'sink', ask, fast='')}", flush=True)
            for count in () if several else PINGS:
                port += 1
                print(f"BENCH {library} ping {count} {both_ends(program, port, 'echo', f'ping {count} 1')}", flush=True)


def both_ends(program, port, serve, ask, fast="FAST=1"):
    words = [(VAULT, f"{fast} /run/{program} -r {RING} -w {RING} server {qubes[WORK].domid} {port} {serve}"),
             (WORK, f"{fast} /run/{program} client {qubes[VAULT].domid} {port} {ask}")]
    before = exits()
    ends = [subprocess.Popen(qubes[name].command(text, "root"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            for name, text in words]
    sums, seconds = {"events_sent": 0, "timeouts": 0}, None
    for end in ends:
        out = end.communicate(timeout=240)[0].decode(errors="replace")
        need(end.returncode == 0 and "result=ok" in out and f"read_ring={RING} " in out, last_line(out))
        for name in sums:
            sums[name] += int(re.search(rf"{name}=(\d+)", out)[1])
        seconds = re.search(r"seconds=(\S+)", out)[1]
    after = exits()
    both = sum(after.get(q.domid, 0) - before.get(q.domid, 0) for q in qubes.values())
    return f"events={sums['events_sent']} timeouts={sums['timeouts']} exits={both} seconds={seconds}"
