# SPDX-License-Identifier: GPL-2.0-or-later
# One guest: creation and destruction, then every command on a guest that lives through all of them.
import hashlib
import json
import os
import re
import struct

from lib import (BZIMAGE, Guest, RANDOM, State, WORK, answer, cpus, disk, domains, free_pages, image, last_line, left_behind,
                 need, run, sh, until, value, vif, xenstore, xl)

WORKER = "worker"
worker_now = []


def check_create_destroy():
    """The packed kernel as Debian ships it; console out and in; nothing of it stays behind."""
    before = State()
    guest = Guest("first", memory=256, kernel=BZIMAGE, extra="").create()
    guest.wait_for(r"Booting kernel on Xen PVH|Booting paravirtualized kernel on Xen PVH")
    guest.up()
    need(domains()["first"][1:3] == (256, 1), f"xl list says {domains()['first']}")
    need(guest.run("echo $((6 * 7))") == "42", "the console's input does not arrive")
    for name in ("type", "guest_type", "version/major", "version/minor", "properties/features", "properties/pagesize"):
        value(name.replace("/", "-"), guest.run(f"cat /sys/hypervisor/{name}"))
    memory = int(guest.run("awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"))
    need(190 < memory < 256, f"{memory} MiB of memory")
    bad = guest.run("dmesg | grep -E 'BUG:|WARNING: CPU|Call Trace|Oops|unchecked MSR|RIP: 0010' | head -n 1; true")
    need(not bad, f"the kernel complains: {bad}")
    guest.destroy()
    left_behind(before)
    return f"{memory} MiB"


def worker():
    """A guest of two vCPUs of at most four, with a disk to read, a disk to write and a network interface."""
    if WORKER not in domains():
        image("ro.img", 8, RANDOM)
        image("rw.img", 16)
        guest = Guest(WORKER, memory=192, vcpus=2, more=f"maxvcpus = 4\non_crash = \"preserve\"\n"
                      f"disk = [ '{disk('ro.img', 'xvda', 'ro')}', '{disk('rw.img', 'xvdb', 'rw')}' ]\n"
                      f"vif = [ '{vif(2)}' ]")
        worker_now[:] = [guest.create().up()]
        guest.run("modprobe xen-blkfront; modprobe xen-netfront; until [ -b /dev/xvdb ]; do sleep 1; done")
    return worker_now[0]


def check_list_long():
    """What the toolstack and the store say of the guest."""
    guest = worker()
    found, = json.loads(xl("list", "-l", WORKER))
    need(found["domid"] == guest.domid and found["config"]["c_info"]["name"] == WORKER, str(found)[:100])
    need(found["config"]["c_info"]["type"] == "pvh" and found["config"]["b_info"]["max_vcpus"] == 4, str(found)[:100])
    value("configuration", json.dumps(found["config"]["b_info"], sort_keys=True))
    base = f"/local/domain/{guest.domid}"
    lines = [line for line in sh("xenstore-ls", "-f", base).splitlines() if "/device/" not in line]
    value("store", [line.split(" = ")[0][len(base):] for line in lines])


def check_block():
    guest = worker()
    want = hashlib.sha256(RANDOM).hexdigest()
    have = guest.run(f"head -c {len(RANDOM)} /dev/xvda | sha256sum").split()[0]
    need(have == want, "what is read is not what the image has")
    need(guest.run("cat /sys/block/xvda/ro /sys/block/xvdb/ro").split() == ["1", "0"], "xvda is not read-only")
    need(guest.run("dd if=/dev/zero of=/dev/xvda bs=4096 count=1 conv=fsync 2>/dev/null && echo written; true") == "",
         "the read-only disk can be written")
    guest.run(f"head -c {len(RANDOM)} /dev/xvda | dd of=/dev/xvdb bs=64k seek=16 conv=fsync 2>/dev/null")
    with open(os.path.join(WORK, "rw.img"), "rb") as f:
        f.seek(1 << 20)
        need(f.read(len(RANDOM)) == RANDOM, "what the guest wrote is not in the image")
    need(guest.run("dd if=/dev/xvdb bs=64k skip=16 count=32 iflag=direct 2>/dev/null | sha256sum").split()[0] == want,
         "what the guest wrote does not come back")
    return f"{len(RANDOM) >> 20} MiB each way"


def check_block_attach():
    guest = worker()
    loops = sh("losetup", "-a")
    image("more.img", 4, RANDOM[:4096])
    xl("block-attach", WORKER, disk("more.img", "xvdc", "rw"))
    guest.run("until [ -b /dev/xvdc ]; do sleep 1; done")
    need(len(xl("block-list", WORKER).splitlines()) == 4, xl("block-list", WORKER))
    need(guest.run("head -c 4096 /dev/xvdc | sha256sum").split()[0] == hashlib.sha256(RANDOM[:4096]).hexdigest(),
         "its content is wrong")
    xl("block-detach", WORKER, "xvdc")
    guest.run("while [ -b /dev/xvdc ]; do sleep 1; done")
    need(len(xl("block-list", WORKER).splitlines()) == 3, xl("block-list", WORKER))
    until("its loop device is free", lambda: sh("losetup", "-a") == loops)


def check_network():
    guest = worker()
    guest.run("ifconfig eth0 10.9.0.2 netmask 255.255.255.0 up")
    guest.run("ping -c 3 10.9.0.1")
    return guest.run("ping -c 20 -i 0.05 -s 1400 10.9.0.1 | grep loss")


def check_network_attach():
    guest = worker()
    xl("network-attach", WORKER, *vif(9).split(","))
    guest.run("until [ -e /sys/class/net/eth1 ]; do sleep 1; done")
    lines = xl("network-list", WORKER).splitlines()
    need(len(lines) == 3 and vif(9).split("mac=")[1].split(",")[0] in lines[2], last_line("\n".join(lines)))
    xl("network-detach", WORKER, "1")
    guest.run("while [ -e /sys/class/net/eth1 ]; do sleep 1; done")
    need(len(xl("network-list", WORKER).splitlines()) == 2, "it is still in the list")


def check_pause():
    guest = worker()
    xl("pause", WORKER)
    need("p" in guest.state(), f"its state is {guest.state()}")
    begin = len(guest.text)
    asked = guest.start("echo awake")
    sh("sleep", "2")
    need(len(guest.text) == begin, "a paused guest answers")
    xl("unpause", WORKER)
    need(guest.finish(asked) == "awake", "it answers wrongly")
    need("p" not in guest.state(), f"its state is {guest.state()}")


def check_rename():
    guest = worker()
    xl("rename", WORKER, "renamed")
    need(xl("domid", "renamed").strip() == str(guest.domid), "the new name has another id")
    need(xl("domname", str(guest.domid)).strip() == "renamed", "xl domname does not know it")
    xl("rename", "renamed", WORKER)
    need(WORKER in domains(), "the old name is gone")


def check_vcpu_list():
    guest = worker()
    text = xl("vcpu-list", WORKER)
    rows = re.findall(rf"^{WORKER} +{guest.domid} +(\d) +(\S+) +(\S+)", text, re.M)
    need([row[0] for row in rows] == ["0", "1", "2", "3"], text)
    need([row[2] for row in rows][2:] == ["--p", "--p"] and rows[2][1] == "-", text)
    value("offline", [row[1:] for row in rows[2:]])


def vcpu_row(guest, number):
    return re.search(rf"^{guest.name} +{guest.domid} +{number} +(\S+) .*", xl("vcpu-list", guest.name), re.M)


def check_vcpu_pin():
    """To the last CPU, softly to the first."""
    guest, last = worker(), cpus() - 1
    xl("vcpu-pin", WORKER, "1", str(last), "0")
    row = vcpu_row(guest, 1)[0].strip()
    need(row.endswith(f"{last} / 0") or last == 0, row)
    guest.run("taskset -c 1 sha256sum /bin/busybox")
    need(vcpu_row(guest, 1)[1] == str(last), f"it ran elsewhere: {vcpu_row(guest, 1)[0]}")
    xl("vcpu-pin", WORKER, "all", "all", "all")
    need("all / all" in xl("vcpu-list", WORKER), "it stays pinned")
    xl("vcpu-pin", WORKER, "0", "-", "0")
    need(vcpu_row(guest, 0)[0].strip().endswith("all / 0") or last == 0, f"soft only: {vcpu_row(guest, 0)[0]}")
    xl("vcpu-pin", WORKER, "0", "0", "-")
    need(vcpu_row(guest, 0)[0].strip().endswith("0 / 0") or last == 0, f"hard only: {vcpu_row(guest, 0)[0]}")
    xl("vcpu-pin", WORKER, "all", "all", "all")
    need(answer("absent-cpu", "xl", "vcpu-pin", WORKER, "0", "7"), "a CPU that does not exist is accepted")
    need(answer("absent-vcpu", "xl", "vcpu-pin", WORKER, "9", "0"), "a vCPU that does not exist is accepted")
    answer("forced", "xl", "vcpu-pin", "-f", WORKER, "0", "0")
    xl("vcpu-pin", WORKER, "all", "all", "all")


def online(guest, count):
    guest.run(f"while [ $(grep -c ^processor /proc/cpuinfo) != {count} ]; do "
              "for cpu in /sys/devices/system/cpu/cpu*/online; do [ $(cat $cpu) = 1 ] || echo 1 > $cpu; done; "
              "sleep 1; done 2>/dev/null")


def check_vcpu_set():
    guest = worker()
    xl("vcpu-set", "-i", WORKER, "4")
    online(guest, 4)
    guest.run("taskset -c 3 true")
    need(domains()[WORKER][2] == 4, f"xl list says {domains()[WORKER]}")
    xl("vcpu-set", WORKER, "1")
    guest.run("while [ $(grep -c ^processor /proc/cpuinfo) != 1 ]; do sleep 1; done")
    xl("vcpu-set", "-i", WORKER, "2")
    online(guest, 2)


def check_mem_set():
    guest = worker()
    pages = free_pages()
    xl("mem-set", WORKER, "128")
    until("the guest gives memory back", lambda: domains()[WORKER][1] == 128)
    need(free_pages() >= pages + 60 * 256, f"{free_pages() - pages} pages more are free")
    xl("mem-set", WORKER, "192")
    until("the guest takes it again", lambda: domains()[WORKER][1] == 192)
    guest.run("dd if=/dev/zero of=/run/fill bs=1M count=40 2>/dev/null; rm /run/fill")
    need(answer("beyond", "xl", "mem-set", WORKER, "4000"), "more than the maximum is accepted")


def check_sysrq():
    guest = worker()
    begin = len(guest.text)
    xl("sysrq", WORKER, "h")
    guest.wait_for("sysrq: HELP", begin)


def check_trigger():
    guest = worker()
    xl("trigger", WORKER, "nmi", "0")
    guest.run("until awk '/NMI:/ { n = $2 } END { exit !n }' /proc/interrupts; do sleep 1; done")
    # Buttons that a PVH guest does not have: nothing happens.
    for name in ("power", "sleep", "reset", "init", "s3resume"):
        answer(name, "xl", "trigger", WORKER, name)
    for name in ("power", "sleep"):
        answer(f"button-{name}", "xl", "button-press", WORKER, name)
    answer("absent-vcpu", "xl", "trigger", WORKER, "nmi", "77")
    need(guest.run("echo on") == "on" and "p" not in guest.state(), f"its state is {guest.state()}")


def check_guest_claims():
    """What was claimed for its creation is taken."""
    worker()
    need(re.search(rf"^{WORKER} .* 0$", xl("claims"), re.M), xl("claims"))
    value("outstanding", re.search(r"^outstanding_claims *: (.*)$", xl("info"), re.M)[1])


def check_guest_debug_keys():
    """The hypervisor's list of domains has it."""
    guest = worker()
    xl("dmesg", "-c")
    xl("debug-keys", "q")
    need(re.search(rf"[Dd]omain {guest.domid}\b", xl("dmesg")), "key q does not print the guest")


def check_guest_uptime():
    need(re.search(rf"^{WORKER} ", xl("uptime", str(worker().domid)), re.M), "the guest is not there")


def check_guest_credit2():
    worker()
    xl("sched-credit2", "-d", WORKER, "-w", "512", "-c", "50")
    need(re.search(rf"^{WORKER} +\d+ +512 +50$", xl("sched-credit2", "-d", WORKER), re.M), xl("sched-credit2"))
    need(re.search(rf"^{WORKER} +\d+ +512 +50$", xl("sched-credit2"), re.M), xl("sched-credit2"))
    answer("cap", "xl", "sched-credit2", "-d", WORKER, "-c", "70000")
    xl("sched-credit2", "-d", WORKER, "-w", "256", "-c", "0")


def check_guest_xentop():
    worker()
    text = sh("xentop", "-b", "-i", "1", "-n", "-v", "-x", "-r")
    row = re.search(rf"^ *{WORKER} +(.*)$", text, re.M)
    need(row, "the guest is not there")
    # Memory, its maximum, vCPUs, network interfaces, block devices.
    fields = row[1].split()
    need(fields[7] == "4" and fields[8] == "1" and fields[11] == "2", row[1])


# For guests of other kinds and devices that need programs which are not there, by the guest's name.
NOT_THERE = """vncviewer; cd-insert xvdc /nowhere; cd-eject xvdc; qemu-monitor-command version; usb-list; usbctrl-attach;
    usbctrl-detach 0; usbdev-attach hostbus=1 hostaddr=1; usbdev-detach 0 0; vkb-list; vdispl-list; vsnd-list; vtpm-list; vtpm-detach 0; vkb-detach 0;
    vdispl-detach 0; vsnd-detach 0; channel-list; pci-list; pci-attach 0000:77:00.0; pci-detach 0000:77:00.0; psr-cmt-attach;
    psr-cat-set 0x3; psr-mba-set 50; cpupool-migrate other; config-update worker.cfg"""


def check_guest_not_there():
    """Each answers as on stock Xen, and the guest goes on."""
    guest = worker()
    for line in NOT_THERE.split(";"):
        command, *words = line.split()
        answer(command, "xl", command, WORKER, *words)
    answer("psr-cmt-show", "xl", "psr-cmt-show", "cache-occupancy", WORKER)
    need(guest.run("echo on") == "on" and "p" not in guest.state(), f"its state is {guest.state()}")
    return f"{len(NOT_THERE.split(';')) + 1} commands"


def goes_on(guest):
    need(guest.run("echo on") == "on" and "p" not in guest.state(), f"its state is {guest.state()}")
    need(list(domains()) == ["Domain-0", WORKER], f"there is {list(domains())}")


def check_save():
    """Whether there is a copy or none, the guest goes on, and nothing is left of the attempt."""
    guest, place = worker(), os.path.join(WORK, "saved")
    answer("save", "xl", "save", "-c", WORKER, place)
    goes_on(guest)
    if os.path.exists(place):
        os.unlink(place)
    # What waits for its end, to start it anew, takes the attempt for its end and goes: not a guest for the next checks.
    guest.destroy()


def check_reboot():
    guest = worker()
    before = guest.domid
    xl("reboot", WORKER)

    def again():
        found = domains().get(WORKER)
        return found and found[0] != before and "p" not in found[3]

    until("the guest comes again", again)
    guest.attach()
    guest.up()
    return f"domain {before}, then {guest.domid}"


def check_mem_max():
    worker()
    xl("mem-max", WORKER, "256")
    text = xl("list", "-l", WORKER)
    need('"max_memkb": 262144' in text, "xl list -l has another maximum")
    need(answer("beyond", "xl", "mem-set", WORKER, "300"), "more than the maximum is accepted")
    answer("less-than-it-has", "xl", "mem-max", WORKER, "64")


def check_crash():
    guest = worker()
    os.write(guest.master, b"0 echo c > /proc/sysrq-trigger\n")
    until("xl list shows the crash", lambda: "c" in guest.state())
    value("state", guest.state())
    for command in (("shutdown",), ("pause",), ("unpause",), ("mem-set", "100"), ("trigger", "nmi"), ("sysrq", "h")):
        answer(command[0], "xl", command[0], WORKER, *command[1:])
    guest.destroy()


def check_shutdown():
    before = State()
    guest = worker()
    xl("shutdown", "-w", WORKER)
    guest.gone()
    left_behind(before)
    until("its loop devices are free", lambda: not sh("losetup", "-a").strip())


def bare_kernel(name, code):
    """Path of a PVH kernel that is nothing but some machine code, loaded at 1 MiB; there is no IDT."""
    load, entry = 1 << 20, (1 << 20) + 256
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    # One segment with the whole file, and the note with the entry (XEN_ELFNOTE_PHYS32_ENTRY, 18).
    header += struct.pack("<IIQQQQQQ", 1, 7, 0, load, load, 4096, 4096, 4096)
    header += struct.pack("<IIQQQQQQ", 4, 4, 176, load + 176, load + 176, 24, 24, 4)
    header += struct.pack("<III4sQ", 4, 8, 18, b"Xen", entry)
    path = os.path.join(WORK, name)
    with open(path, "wb") as f:
        f.write((header.ljust(256, b"\0") + code).ljust(4096, b"\0"))
    return path


def check_guest_log():
    """What a guest's kernel says early, and why it ended, in the hypervisor's log behind the domain's name."""
    xl("dmesg", "-c")
    guest = Guest("talks", extra="loglevel=6 earlyprintk=xen,keep",
                  more='on_crash = "preserve"\non_reboot = "preserve"').create().up()
    said = rf"\(d{guest.domid}\) .*"
    need(re.search(said + "Linux version", xl("dmesg")), "the kernel's first line is not there")
    os.write(guest.master, b"0 echo c > /proc/sysrq-trigger\n")
    until("xl list shows the crash", lambda: "c" in guest.state())
    need(re.search(said + "sysrq triggered crash", xl("dmesg")), "the kernel's last words are not there")
    guest.destroy()
    guest = Guest("faults", memory=32, kernel=bare_kernel("faults.elf", b"\x0f\x0b"), more='on_reboot = "preserve"')
    xl("create", "-q", guest.config)
    until("xl list shows the end", lambda: "s" in guest.state())
    need(re.search(r"[Tt]riple fault", xl("dmesg")), "the triple fault is not told")
    guest.destroy()


def check_create_paused():
    """Also: features are taken away by the configuration."""
    guest = Guest("paused", memory=128, more='cpuid = "host,rdrand=0,aes=0"').create("-p")
    need("p" in guest.state(), f"its state is {guest.state()}")
    need(not guest.text, "it says something")
    xl("unpause", "paused")
    flags = guest.up().run("grep -m 1 ^flags /proc/cpuinfo").split()
    guest.destroy()
    need("rdrand" not in flags and "aes" not in flags, "the features are still there")
    need("sse2" in flags and "lm" in flags, "others are gone, too")
    return f"{len(flags)} features left"
