# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that may come to have more memory than it starts with: populate-on-demand.
from lib import Guest, State, domains, free_pages, left_behind, need, until, xl

NAME = "grows"
SMALL, LARGE = 128, 256
# Random content of 8 MiB, ten times: neither to be shared nor taken for zeros.
FILL = "dd if=/dev/urandom of=/run/seed bs=1M count=8 2>/dev/null; for n in 0 1 2 3 4 5 6 7 8 9; do cat /run/seed; done"


def memory(guest):
    """MiB that its kernel has."""
    return int(guest.run("awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"))


def settles(guest, mib):
    until(f"it has {mib} MiB", lambda: domains()[NAME][1] == mib)
    until("its kernel knows", lambda: mib - 70 < memory(guest) <= mib)


def fills(guest):
    """Uses most of what it has; what is read again is what was written."""
    guest.run(f"mount -o remount,size=200m /run; {{ {FILL}; }} > /run/fill")
    sums = guest.run("head -c 8388608 /run/fill | sha256sum; tail -c 8388608 /run/fill | sha256sum; "
                     "sha256sum < /run/seed").split()
    need(sums[0] == sums[2] == sums[4], "the memory does not keep its content")
    guest.run("rm /run/fill /run/seed")


def check_maxmem():
    state, pages = State(), free_pages()
    guest = Guest(NAME, memory=SMALL, more=f"maxmem = {LARGE}").create("-p")
    taken = (pages - free_pages()) // 256
    need(SMALL <= taken < SMALL + 16, f"{taken} MiB are taken for a guest of {SMALL}")
    need(domains()[NAME][1] == SMALL, f"xl list says {domains()[NAME]}")
    xl("unpause", NAME)
    guest.up()
    settles(guest, SMALL)
    small = memory(guest)
    xl("mem-set", NAME, str(LARGE))
    settles(guest, LARGE)
    need(memory(guest) > small + 100, f"{small} MiB, then {memory(guest)}")
    fills(guest)
    xl("mem-set", NAME, str(SMALL))
    settles(guest, SMALL)
    taken = (pages - free_pages()) // 256
    need(taken < SMALL + 16, f"{taken} MiB are taken")
    before = guest.domid
    xl("reboot", NAME)
    until("it comes again", lambda: domains().get(NAME, (before,))[0] != before and "p" not in domains()[NAME][3])
    guest.attach()
    guest.up()
    settles(guest, SMALL)
    guest.destroy()
    left_behind(state)
    return f"{small} MiB of its own"
