# SPDX-License-Identifier: GPL-2.0-or-later
# Eight guests at once, of one to eight vCPUs, with one disk between them all, a disk for each, and a network.
import hashlib
import os
import re

from lib import Guest, RANDOM, State, WORK, cpus, disk, domains, image, left_behind, need, progress, until, vif

GUESTS = 8
SENT = 2 << 20
# How far a guest has come, once in a while. Each beat starts two programs: twenty a second of each of eight guests took all of
# the CPU on stock Xen, so that reading a disk took them from ten seconds to more than fifty.
BEAT = "(n=0; while true; do n=$((n + 1)); echo $n > /run/new; mv /run/new /run/beat; sleep 1; done) &"
SETUP = ("modprobe xen-blkfront; modprobe xen-netfront; until [ -b /dev/xvda ] && [ -b /dev/xvdb ]; do sleep 1; done; "
         "ifconfig eth0 10.9.0.{address} netmask 255.255.255.0 up; " + BEAT + " until [ -s /run/beat ]; do usleep 1000; done")


def all_at_once(guests, command):
    """What the command prints in each guest; all of them work on it together."""
    started = [guest.start(command(n) if callable(command) else command) for n, guest in enumerate(guests, 1)]
    return [guest.finish(one) for guest, one in zip(guests, started)]


def check_eight_guests():
    before = State()
    image("shared.img", 8, RANDOM)
    # One after the other: dom0's one vCPU would have its share of many that start at the same time.
    guests = []
    for n in range(1, GUESTS + 1):
        image(f"own{n}.img", 4)
        config = (f"disk = [ '{disk('shared.img', 'xvda', 'ro')}', '{disk(f'own{n}.img', 'xvdb', 'rw')}' ]\n"
                  f"vif = [ '{vif(10 + n)}' ]")
        guests.append(Guest(f"guest{n}", memory=256, vcpus=n, more=config).create().up())
        progress(f"{n} up")
    found = domains()
    need(len(found) == GUESTS + 1, f"{len(found)} domains")
    need(all(found[guest.name][1:3] == (256, n) for n, guest in enumerate(guests, 1)), f"xl list says {found}")
    all_at_once(guests, lambda n: SETUP.format(address=10 + n))
    # Each vCPU does something.
    have = all_at_once(guests, "for cpu in $(grep ^processor /proc/cpuinfo | tr -dc '0-9\\n'); do "
                       "taskset -c $cpu awk '{ print $39 }' /proc/self/stat; done")
    need([len(set(text.split())) for text in have] == list(range(1, GUESTS + 1)), f"vCPUs: {have}")
    progress("all have their vCPUs and devices")
    disks(guests)
    progress("all have read the one disk and written their own")
    network(guests)
    progress("all have talked to each other")
    side_by_side(guests)
    for guest in guests:
        guest.destroy()
    left_behind(before)
    return f"{GUESTS * (GUESTS + 1) // 2} vCPUs on {cpus()}"


def disks(guests):
    """What everybody reads of the shared disk and copies to its own is what dom0 finds there."""
    want = hashlib.sha256(RANDOM).hexdigest()
    sums = all_at_once(guests, f"head -c {len(RANDOM)} /dev/xvda | tee /run/seen | sha256sum; "
                       "dd if=/run/seen of=/dev/xvdb bs=64k conv=fsync 2>/dev/null; rm /run/seen")
    wrong = [guest.name for guest, text in zip(guests, sums) if text.split()[0] != want]
    need(not wrong, f"wrong content of the shared disk in {wrong}")
    for n in range(1, GUESTS + 1):
        with open(os.path.join(WORK, f"own{n}.img"), "rb") as f:
            need(f.read(len(RANDOM)) == RANDOM, f"the disk of guest{n} does not have what the guest wrote")


def network(guests):
    """Everybody pings the next one; pairs copy data, and compare its checksum. The receiver's input never ends, as it would
    end its side of the connection with it, upon which the sender leaves."""
    all_at_once(guests, lambda n: f"ping -c 3 10.9.0.{10 + n % GUESTS + 1}")
    for a, b in zip(guests[::2], guests[1::2]):
        address = 10 + int(b.name[5:])
        b.run("mkfifo /run/in; nc -l -p 5000 <> /run/in > /run/got & until netstat -ltn | grep -q :5000; do sleep 1; done")
        sent = a.run(f"head -c {SENT} /dev/urandom > /run/sent; nc 10.9.0.{address} 5000 < /run/sent; "
                     "sha256sum /run/sent")
        # Not "wait": the beat never ends.
        got = b.run("while pidof nc > /dev/null; do sleep 1; done; wc -c < /run/got; sha256sum /run/got").split()
        need(re.match(r"[0-9a-f]{64} ", sent) and sent.split()[0] == got[1],
             f"{a.name} to {b.name}: the checksums differ, {got[0]} bytes arrived")


def side_by_side(guests):
    """From one look at all of them to another, each one has gone on: they do run at the same time, not one after another."""
    def beats():
        return [int(text) for text in all_at_once(guests, "cat /run/beat")]

    before = beats()
    until("all guests go on", lambda: all(b > a for a, b in zip(before, beats())))
