# SPDX-License-Identifier: GPL-2.0-or-later
# What must fail fails with a message, and nothing stays behind, neither of that nor of many creations in a row.
import os
import re
import subprocess

from lib import Guest, HERE, State, WORK, domains, image, left_behind, need, run, sh, until, value, xl

# bh.cycles= on the kernel command line: more of them.
CYCLES = int(re.search(r"bh\.cycles=(\d+)|$", sh("cat", "/proc/cmdline"))[1] or 20)
# A test kernel that ends by itself.
TINY = os.path.join(HERE, "leftovers.elf")
ENDS = 'on_reboot = "destroy"'


def refused(guest, *words):
    """Creation fails and says one of the words."""
    before = State()
    code, out = run("xl", "create", guest.config)
    need(code != 0, "xl create succeeds")
    need(any(word in out for word in words), f"xl create does not say why: {out.strip()[-300:]}")
    until("no domain is left", lambda: list(domains()) == ["Domain-0"])
    left_behind(before)
    reason = next(line.split("error: ")[-1] for line in out.splitlines() if any(word in line for word in words))
    # Without ids of processes and domains.
    value("says", f"{code} {re.sub(r'[[]?[0-9]{2,}[]]?|Domain [0-9]+', 'N', reason)}")
    return reason


def check_too_little_memory():
    return refused(Guest("large", memory=100000), "free memory", "memory")


def check_absent_kernel():
    return refused(Guest("kernelless", kernel="/nowhere/vmlinux"), "No such file")


def check_not_a_kernel():
    return refused(Guest("nonsense", kernel=image("nonsense", 1, b"text" * 100000)), "loader", "kernel")


def check_bad_config():
    path = os.path.join(WORK, "bad.cfg")
    guest = Guest("bad")
    with open(path, "a", encoding="ascii") as f:
        f.write("memory = = 3\n")
    return refused(guest, "syntax error", "parsing")


def check_too_many_vcpus():
    return refused(Guest("wide", vcpus=129), "vcpus", "creation")


def check_absent_disk():
    return refused(Guest("diskless", more="disk = [ '/nowhere/disk.img,raw,xvda,w' ]"), "/nowhere/disk.img")


def check_absent_bridge():
    return refused(Guest("lonely", more="vif = [ 'bridge=nowhere' ]"), "bridge", "hotplug")


def run_to_its_end(number):
    """The test kernel ends by itself; xl waits for it, and cleans up."""
    guest = Guest(f"cycle{number}", memory=32, kernel=TINY, more=ENDS)
    xl("create", "-q", guest.config)
    guest.gone()


def destroyed(number):
    guest = Guest(f"cycle{number}", memory=32, kernel=TINY)
    xl("create", "-q", "-p", guest.config)
    guest.destroy()


def destroyed_in_creation(number):
    """xl is killed as soon as the domain exists, or some looks at the list of domains later."""
    guest = Guest(f"cycle{number}", memory=512)
    with subprocess.Popen(["xl", "create", "-q", guest.config], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as creator:
        until("a domain exists", lambda: len(domains()) > 1)
        for _ in range(number // len(WAYS) % 4):
            domains()
        creator.kill()
    for name, (domid, *_) in domains().items():
        if name != "Domain-0":
            xl("destroy", str(domid))
    until("it is gone", lambda: list(domains()) == ["Domain-0"])


def crashed(number):
    guest = Guest(f"cycle{number}", memory=128, more='on_crash = "destroy"').create().up()
    os.write(guest.master, b"0 echo c > /proc/sysrq-trigger\n")
    guest.gone()


WAYS = [destroyed, run_to_its_end, destroyed_in_creation, destroyed, run_to_its_end]
# So many of them with one that has booted Linux, and crashes.
CRASH_EVERY = 20


def check_cycles():
    for way in WAYS[:3]:
        way(0)
    before = State()
    for number in range(CYCLES):
        (crashed if number % CRASH_EVERY == CRASH_EVERY - 1 else WAYS[number % len(WAYS)])(number + 1)
    # Less than one for each domain.
    left_behind(before, more=CYCLES // 4)
    return f"{CYCLES} domains"
