# SPDX-License-Identifier: GPL-2.0-or-later
# Two qubes of the template: vchan, QubesDB and qrexec between them and dom0.
import hashlib
import os
import subprocess
import time

from lib import last_line, need, sh, until
from qube import PROGRAMS, Qube, policy, start_database

WORK, VAULT = "work", "vault"
qubes = {}
DATA = hashlib.shake_256(b"qubes").digest(2 << 20)
SERVICES = {
    "test.Cat": "#!/bin/sh\nexec cat\n",
    "test.Who": '#!/bin/sh\necho "$QREXEC_REMOTE_DOMAIN $QREXEC_SERVICE_ARGUMENT $(id -un)"\nexit 7\n',
    "test.Never": "#!/bin/sh\necho reached\n",
}


def check_start():
    """Both boot from one read-only device."""
    policy("test.Cat * work vault allow\ntest.Cat * vault work allow\ntest.Who * work vault allow\n"
           "test.Who * work @adminvm allow\ntest.Never * @anyvm @anyvm deny\n")
    begun = time.monotonic()
    for name in (WORK, VAULT):
        qubes[name] = Qube(name).start()
    for qube in qubes.values():
        qube.ready()
    took = time.monotonic() - begun
    for qube in qubes.values():
        need(qube.out("findmnt -n -o FSTYPE /") == "overlay", "the root is no overlay")
        for name, text in SERVICES.items():
            qube.out(f"cat >/etc/qubes-rpc/{name}; chmod 755 /etc/qubes-rpc/{name}", "root", text.encode())
    return f"both take calls after {took:.0f} s"


def check_settled():
    """Nothing in the qube failed to start."""
    qube = qubes[WORK]
    state = until("the boot ends", lambda: (s := qube.call("systemctl is-system-running")[1].decode().strip())
                  in ("running", "degraded") and s)
    failed = qube.call("systemctl --failed --no-legend --plain")[1].decode().replace("\n", "; ")
    need(state == "running", f"{state}: {failed}")
    need(qube.out("hostname") == WORK, qube.out("hostname"))
    need(qube.out("date +%z") == "+0300", "the time zone is not that of QubesDB")
    need(qube.out("findmnt -n -o SOURCE /rw") == "/dev/xvdb", "no private volume")
    need(qube.out("id -un; id -Gn; stat -c %G /dev/xen/gntdev /dev/xen/gntalloc").split()
         == ["user", "user", "qubes", "qubes", "qubes"], "users and groups")
    need(qube.out("cat /sys/module/xen_gntalloc/parameters/limit") == "262144", "limit of gntalloc")


def check_qubesdb():
    qube = qubes[WORK]
    need(qube.out("qubesdb-read /name; qubesdb-read /qubes-vm-type") == "work\nAppVM", "entries of the start")
    need(qubes[VAULT].out("qubesdb-read /name") == "vault", "the other qube has another database")
    qube.qdb("write", "/from-dom0", "1")
    need(qube.out("qubesdb-read -w /from-dom0") == "1", "dom0's change")
    qube.out("qubesdb-write /from-qube 2", "root")
    need(qube.qdb("read", "-w", "/from-qube") == "2", "the qube's change")
    watch = subprocess.Popen(["qubesdb-cmd", "-c", "watch", "-d", WORK, "/seen/"], stdout=subprocess.PIPE)
    # However early or late the watch is: there is a change behind it.
    while watch.poll() is None:
        qube.out("qubesdb-write /seen/x 1", "root")
    need(watch.stdout.read() == b"/seen/x\n", "no event in dom0")
    qube.out("for i in $(seq 200); do echo /many/$i $i; done | xargs qubesdb-write", "root")
    until("all entries", lambda: len(qube.qdb("list", "/many/").split()) == 200)
    qube.out("qubesdb-rm /many/", "root")
    until("none of the entries", lambda: not qube.qdb("list", "/many/"))
    need(qube.out("runuser -u nobody qubesdb-read /name", "root") == "work", "everybody may read")
    need(qube.call("runuser -u nobody qubesdb-write /x y", "root")[0] == 1, "who is not in the group qubes may not write")


def check_qubesdb_restart():
    """Daemons that are killed come back, and nothing is lost."""
    qube = qubes[WORK]
    qube.out("systemctl kill -s KILL qubes-db; qubesdb-write /while-away 1 2>/dev/null || true", "root")
    until("the qube's daemon is back", lambda: qube.call("qubesdb-read /name")[1] == b"work\n")
    with open("/run/qubes/qubesdb.work.pid", encoding="ascii") as f:
        sh("kill", "-9", f.read().strip())
    start_database(qube.domid, WORK)
    qube.qdb("write", "/name", WORK, "/again", "1")
    need(qube.out("qubesdb-read -w /again; qubesdb-read /name") == "1\nwork", "entries after the restart in dom0")


def check_run():
    """Commands from dom0: users, exit codes, standard error, data both ways."""
    qube = qubes[WORK]
    need(qube.out("id -un") == "user" and qube.out("id -un", "root") == "root", "users")
    need(qube.call("exit 42")[0] == 42, "exit code")
    need(qube.call("kill -9 $$")[0] == 137, "signal")
    begun = time.monotonic()
    code, out = qube.call("cat", data=DATA)
    need(code == 0 and out == DATA, f"{len(out)} of {len(DATA)} bytes came back")
    return f"{len(DATA) >> 20} MiB there and back in {time.monotonic() - begun:.1f} s"


def vm(source, target, service, data=b""):
    """A call from one qube to another."""
    return qubes[source].call(f"qrexec-client-vm {target} {service}", data=data)


def check_between():
    """Calls from qube to qube and to dom0, as the policy says."""
    need(vm(WORK, VAULT, "test.Who+argument") == (7, b"work argument user\n"), "identity of the caller")
    for source, target in ((WORK, VAULT), (VAULT, WORK)):
        code, out = vm(source, target, "test.Cat", DATA)
        need(code == 0 and out == DATA, f"{source} to {target}: exit code {code}, {len(out)} bytes")
    need(vm(WORK, VAULT, "test.Never") == (126, b""), "refused by the policy")
    need(vm(VAULT, WORK, "test.Who") == (126, b""), "the other direction is not allowed")
    need(vm(WORK, VAULT, "test.Nothing") == (126, b""), "a service without a rule")
    os.makedirs("/etc/qubes-rpc", exist_ok=True)
    with open("/etc/qubes-rpc/test.Who", "w", encoding="ascii") as f:
        f.write(SERVICES["test.Who"])
    os.chmod("/etc/qubes-rpc/test.Who", 0o755)
    need(vm(WORK, "dom0", "test.Who+x") == (7, b"work x root\n"), "a service of dom0")


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


def check_many_calls():
    """Many calls at a time, from dom0 and from the other qube."""
    count = 20
    calls = [subprocess.Popen(qubes[WORK].command(f"echo {i}; cat >/dev/null"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) for i in range(count)]
    for number, call in enumerate(calls):
        need(call.stdout.readline() == f"{number}\n".encode(), f"call {number} has no answer")
    for call in calls:
        call.stdin.close()
        need(call.wait(240) == 0, f"exit code {call.returncode}")
    code, out = qubes[VAULT].call(f"for i in $(seq {count}); do echo $i | qrexec-client-vm work test.Cat & done; wait")
    need(code == 0 and sorted(map(int, out.split())) == list(range(1, count + 1)), f"exit code {code}: {out!r}")
    return f"{count} at a time"


def check_death():
    """A qube is destroyed in the middle of calls: the callers hear of it, its daemon ends, the other one goes on."""
    to_vault = subprocess.Popen(qubes[VAULT].command("echo here; exec sleep 1000"), stdout=subprocess.PIPE)
    through = subprocess.Popen(qubes[WORK].command("(echo here; exec sleep 1000) | qrexec-client-vm vault test.Cat"),
                               stdout=subprocess.PIPE)
    for call in (to_vault, through):
        need(call.stdout.readline() == b"here\n", "the call does not stand")
    sh("xl", "destroy", VAULT)
    need(to_vault.wait(120) != 0, "dom0's call ends as if all were well")
    qubes.pop(VAULT).forget()
    need(qubes[WORK].out("echo alive") == "alive", "the other qube")
    through.kill()
    through.wait()


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
