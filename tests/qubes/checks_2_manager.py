# SPDX-License-Identifier: GPL-2.0-or-later
# The manager with the real toolstack: qubes from creation to the end of a disposable, and its own crash.
import json
import os
import subprocess

import lib
from lib import HERE, need, run, sh, until
from qube import INITRAMFS, PROGRAMS, ROOT

LIB = "/var/lib/qubes"
SCHEMA = os.path.join(HERE, "qubes.rng")
manager = []


def qube(*words):
    return sh("qube", *words, timeout=700).strip()


def listed():
    return {q["name"]: q for q in json.loads(qube("ls", "--json"))}


def begin():
    manager.append(subprocess.Popen([f"{PROGRAMS}/qube-manager", "--schema", SCHEMA]))
    until("the manager answers", lambda: run("qube", "ls")[0] == 0)


def check_manager_start():
    """A qube from its creation to its first command."""
    for place in ("kernel", "qubes/debian"):
        os.makedirs(f"{LIB}/{place}", exist_ok=True)
    os.symlink(lib.KERNEL, f"{LIB}/kernel/vmlinux")
    os.symlink(INITRAMFS, f"{LIB}/kernel/initramfs")
    os.symlink(ROOT, f"{LIB}/qubes/debian/root.img")
    begin()
    qube("create", "debian", "TemplateVM")
    qube("create", "personal", "AppVM", "template=debian", "label=green", "memory=384", "private_mib=128", "volatile_mib=512")
    need(qube("run", "personal", "id -un; hostname") == "user\npersonal", "the first command")
    need(listed()["personal"]["state"] == "Running", listed()["personal"]["state"])
    need("personal" in lib.domains(), "xl list does not have it")
    need(qube("run", "--user", "root", "personal", "qubesdb-read /qubes-base-template") == "debian", "QubesDB")


def check_manager_crash():
    """The qube goes on without the manager, and the next one knows it."""
    manager[0].kill()
    manager.pop().wait()
    need(sh("qrexec-client", "-d", "personal", "user:echo alive").strip() == "alive", "the qube without its manager")
    begin()
    need(listed()["personal"]["state"] == "Running", "it is not found again")
    need(qube("run", "personal", "echo again") == "again", "a command after that")


def check_manager_end():
    """Shutdown from outside: the domain, its devices and its daemons are gone."""
    qube("shutdown", "personal")
    need(listed()["personal"]["state"] == "Halted", "state")
    need("personal" not in lib.domains(), "xl list still has it")
    need(sh("losetup", "-n", "-O", "BACK-FILE").strip() == "", "loop devices are left")
    need(not os.path.exists("/run/qubes/qubesdb.personal.sock"), "its database is left")
    manager[0].terminate()
    need(manager.pop().wait(60) == 0, "the manager's exit code")
