#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Measures qrexec over the local transport: calls of an empty service by their steps, and qvm-copy of 1 GiB.
"""Usage: qrexec.py DIRECTORY-OF-PROGRAMS. Fails when a measurement is over its limit."""
import getpass
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

CALL_LIMIT_MS = 5.0
COPY_LIMIT = 0.7
MIB = 1 << 20
SIZE = 1024 * MIB
ROUNDS = 5

programs = os.path.abspath(sys.argv[1])
place = tempfile.mkdtemp(prefix="bench-qrexec.", dir="/dev/shm")
running = []


def program(name):
    return os.path.join(programs, name)


def environment(domain, **more):
    return dict(os.environ, LIBVCHAN_URI=f"local:{place}/v?domain={domain}", **more)


def boot(name, domain):
    for directory in ("run", f"{name}.d", "policy", "conf", "home"):
        os.makedirs(os.path.join(place, directory), exist_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    running.append(subprocess.Popen(
        [program("qrexec-agent"), "--socket", f"{place}/{name}.agent", "--service-dir", f"{place}/{name}.d",
         "--config-dir", f"{place}/conf", "--session-dir", f"{place}/session"],
        env=environment(domain, HOME=f"{place}/home"), **quiet))
    running.append(subprocess.Popen(
        [program("qrexec-daemon"), "--socket-dir", f"{place}/run", "--policy-dir", f"{place}/policy", "--qubes",
         f"{place}/qubes", "--service-dir", f"{place}/{name}.d", str(domain), name, getpass.getuser()],
        env=environment(0), **quiet))


def write(name, text, mode=0o644):
    path = os.path.join(place, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, mode)


def prepare():
    write("qubes", "work class=AppVM domid=1\nvault class=AppVM domid=2\n")
    boot("work", 1)
    boot("vault", 2)
    # As many rules as a large desktop has, all of them looked at.
    write("policy/50.policy", "".join(f"bench.Other{i} * @tag:t{i} @anyvm ask\n" for i in range(500)) +
          "* * work vault allow\n* * work @default allow target=vault\n")
    for name in ("work", "vault"):
        write(f"{name}.d/bench.Empty", "#!/bin/true\n", 0o755)
        write(f"{name}.d/qubes.Filecopy", f"#!/bin/sh\nexec {program('qfile-unpacker')}\n", 0o755)
    write("conf/qubes.Filecopy", "built-in=filecopy\n")
    for _ in range(200):
        if all(os.path.exists(f"{place}/run/qrexec.{n}") for n in ("work", "vault")):
            return
        time.sleep(0.05)
    raise TimeoutError("the qubes do not come up")


def calls(title, words, domain):
    steps = {}
    for _ in range(ROUNDS):  # the best of several medians: other programs on the machine only add
        out = subprocess.run([program("bench-call"), *words], env=environment(domain), check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        for name, us in (line.split("=") for line in out.splitlines()):
            steps[name] = min(float(us), steps.get(name, 1e9))
    total = steps.pop("all") / 1000
    parts = ", ".join(f"{name} {us / 1000:.2f}" for name, us in steps.items())
    print(f"qrexec call of an empty service, {title}: median {total:.2f} ms (limit {CALL_LIMIT_MS:.0f}): {parts}")
    return total <= CALL_LIMIT_MS


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def timed_copy(source):
    start = time.monotonic()
    subprocess.run([program("qvm-copy"), source], env=environment(1, QREXEC_AGENT_SOCKET=f"{place}/work.agent"),
                   check=True, stdin=subprocess.DEVNULL)
    return SIZE / MIB / (time.monotonic() - start)


def timed_vchan(source, target):
    start = time.monotonic()
    sender = subprocess.Popen([program("bench-call"), "send", source], env=environment(1))
    subprocess.run([program("bench-call"), "receive", target, str(SIZE)], env=environment(2), check=True)
    sender.wait()
    return SIZE / MIB / (time.monotonic() - start)


def copy():
    """Alternating, the best of each: other programs on the machine disturb both the same way."""
    source, bare = f"{place}/large", f"{place}/bare"
    arrived = os.path.join(place, "home", "QubesIncoming", "work", "large")
    with open("/dev/urandom", "rb") as random, open(source, "wb") as f:
        block = random.read(16 * MIB)
        for i in range(SIZE // len(block)):
            f.write(i.to_bytes(8, "little") + block[8:])
    best = {"copy": 0.0, "vchan": 0.0}
    for _ in range(ROUNDS):
        best["copy"] = max(best["copy"], timed_copy(source))
        good = digest(source) == digest(arrived)
        shutil.rmtree(os.path.dirname(arrived))
        if not good:
            print("qvm-copy: the copy differs")
            return False
        best["vchan"] = max(best["vchan"], timed_vchan(source, bare))
        os.unlink(bare)
    ratio = best["copy"] / best["vchan"]
    print(f"qvm-copy of {SIZE // MIB} MiB, tmpfs to tmpfs: {best['copy']:.0f} MiB/s; a bare vchan between the same files "
          f"{best['vchan']:.0f} MiB/s, ratio {ratio:.2f} (limit {COPY_LIMIT})")
    return ratio >= COPY_LIMIT


def main():
    try:
        prepare()
        service = "DEFAULT:QUBESRPC bench.Empty dom0"
        good = calls("dom0 to qube", ["execute", f"{place}/run", "work", service], 0)
        good &= calls("qube to qube", ["call", f"{place}/work.agent", "vault", "bench.Empty"], 1)
        good &= copy()
        return 0 if good else 1
    finally:
        for process in running:
            process.kill()
            process.wait()
        shutil.rmtree(place)


sys.exit(main())
