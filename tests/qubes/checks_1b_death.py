# SPDX-License-Identifier: GPL-2.0-or-later
# The end of qubes: in the middle of all that can go on between them, from inside, and what is left for the next start.
import subprocess
import time

from lib import need, sh, until
from qube import VAULT, WORK, Qube, qubes

# Nobody gets to its end before the other qube is destroyed; the file is sparse.
BIG = "truncate -s 3G ~/big && exec qvm-copy-to-vm"


def begin(name, text, first=None):
    """A command in a qube, which goes on; `first` is what it says at first."""
    call = subprocess.Popen(qubes[name].command(text), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if first:
        call.stdin.write(first)
        call.stdin.flush()
        need(call.stdout.readline() == first, f"{text}: does not stand")
    return call


def receives(name):
    """Whether something in the qube holds a file that is being copied to it."""
    return qubes[name].out("find /proc/[0-9]*/fd -lname '*/QubesIncoming/*' 2>/dev/null || true", "root") != ""


def check_death():
    """A qube is destroyed in the middle of calls and copies, as caller and as called: dom0 and the other qube hear of it."""
    work, line = qubes[WORK], b"here\n"
    # Each of these would go on for long.
    calls = {"from dom0": begin(VAULT, "cat", line), "to it": begin(WORK, "exec qrexec-client-vm vault test.Cat", line),
             "much to it": begin(WORK, "exec qrexec-client-vm vault test.Cat </dev/zero"),
             "copy to it": begin(WORK, f"{BIG} vault ~/big"), "in it": begin(VAULT, f"{BIG} work ~/big")}
    drain = begin(VAULT, "exec qrexec-client-vm work test.Drain </dev/zero")
    need(drain.stdout.readline() == line, "the call from it does not stand")
    need(len(calls["much to it"].stdout.read(1 << 20)) == 1 << 20, "the stream through it")
    for name in (WORK, VAULT):
        until(f"the copy to {name} has begun", lambda n=name: receives(n))
    for name, call in calls.items():
        need(call.poll() is None, f"{name}: ends too early")
    need(work.call("test -e /tmp/drained")[0] == 1, "the call from it ends too early")
    begun = time.monotonic()
    sh("xl", "destroy", VAULT)
    for name, call in calls.items():
        call.communicate(timeout=120)
        need(call.returncode not in (0, None), f"{name}: ends as if all were well")
    drain.communicate(timeout=120)
    until("the service in the other qube ends", lambda: work.call("test -e /tmp/drained")[0] == 0)
    until("the copy from it ends", lambda: not receives(WORK))
    took = time.monotonic() - begun
    need(work.out("find ~/QubesIncoming -name 'big*'") == "", "a part of the copy is shown")
    qubes.pop(VAULT).forget()
    need(work.out("echo alive") == "alive", "the other qube")
    need(work.call("qrexec-client-vm vault test.Cat </dev/null")[0] == 126, "a call to what is gone")
    return f"all have heard of it after {took:.1f} s"


def check_shutdown():
    """From inside; the private volume stays, the rest is forgotten."""
    qube = qubes.pop(WORK)
    qube.out("echo kept >~/kept; sync")
    qube.out("echo lost >/etc/lost", "root")
    qube.call("systemctl poweroff", "root")
    need(qube.daemons[0].wait(240) is not None, "its daemon")
    qube.forget()


def check_again():
    """The same private volume in a new domain."""
    qube = Qube(WORK)
    qube.start().ready()
    need(qube.out("cat ~/kept") == "kept", "the private volume")
    need(qube.call("test -e /etc/lost")[0] == 1, "the root has kept a change")
    sh("xl", "destroy", WORK)
    qube.forget()
