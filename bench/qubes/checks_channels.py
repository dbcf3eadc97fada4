# SPDX-License-Identifier: GPL-2.0-or-later
# Channels between two qubes, over our library and over Debian's: what bench/channels.py compares.
import re
import subprocess

from lib import cpus, exits, last_line, need, xl
from qube import PROGRAMS, VAULT, WORK, Qube, policy, qubes

RING = 1 << 20  # the largest of libxenvchan
LARGE = 32 << 20  # the largest of libvchan
ROUNDS, ROUNDS_SEVERAL = 2, 1
# A short and a long run: what the connection itself takes is in both, and not in their difference.
STREAMS_MIB, PINGS = (320, 1600), (500, 4500)
STREAMS_SEVERAL_MIB = (32, 160)
PROGRAM = {"ours": "vchan-echo", "large": "vchan-echo", "stock": "vchan-echo-stock"}
RINGS = {"ours": (RING, RING), "large": (LARGE, 4096), "stock": (RING, RING)}
# What each end does with a chunk: copies it only; makes and checks each byte; looks at each byte, and so is the slower one.
COPY, CHECK, SLOW = "FAST=1", "", "FAST=1 WORK=1"
POLL = "POLL=1"
KINDS = {"stream": (COPY, COPY), "work": (CHECK, CHECK), "slow": (SLOW, COPY), "lazy": (COPY, SLOW)}


def check_channels():
    """Prints what both ends say of themselves, the time of the end that writes or asks, and the exits of both qubes."""
    policy("")
    for name in (WORK, VAULT):
        qubes[name] = Qube(name).start()
    for cpu, qube in enumerate(qubes.values()):
        qube.ready()
        if cpus() > 1:
            xl("vcpu-pin", qube.name, "0", str(cpu), str(cpu))
        for program in set(PROGRAM.values()):
            qube.put(f"/run/{program}", f"{PROGRAMS}/{program}")
    port, several = 40, cpus() > 1
    print(f"BUSY {busy(qubes[WORK])}", flush=True)
    for _ in range(ROUNDS_SEVERAL if several else ROUNDS):
        for library in PROGRAM:
            # Where there is a CPU for each end, both work at the same time, and what they do decides who waits.
            for kind in KINDS if several else ("stream",):
                for size in STREAMS_SEVERAL_MIB if several else STREAMS_MIB:
                    port += 1
                    print(f"BENCH {library} {kind} {size} {both_ends(library, port, 'sink', f'source {size << 20} 65536', KINDS[kind])}", flush=True)
            for count in () if several or library == "large" else PINGS:
                for kind, work in (("ping", (COPY, COPY)), ("poll", (POLL, POLL))):
                    port += 1
                    print(f"BENCH {library} {kind} {count} {both_ends(library, port, 'echo', f'ping {count} 1', work)}", flush=True)


def busy(qube):
    """What a qube exits for that does nothing but work, of itself: its kernel's ticks and the scheduler."""
    before = exits()[qube.domid]
    out = qube.out("a=$(cut -d' ' -f1 /proc/uptime); i=0; while [ $i -lt 2000000 ]; do i=$((i + 1)); done; echo $a $(cut -d' ' -f1 /proc/uptime)")
    start, end = map(float, out.split())
    return f"exits={exits()[qube.domid] - before} seconds={end - start:.2f}"


def both_ends(library, port, serve, ask, work):
    (read, write), program, (reader, writer) = RINGS[library], PROGRAM[library], work
    accept = f"-a {read}" if library == "large" else ""
    words = [(VAULT, f"{reader} /run/{program} -r {read} -w {write} server {qubes[WORK].domid} {port} {serve}"),
             (WORK, f"{writer} /run/{program} {accept} client {qubes[VAULT].domid} {port} {ask}")]
    before = exits()
    ends = [subprocess.Popen(qubes[name].command(text, "root"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            for name, text in words]
    sums, seconds = {"events_sent": 0, "timeouts": 0}, None
    for end in ends:
        out = end.communicate(timeout=240)[0].decode(errors="replace")
        need(end.returncode == 0 and "result=ok" in out and f"_ring={read} " in out, last_line(out))
        for name in sums:
            sums[name] += int(re.search(rf"{name}=(\d+)", out)[1])
        seconds = re.search(r"seconds=(\S+)", out)[1]
    after = exits()
    both = sum(after.get(q.domid, 0) - before.get(q.domid, 0) for q in qubes.values())
    return f"events={sums['events_sent']} timeouts={sums['timeouts']} exits={both} seconds={seconds}"
