# SPDX-License-Identifier: GPL-2.0-or-later
# Hostile guests beside a witness, and what one guest leaves in memory for the next, with the stock toolstack.
import os
import re

from lib import HERE, Failed, Guest, State, domains, free_pages, left_behind, need, until, xl

ATTACKERS = 3
ACTIONS = 4000
REPORT = 250
# Of each kind, by all attackers together.
LEAST = 30
WITNESS_REPORT = 50
PAGES_MIB = 256
# The test kernels map the first 4 GiB.
STAIN_MIB = 3000


def kernel(name):
    return os.path.join(HERE, f"{name}.elf")


def alone(name, memory, words):
    """A guest with a test kernel, which reads its console from the first line on."""
    guest = Guest(name, memory=memory, kernel=kernel(name), extra=words,
                  more="on_poweroff = 'destroy'\non_reboot = 'destroy'\non_crash = 'destroy'").create("-p")
    xl("unpause", name)
    return guest


def beats(witness):
    found = re.findall(r"^beat (\d+)$", witness.text, re.M)
    return int(found[-1]) if found else 0


def goes_on(witness):
    """It complains of nothing, and does more than it had done."""
    before = beats(witness)
    until("the witness goes on", lambda: beats(witness) > before or "RESULT" in witness.text)
    complaint = re.search(r"^RESULT .*$", witness.text, re.M)
    need(not complaint, f"the witness: {complaint and complaint[0]}")


def attack(seed, witness):
    """It ends, dies, or waits for what never comes; then it is destroyed. What it has done: {kind: how often}."""
    guest = alone("attacker", 64, f"seed={seed} actions={ACTIONS} report={REPORT} witness={witness}")
    seen = ""
    while "attacker" in domains():
        try:
            until("something new", lambda: "attacker" not in domains() or guest.text != seen, 10)
        except Failed:
            xl("destroy", "attacker")
        seen = guest.text
    guest.gone()
    lines = re.findall(r"^ATTACKS \d+ (.*)$", guest.text, re.M)
    words = lines[-1].split() if lines else []
    return dict(zip(words[::2], map(int, words[1::2])))


def check_hostile():
    """Dom0 and the witness go on, and all memory comes back."""
    before = State()
    witness = alone("witness", 64, f"report={WITNESS_REPORT}")
    done = {}
    for seed in range(1, ATTACKERS + 1):
        for kind, number in attack(seed, witness.domid).items():
            done[kind] = done.get(kind, 0) + number
        goes_on(witness)
    seldom = [f"{kind} {number}" for kind, number in done.items() if number < LEAST and kind != "second"]
    need(done and not seldom, f"attacks that hardly happened: {seldom or 'all'}")
    witness.destroy()
    left_behind(before)
    faults = done.pop("faults")
    done.pop("second")
    return f"{sum(done.values())} attacks of {len(done)} kinds, {faults} faults"


def check_scrub():
    """Two guests, one after the other, of more than half of the free memory each: they have some of it in common."""
    free = free_pages() // PAGES_MIB
    mib = min(free * 2 // 3, STAIN_MIB)
    need(2 * mib > free, f"{free} MiB are free: too much for this test")
    guest = alone("stain", mib, f"mib={mib}")
    guest.wait_for(r"^marked \d+ pages")
    guest.destroy()
    guest = alone("stain", mib, f"mib={mib} look")
    found = guest.wait_for(r"^looked at (\d+) pages: (\d+) with the mark")
    guest.gone()
    need(found[2] == "0", f"{found[2]} of {found[1]} pages have the mark of another guest")
    return f"{found[1]} pages"
