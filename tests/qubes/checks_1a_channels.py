# SPDX-License-Identifier: GPL-2.0-or-later
# Channels between domains: our library and Debian's, in all roles; many calls at a time.
import os
import re
import subprocess

from lib import TOOLS, last_line, need, sh, until
from qube import PROGRAMS, VAULT, WORK, qubes

# A daemon has 256 ports between dom0 and a qube, and 128 from one qube to another; xenstored's quotas are its own.
CALLS, CALLS_BETWEEN = 200, 100
NODES = 1000


def echo(qube, *words):
    """The test program of vchan in dom0 (None) or in a qube, started."""
    text = " ".join(map(str, words))
    command = [f"{PROGRAMS}/vchan-echo", *map(str, words)] if qube is None else qube.command(f"/run/vchan-echo {text}", "root")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def pair(server, client, port, serve, ask):
    numbers = [0 if q is None else q.domid for q in (server, client)]
    ends = [echo(server, "-r", 65536, "-w", 65536, "server", numbers[1], port, *serve),
            echo(client, "client", numbers[0], port, *ask)]
    for end in ends:
        out = end.communicate(timeout=240)[0].decode(errors="replace")
        need(end.returncode == 0 and "result=ok" in out, f"{serve} with {ask}: {last_line(out)}")


def check_vchan():
    """Both roles, dom0 and a qube, and two qubes; small and large pieces, both directions."""
    work, vault = qubes[WORK], qubes[VAULT]
    for qube in (work, vault):
        qube.put("/run/vchan-echo", f"{PROGRAMS}/vchan-echo")
    port = 40
    for ends in ((None, work), (work, None), (work, vault)):
        for serve, ask in ((["echo"], ["check", 200000, 700]), (["sink"], ["source", 2000000, 65536]),
                           (["source", 2000000, 9999], ["sink"])):
            port += 1
            pair(*ends, port, serve, ask)


def check_vchan_stock():
    """Debian's libxenvchan at the other end, in both roles, in dom0 and in the qube."""
    work = qubes[WORK]
    work.put("/run/vchan-stock", f"{PROGRAMS}/vchan-echo-stock")
    for port, server_is_stock in ((60, True), (61, False)):
        for in_qube in (True, False):
            names = ("vchan-stock", "vchan-echo") if server_is_stock else ("vchan-echo", "vchan-stock")
            local = [f"{PROGRAMS}/{'vchan-echo-stock' if n == 'vchan-stock' else n}" for n in names]
            sizes = ["-r", "65536", "-w", "65536"]
            words = [[*sizes, "server", str(0 if in_qube else work.domid), str(port + 10 * in_qube), "echo"],
                     ["client", str(work.domid if in_qube else 0), str(port + 10 * in_qube), "check", "100000", "700"]]
            commands = [work.command(f"/run/{names[i]} {' '.join(words[i])}", "root") if in_qube == (i == 0)
                        else [local[i], *words[i]] for i in range(2)]
            ends = [subprocess.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                    for c in commands]
            for end in ends:
                out = end.communicate(timeout=240)[0].decode(errors="replace")
                need(end.returncode == 0, f"server {names[0]}, in the qube: {in_qube}: {last_line(out)}")


def put_proxy(qube):
    """Debian's vchan-socket-proxy with its libraries, in the qube."""
    program = f"{TOOLS}/vchan-socket-proxy"
    libraries = re.findall(r"=> (/\S*(?:xen|vchan)\S*)", sh("ldd", program))
    qube.out("mkdir -p /run/stock; modprobe xen-privcmd", "root")
    for path in [program, *libraries]:
        qube.put(f"/run/stock/{os.path.basename(path)}", path)


def proxy(qube, mode, server, client, port, first):
    """The proxy between a channel and its standard input, where `first` is already, and output."""
    other = client if mode == "server" else server
    words = f"vchan-socket-proxy --mode={mode} {other} /local/domain/{server}/data/vchan/{client}/{port} -"
    command = [f"{TOOLS}/{words.split()[0]}", *words.split()[1:]]
    if qube:
        command = qube.command(f"LD_LIBRARY_PATH=/run/stock exec /run/stock/{words}", "root")
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.stdin.write(first)
    started.stdin.flush()
    return started


def pattern(size):
    """What "source" of vchan-echo writes."""
    return bytes((i * 0x9E3779B97F4A7C15 >> 56) & 0xFF for i in range(size))


def check_vchan_proxy():
    """Debian's vchan-socket-proxy, as server and as client, in dom0 and in the qube, against our library."""
    work, port, data = qubes[WORK], 80, pattern(60000)
    put_proxy(work)
    for inside in (False, True):
        for mode in ("server", "client"):
            # It sleeps before it looks into the ring for the first time: so it always has something to send at first.
            for first, words in ((data, ["take", len(data)]), (b"x", ["source", len(data), 700])):
                port += 1
                own, other = (work.domid, 0) if inside else (0, work.domid)
                server, client = (own, other) if mode == "server" else (other, own)
                stock = proxy(work if inside else None, mode, server, client, port, first)
                ours = echo(None if inside else work, "client" if mode == "server" else "server", own, port, *words)
                have = stock.stdout.read()
                out = ours.communicate(timeout=90)[0].decode(errors="replace")
                what = f"{mode}, in the qube: {inside}, {words}"
                need(ours.returncode == 0 and f"result=ok bytes={len(data)} " in out, f"{what}: {last_line(out)}")
                need(have == (data if words[0] == "source" else b""), f"{what}: {len(have)} bytes from the proxy")
                stock.stdin.close()
                stock.wait(60)


def agent_of(qube):
    return qube.out("systemctl show -p MainPID --value qubes-qrexec-agent", "root")


USAGE = "ls /proc/{0}/fd | wc -l; sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/{0}/status"


def usage(qube):
    """(descriptors, KiB of memory) of the daemon in dom0, then of the agent in the qube."""
    texts = (sh("sh", "-c", USAGE.format(qube.daemons[0].pid)), qube.out(USAGE.format(agent_of(qube)), "root"))
    return [tuple(map(int, text.split())) for text in texts]


def nodes(qube):
    """What the qube has in XenStore, of its own."""
    return len(sh("xenstore-ls", "-f", f"/local/domain/{qube.domid}/data").splitlines())


def stand(commands):
    """Starts all, waits until each has said its number, and then lets all end."""
    calls = [subprocess.Popen(c, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for c in commands]
    for number, call in enumerate(calls):
        need(call.stdout.readline() == f"{number}\n".encode(), f"call {number} of {len(calls)} has no answer")
    at_once = usage(qubes[WORK]), max(nodes(q) for q in qubes.values())
    for call in calls:
        call.stdin.close()
    for number, call in enumerate(calls):
        need(call.wait(240) == 0, f"call {number}: exit code {call.returncode}")
    return at_once


def check_many_calls():
    """Many calls at a time with the stock quotas of xenstored, twice; daemon and agent are afterwards as before."""
    work = qubes[WORK]
    settled = []
    for _ in range(2):
        (in_dom0, in_qube), most = stand([work.command(f"echo {i}; exec cat >/dev/null") for i in range(CALLS)])
        settled.append(settle(work))
    need(most < NODES, f"{most} nodes in XenStore")
    for before, after in zip(*settled):
        need(after[0] <= before[0] and after[1] <= before[1] + 1024, f"descriptors and KiB: {before}, later {after}")
    return (f"{CALLS} from dom0: daemon {in_dom0[0]} descriptors, {in_dom0[1]} KiB; agent {in_qube[0]} and {in_qube[1]}; "
            f"{most} nodes")


def settle(qube):
    """Usage when all calls have ended here, which dom0 learns a moment later than who called."""
    def quiet():
        have = usage(qube)
        return have if have == usage(qube) else None
    return until("the daemon and the agent come to rest", quiet)


def check_many_between():
    """The same between two qubes, both ways at once: each serves and calls."""
    count = CALLS_BETWEEN
    gates, both = [], []
    for source, target in ((WORK, VAULT), (VAULT, WORK)):
        gates.append(subprocess.Popen(qubes[source].command("exec flock /tmp/gate sh -c 'echo closed; exec cat'"),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        need(gates[-1].stdout.readline() == b"closed\n", "the gate")
        both.append(subprocess.Popen(qubes[source].command(
            f"for i in $(seq {count}); do (echo $i; exec flock -s /tmp/gate true) | qrexec-client-vm {target} test.Cat & "
            "done; wait"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE))
    answers = [sorted(int(call.stdout.readline()) for _ in range(count)) for call in both]
    most = max(nodes(q) for q in qubes.values())
    for gate in gates:
        gate.stdin.close()
        gate.wait(60)
    for call in both:
        need(call.wait(240) == 0, f"exit code {call.returncode}")
    need(answers == [list(range(1, count + 1))] * 2, f"{answers}")
    need(most < NODES, f"{most} nodes in XenStore")
    # The directory of a peer may stay, empty: to remove it takes one of few transactions.
    until("no key of a channel is left", lambda: not any(re.search(r"/vchan/\d+/\d+", sh(
        "xenstore-ls", "-f", f"/local/domain/{q.domid}/data")) for q in qubes.values()))
    return f"{count} each way, {most} nodes"
