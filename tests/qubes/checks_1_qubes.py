# SPDX-License-Identifier: GPL-2.0-or-later
# Two qubes of the template: vchan, QubesDB and qrexec between them and dom0.
import hashlib
import os
import subprocess
import time

from lib import need, sh, until
from qube import VAULT, WORK, Qube, answer_questions, policy, qubes, start_database, vm

DATA = hashlib.shake_256(b"qubes").digest(2 << 20)
SERVICES = {
    "test.Cat": "#!/bin/sh\nexec cat\n",
    "test.Who": '#!/bin/sh\necho "$QREXEC_REMOTE_DOMAIN $QREXEC_SERVICE_ARGUMENT $(id -un)"\nexit 7\n',
    "test.Never": "#!/bin/sh\necho reached\n",
    # Says in a file that its caller is gone.
    "test.Drain": "#!/bin/sh\necho here\ncat >/dev/null\necho >/tmp/drained\n",
}


def check_start():
    """Both boot from one read-only device."""
    policy("test.Cat * work vault allow\ntest.Cat * vault work allow\ntest.Who * work vault allow\n"
           "test.Who * work @adminvm allow\ntest.Never * @anyvm @anyvm deny\ntest.Asked * work vault ask\n"
           "test.Drain * vault work allow\nqubes.Filecopy * @anyvm @anyvm allow\n")
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
    inside = subprocess.Popen(qube.command("qubesdb-watch /told/"), stdout=subprocess.PIPE)
    while inside.poll() is None:
        qube.qdb("write", "/told/x", "1")
    need(inside.stdout.read() == b"/told/x\n", "no event in the qube")
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
    both = subprocess.run(qube.command("echo out; echo err >&2; exit 3"), stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=90, check=False)
    need((both.returncode, both.stdout, both.stderr) == (3, b"out\n", b"err\n"), f"standard error: {both}")
    begun = time.monotonic()
    code, out = qube.call("cat", data=DATA)
    need(code == 0 and out == DATA, f"{len(out)} of {len(DATA)} bytes came back")
    return f"{len(DATA) >> 20} MiB there and back in {time.monotonic() - begun:.1f} s"


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


def check_ask():
    """A question that the user answers with no, with another target than the possible ones, with yes."""
    qubes[VAULT].out("cp /etc/qubes-rpc/test.Cat /etc/qubes-rpc/test.Asked", "root")
    for answer, wanted in (("deny", (126, b"")), ("allow:dom0", (126, b"")), ("allow:vault", (0, b"asked"))):
        answer_questions(answer)
        have = vm(WORK, VAULT, "test.Asked", b"asked")
        need(have == wanted, f"{answer}: {have}")
    need('"source": "work", "service": "test.Asked"' in answer_questions(None), "the question")


# What qvm-copy is to keep, of a tree with all that it can have.
TREE = ("mkdir -p ~/tree/empty ~/tree/deep/er; cd ~/tree; head -c 3000001 /dev/urandom >deep/large; "
        "seq 20 | while read i; do echo $i >deep/er/$i; done; chmod 640 deep/er/7; chmod 755 deep/er/8; "
        "ln -s deep/large link; touch -d @1600000000 deep/er/9; chmod 711 deep; touch 'with space'")
STATE = "find . -type f -exec sha256sum {} + | sort; find . -printf '%P %y %m %s %l\\n' | grep -v ' d ' | sort; stat -c '%a %Y' deep deep/er/9"


def check_copy():
    """qvm-copy and qvm-move from qube to qube: contents, modes, times, links; nothing of it in the wrong place."""
    work, vault = qubes[WORK], qubes[VAULT]
    work.out(TREE)
    wanted = work.out(f"cd ~/tree; {STATE}")
    work.out("qvm-copy-to-vm vault ~/tree")
    need(vault.out(f"cd ~/QubesIncoming/work/tree; {STATE}") == wanted, "the copy is another one")
    need(work.out(f"cd ~/tree; {STATE}") == wanted, "qvm-copy has changed what it copied")
    code, out = work.call("qvm-copy-to-vm vault ~/tree 2>&1")
    need(code != 0 and b"tree" in out, f"over what is there: exit code {code}: {out!r}")
    work.out("mv ~/tree ~/moved; qvm-move-to-vm vault ~/moved")
    need(vault.out(f"cd ~/QubesIncoming/work/moved; {STATE}") == wanted, "what was moved is another one")
    need(work.call("test -e ~/moved")[0] == 1, "qvm-move leaves the original")
    need(vault.out("ls -A ~/QubesIncoming; ls -A ~/QubesIncoming/work") == "work\nmoved\ntree", "what else is there")
    vault.out("rm -r ~/QubesIncoming")
