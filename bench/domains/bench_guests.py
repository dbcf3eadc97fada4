# SPDX-License-Identifier: GPL-2.0-or-later
# What guests cost under the stock toolstack: creation, requests to disks, data between guests. Runs in dom0 like a check, with
# a clock that counts instructions: time in which the machine was not idle is work, of guests, dom0 and hypervisor together.
import array
import fcntl
import struct
import time

from lib import (Guest, HYPERCALL_SYSCTL, PRIVCMD_HYPERCALL, SYSCTL_VERSION, disk, exits, free_pages, image, loud, vif, xl)

SYSCTL_GETCPUINFO = 8
# The first of them finds no file of the toolstack in memory; with this clock the others are alike.
ROUNDS = 2
MIB = 256
BLOCK_REQUESTS, BLOCK_BYTES = 2000, 4096
BULK_REQUESTS, BULK_BYTES = 64, 65536
NET_MIB = 4


def idle_ns():
    """What the one CPU has been idle, as the hypervisor counts it."""
    result = array.array("B", bytes(16))
    op = struct.pack("<IIIIQI", SYSCTL_GETCPUINFO, SYSCTL_VERSION, 1, 0, result.buffer_info()[0], 0)
    buffer = array.array("B", op + bytes(128))
    call = struct.pack("<6Q", HYPERCALL_SYSCTL, buffer.buffer_info()[0], 0, 0, 0, 0)
    with open("/dev/xen/privcmd", "rb") as f:
        fcntl.ioctl(f, PRIVCMD_HYPERCALL, call)
    return struct.unpack_from("<Q", result)[0]


def clock_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Work:
    """Instructions between its creation and taken()."""

    def __init__(self):
        self.clock, self.idle = clock_ns(), idle_ns()

    def taken(self):
        idle, clock = idle_ns(), clock_ns()
        return (clock - self.clock) - (idle - self.idle)


def report(name, number):
    print(f"BENCH {name} {int(number)}", flush=True)


def check_bench_create():
    """`xl create` until the guest could execute its first instruction, and until its init says so."""
    built, up = [], []
    for number in range(ROUNDS):
        guest = Guest(f"made{number}", memory=MIB)
        last = number == ROUNDS - 1
        if last:
            # Who is told so looks where the CPU is, from outside.
            print("BENCH-LOOK", flush=True)
        work = Work()
        xl("create", "-q", "-p", guest.config)
        built.append(work.taken())
        if last:
            print("BENCH-LOOKED", flush=True)
        guest.attach()
        xl("unpause", guest.name)
        guest.up()
        guest.destroy()
        # Once more without a stop between, as it is used.
        guest = Guest(f"run{number}", memory=MIB)
        before = loud(free_pages)
        work = Work()
        xl("create", "-q", guest.config)
        guest.attach()
        guest.up()
        up.append(work.taken())
        taken = before - loud(free_pages)
        guest.destroy()
    report("xl_create", built[-1])
    report("xl_create_to_init", up[-1])
    report("guest_memory_kib", (taken - MIB * 256) * 4)


def per_request(guest, name, command, requests):
    guest.run(command)  # once for the caches of dom0
    before = exits()
    work = Work()
    guest.run(command)
    report(name, work.taken() / requests)
    after = exits()
    if after.get(guest.domid):
        report(f"{name}_exits_guest", 100 * (after[guest.domid] - before[guest.domid]) / requests)
        report(f"{name}_exits_dom0", 100 * (after[0] - before[0]) / requests)


def check_bench_block():
    image("bench.img", 16)
    guest = Guest("blocks", more=f"disk = [ '{disk('bench.img', 'xvda', 'rw')}' ]").create().up()
    guest.run("modprobe xen-blkfront; until [ -b /dev/xvda ]; do sleep 1; done")
    for name, requests, size in (("block_4k", BLOCK_REQUESTS, BLOCK_BYTES), ("block_64k", BULK_REQUESTS, BULK_BYTES)):
        per_request(guest, f"{name}_read", f"dd if=/dev/xvda of=/dev/null bs={size} count={requests} iflag=direct", requests)
        per_request(guest, f"{name}_write", f"dd if=/dev/zero of=/dev/xvda bs={size} count={requests} oflag=direct", requests)
    guest.destroy()


def check_bench_net():
    guests = [Guest(f"net{n}", more=f"vif = [ '{vif(n)}' ]").create().up() for n in (1, 2)]
    for n, guest in enumerate(guests, 1):
        guest.run("modprobe xen-netfront; until [ -e /sys/class/net/eth0 ]; do sleep 1; done; "
                  f"ifconfig eth0 10.9.0.{n + 20} netmask 255.255.255.0 up")
    a, b = guests
    a.run("ping -c 20 -i 0.01 10.9.0.22")
    work = Work()
    a.run("ping -c 200 -i 0.01 10.9.0.22 > /dev/null")
    report("net_ping", work.taken() / 200)
    b.run("mkfifo /run/in; nc -l -p 5000 <> /run/in > /dev/null & until netstat -ltn | grep -q :5000; do sleep 1; done")
    before = exits()
    work = Work()
    a.run(f"head -c {NET_MIB << 20} /dev/zero | nc 10.9.0.22 5000")
    b.run("wait")
    report("net_copy_mib", work.taken() / NET_MIB)
    after = exits()
    if after.get(a.domid):
        for key, domid in (("sender", a.domid), ("receiver", b.domid), ("dom0", 0)):
            report(f"net_copy_exits_{key}", (after[domid] - before[domid]) / NET_MIB)
    for guest in guests:
        guest.destroy()
