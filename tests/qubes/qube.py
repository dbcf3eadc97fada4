# SPDX-License-Identifier: GPL-2.0-or-later
# A qube of the template as the checks in dom0 see it: started with all its daemons, called by qrexec.
import os
import subprocess

import lib
from lib import HERE, Guest, image, need, run, sh, until, xl

ROOT = "/dev/nvme2n1"  # of the template: one device, read-only, for all qubes
INITRAMFS = os.path.join(HERE, "qube.cpio")
PROGRAMS = os.path.join(HERE, "bin")
RUN = "/run/qubes"
POLICY = "/etc/qubes/policy.d/30-test.policy"
# Volumes are sparse; in a test, little of them is used.
VOLATILE_MIB, PRIVATE_MIB = 512, 4096
os.environ["PATH"] += f":{PROGRAMS}"

running = []
# The two that most checks are about, by name.
WORK, VAULT = "work", "vault"
qubes = {}
# In place of the program that shows the user a question.
PROMPT = "/usr/lib/qubes/qrexec-prompt"


def loop(path):
    return sh("losetup", "--show", "-f", path).strip()


def write_list():
    """What the policy knows of qubes."""
    with open(f"{RUN}/qubes.list.new", "w", encoding="ascii") as f:
        f.writelines(f"{q.name} class=AppVM domid={q.domid}\n" for q in running)
    os.rename(f"{RUN}/qubes.list.new", f"{RUN}/qubes.list")


def policy(text):
    os.makedirs(os.path.dirname(POLICY), exist_ok=True)
    with open(POLICY, "w", encoding="ascii") as f:
        f.write(text)


def answer_questions(answer):
    """From now on the user's answer is this. Returns the last question."""
    if answer is not None:
        os.makedirs(os.path.dirname(PROMPT), exist_ok=True)
        with open(PROMPT, "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\n[ "$1" = ask ] || exit 0\ncat >{RUN}/question\necho {answer}\n')
        os.chmod(PROMPT, 0o755)
    if not os.path.exists(f"{RUN}/question"):
        return ""
    with open(f"{RUN}/question", encoding="ascii") as f:
        return f.read()


def vm(source, target, service, data=b""):
    """A call from one qube to another."""
    return qubes[source].call(f"qrexec-client-vm {target} {service}", data=data)


def load_modules():
    """Of the devices for channels, as modules-load.d and modprobe.d do in dom0's image."""
    sh("modprobe", "xen-gntalloc", "limit=262144")
    for name in ("xen-gntdev", "xen-evtchn"):
        sh("modprobe", name)


def start_database(domid, name):
    """It goes on in the background, with this program's output: that is not waited for."""
    command = ["qubesdb-daemon", "--background", "--pid-file", f"{RUN}/qubesdb.{name}.pid", str(domid), name]
    need(subprocess.run(command, stdin=subprocess.DEVNULL, timeout=lib.LIMIT, check=False).returncode == 0,
         f"the database of {name} does not start")


class Qube(Guest):
    def __init__(self, name, memory=640):
        super().__init__(name)
        private = os.path.join(lib.WORK, f"{name}-private.img")
        if not os.path.exists(private):  # it is there for the qube's next start
            image(f"{name}-private.img", PRIVATE_MIB)
        self.daemons, self.loops = [], [loop(private), loop(image(f"{name}-volatile.img", VOLATILE_MIB))]
        disks = [f"'phy:{ROOT},xvda,r'"] + [f"'phy:{d},{v},w'" for d, v in zip(self.loops, ("xvdb", "xvdc"))]
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f'name = "{name}"\ntype = "pvh"\nmemory = {memory}\nvcpus = 1\nkernel = "{lib.KERNEL}"\n'
                    f'ramdisk = "{INITRAMFS}"\nextra = "console=hvc0 quiet"\nmax_grant_frames = 1024\n'
                    f'disk = [{", ".join(disks)}]\non_reboot = "destroy"\n')

    def start(self):
        """As the manager does: the domain waits until its database is there."""
        os.makedirs(RUN, exist_ok=True)
        load_modules()
        self.create("-p")
        start_database(self.domid, self.name)
        sh("qubesdb-cmd", "-c", "write", "-d", self.name, "/name", self.name, "/qubes-vm-type", "AppVM",
           "/qubes-timezone", "Etc/GMT-3")
        xl("unpause", self.name)
        # Its messages are the test's: what it refuses shows there.
        self.daemons.append(subprocess.Popen(["qrexec-daemon", "--timeout", "600", str(self.domid), self.name, "user"]))
        running.append(self)
        lib.kept.add(self.name)
        write_list()
        return self

    def ready(self):
        until(f"{self.name} takes calls", lambda: self.daemons[0].poll() is not None
              or os.path.exists(f"{RUN}/qrexec.{self.name}"), 600)
        need(self.daemons[0].poll() is None, f"the daemon of {self.name} ended; console: {self.text[-400:]}")
        return self

    def command(self, text, user="user"):
        return ["qrexec-client", "-d", self.name, f"{user}:{text}"]

    def call(self, text, user="user", data=b"", timeout=lib.LIMIT):
        """(exit code, standard output) of a command in the qube."""
        try:
            done = subprocess.run(self.command(text, user), input=data, stdout=subprocess.PIPE, timeout=timeout,
                                  check=False)
        except subprocess.TimeoutExpired as late:
            raise lib.Failed(f"{self.name}: {text}: no end within {timeout} s") from late
        return done.returncode, done.stdout

    def out(self, text, user="user", data=b""):
        """Output of a command in the qube that has to succeed."""
        code, out = self.call(text, user, data)
        need(code == 0, f"{self.name}: {text}: exit code {code}: {out[-200:]!r}")
        return out.decode(errors="replace").strip()

    def put(self, path, source):
        """Copies a program into the qube."""
        with open(source, "rb") as f:
            self.out(f"cat >{path} && chmod 755 {path}", "root", f.read())

    def qdb(self, *words):
        return sh("qubesdb-cmd", "-c", words[0], "-d", self.name, *words[1:]).strip()

    def forget(self):
        """Ends what runs for it in dom0, when the domain is gone."""
        self.gone()
        lib.kept.discard(self.name)
        for daemon in self.daemons:
            try:
                daemon.wait(60)
            except subprocess.TimeoutExpired as late:
                raise lib.Failed(f"the daemon of {self.name} outlives it") from late
        with open(f"{RUN}/qubesdb.{self.name}.pid", encoding="ascii") as f:
            sh("kill", f.read().strip())
        until("QubesDB's daemon ends", lambda: not os.path.exists(f"{RUN}/qubesdb.{self.name}.sock"))
        for device in self.loops:
            until(f"{device} is free", lambda d=device: run("losetup", "-d", d)[0] == 0)
        running.remove(self)
        write_list()
