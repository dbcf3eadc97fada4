# SPDX-License-Identifier: GPL-2.0-or-later
# What checks in dom0 work with: xl, guests and their consoles, block devices, counters of the hypervisor.
"""Runs in dom0, with the standard library of Debian's python3-minimal only."""
import array
import fcntl
import hashlib
import os
import re
import struct
import subprocess
import termios
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL = os.path.join(HERE, "vmlinux")  # the stock kernel, unpacked: nothing to decompress for each guest
BZIMAGE = os.path.join(HERE, "vmlinuz")
INITRAMFS = os.path.join(HERE, "guest.cpio")
WORK = "/var/tmp/domains"
TOOLS = "/usr/lib/xen-4.17/bin"
# Far more than anything takes: a limit is met only where something hangs.
LIMIT = 90


class Failed(Exception):
    pass


# Names of guests that are not a check's own: they go on when it fails.
kept = set()


def need(condition, text):
    if not condition:
        raise Failed(text)


# What has to be the same on stock Xen, by the check that is running: see main.py.
values = []


def value(key, text):
    """Something to compare with what was recorded on stock Xen. The key is one word, and unique in its check."""
    values.append(f"{key} {' '.join(str(text).split())}".strip())


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"


def complaint(text):
    """The first thing that went wrong, which later messages only follow from."""
    found = [line.split("error: ")[-1] for line in text.splitlines() if "error" in line.lower()]
    return " / ".join(found[:3]) or last_line(text)


def run(*command, timeout=LIMIT):
    """(exit code, output with errors)."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{' '.join(command)}: no end within {timeout} s") from late
    return done.returncode, done.stdout.decode(errors="replace")


def sh(*command, timeout=LIMIT):
    """Output of a command that has to succeed."""
    code, out = run(*command, timeout=timeout)
    need(code == 0, f"{' '.join(command)}: exit code {code}: {complaint(out)}")
    return out


def xl(*words, timeout=LIMIT):
    return sh("xl", *words, timeout=timeout)


def progress(text):
    """For who reads the log of a check that takes long; in seconds since the start of dom0."""
    print(f"[{time.monotonic():.0f}] {text}", flush=True)


def answer(key, *command):
    """Exit code of a command that is to answer as on stock Xen; its complaint counts as well, but for domain ids."""
    code, out = run(*command)
    words = re.sub(r"(Domain |libxl[-/])\d+", r"\1N", complaint(out)) if code else ""
    value(key, f"{code} {words}")
    return code


def until(what, condition, timeout=LIMIT):
    """Waits for a condition; returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        need(time.monotonic() < end, f"{what}: not within {timeout} s")
        time.sleep(0.5)


# ---- The hypervisor's own numbers ----

PRIVCMD_HYPERCALL = 0x305000
HYPERCALL_SYSCTL = 35
SYSCTL_PHYSINFO = 3
SYSCTL_VERSION = 0x15


def heap_pages():
    """(pages that the hypervisor's heap has, pages of them that are in use). It takes 512 at a time, and gives those back of
    which none is in use, but for one time 512. Stock Xen does not tell: (0, 0)."""
    xl("debug-keys", "m")
    found = re.findall(r"(\d+) KiB heap, (\d+) KiB of it in use", xl("dmesg"))
    return tuple(int(kib) // 4 for kib in found[-1]) if found else (0, 0)


def free_pages():
    """Pages that neither a domain nor the hypervisor has, scrubbed or not (XEN_SYSCTL_physinfo)."""
    buffer = array.array("B", struct.pack("<II", SYSCTL_PHYSINFO, SYSCTL_VERSION) + bytes(128))
    call = struct.pack("<6Q", HYPERCALL_SYSCTL, buffer.buffer_info()[0], 0, 0, 0, 0)
    with open("/dev/xen/privcmd", "rb") as f:
        fcntl.ioctl(f, PRIVCMD_HYPERCALL, call)
    free, scrub = struct.unpack_from("<QQ", buffer, 8 + 48)
    return free + scrub


def cpus():
    """CPUs of the machine."""
    return int(re.search(r"^nr_cpus *: (\d+)$", xl("info"), re.M)[1])


def loud(function):
    """The hypervisor says no more than errors otherwise, as that would be work as well."""
    xl("dmesg", "-c")
    xl("set-parameters", "loglvl=all")
    found = function()
    xl("set-parameters", "loglvl=error")
    return found


def exits():
    """{domain id: exits of its vCPUs}, of the hypervisor that tells them."""
    found, domain = {}, None
    if "bulkhead" not in xl("info"):
        return found
    for line in loud(lambda: xl("debug-keys", "q") + xl("dmesg")).splitlines():
        head = re.search(r"domain (\d+): refs", line)
        if head:
            domain = int(head[1])
            found[domain] = 0
        one = re.search(r"exits (\d+)", line)
        if one:
            found[domain] += int(one[1])
    return found


def domains():
    """{name: (id, MiB, vCPUs, state)}"""
    found = {}
    for line in xl("list").splitlines()[1:]:
        name, number, mem, vcpus, state = line.split()[:5]
        found[name] = (int(number), int(mem), int(vcpus), state)
    return found


def xenstore():
    """All paths of the store with their values."""
    return set(sh("xenstore-ls", "-f").splitlines())


# ---- Guests ----

class Guest:
    """A PVH guest with the stock kernel, and the commands that its init runs."""

    def __init__(self, name, memory=128, vcpus=1, kernel=KERNEL, extra="quiet", more=""):
        self.name, self.domid, self.console, self.text, self.number = name, None, None, "", 0
        self.config = os.path.join(WORK, f"{name}.cfg")
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f'name = "{name}"\ntype = "pvh"\nmemory = {memory}\nvcpus = {vcpus}\nkernel = "{kernel}"\n'
                    f'ramdisk = "{INITRAMFS}"\nextra = "console=hvc0 {extra}"\n{more}\n')

    def create(self, *options):
        xl("create", "-q", *options, self.config)
        self.attach()
        return self

    def attach(self):
        """Reads and writes what "xl console" shows from now on."""
        self.detach()
        self.domid = int(xl("domid", self.name))
        self.text = ""
        master, slave = os.openpty()
        self.console = subprocess.Popen(["xl", "console", self.name], stdin=slave, stdout=slave,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        # Until then what is written would be echoed here, and get lost.
        until("xl console is there", lambda: not termios.tcgetattr(slave)[3] & termios.ECHO)
        os.close(slave)
        self.master = master
        threading.Thread(target=self._read, args=(master,), daemon=True).start()

    def _read(self, master):
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            self.text += data.decode(errors="replace").replace("\r", "")

    def detach(self):
        if self.console:
            self.console.kill()
            self.console.wait()
            os.close(self.master)
            self.console = None

    def wait_for(self, pattern, start=0, timeout=LIMIT):
        compiled = re.compile(pattern, re.M)
        try:
            return until(f"{self.name}: /{pattern}/", lambda: compiled.search(self.text, start), timeout)
        except Failed as problem:
            raise Failed(f"{problem}; console ends with: {last_line(self.text)}") from problem

    def up(self):
        self.wait_for("^GUEST-UP$")
        return self

    def start(self, command):
        """Sends a command; returns what finish() takes."""
        self.number += 1
        begin = len(self.text)
        os.write(self.master, f"{self.number} {command}\n".encode())
        return self.number, begin, command

    def finish(self, started, timeout=LIMIT):
        number, begin, command = started
        done = self.wait_for(rf"^GUEST-DONE {number} (\d+)$", begin, timeout)
        out = self.text[begin:done.start()].strip()
        need(done[1] == "0", f"{self.name}: {command}: exit code {done[1]}: {last_line(out)}")
        return out

    def run(self, command, timeout=LIMIT):
        """Output of a command that has to succeed in the guest."""
        return self.finish(self.start(command), timeout)

    def state(self):
        return domains()[self.name][3]

    def gone(self):
        until(f"{self.name} goes", lambda: self.name not in domains() and "(null)" not in domains())
        self.detach()

    def destroy(self):
        xl("destroy", self.name)
        self.gone()


# ---- Devices ----

# The same 2 MiB every time, without a pattern that a wrong offset would keep.
RANDOM = hashlib.shake_256(b"a guest's disk").digest(2 << 20)
BRIDGE = "xenbr0"


def image(name, mib, content=b""):
    """A file to serve as a guest's disk."""
    path = os.path.join(WORK, name)
    with open(path, "wb") as f:
        f.write(content)
        f.truncate(mib << 20)
    return path


def disk(name, device, access):
    """What a configuration says of such a disk."""
    return f"format=raw,vdev={device},access={access},target={os.path.join(WORK, name)}"


def vif(number):
    """What a configuration says of a network interface on the bridge; its address is to be 10.9.0.number."""
    return f"bridge={BRIDGE},mac=00:16:3e:00:00:{number:02x}"


def bridge():
    """The bridge, on which dom0 is 10.9.0.1."""
    if not os.path.exists(f"/sys/class/net/{BRIDGE}"):
        sh("ip", "link", "add", BRIDGE, "type", "bridge")
        sh("ip", "addr", "add", "10.9.0.1/24", "dev", BRIDGE)
        sh("ip", "link", "set", BRIDGE, "up")


# ---- Nothing stays behind ----

# Directories that the toolstack makes with its first guest, and keeps.
KEPT = ("/libxl =", "/vm =", "/local/domain/0/backend =", "/local/domain/0/backend/vif =",
        "/local/domain/0/backend/vbd =", "/local/domain/0/backend/console =")


# Pages of tables for what dom0 maps, or is told of, for the first time; dom0 keeps them.
DOM0_TABLES = 64


class State:
    """What has to be as before when all guests are gone."""

    def __init__(self):
        self.store = xenstore()
        heap, self.used = heap_pages()
        # A chunk that the heap has taken or given back meanwhile is not a domain's.
        self.pages = free_pages() + heap


def left_behind(before, more=DOM0_TABLES):
    """Fails unless no domain has a page more or less than before, the store has what it had, and the hypervisor needs hardly
    more."""
    now, new = before, []

    def back():
        nonlocal now, new
        now = State()
        new = sorted(line for line in now.store - before.store if not line.startswith(KEPT))
        # Stock Xen takes its own memory, also that for dom0, from the same pages, does not say how many, and gives back late.
        same = now.pages == before.pages if now.used else now.pages >= before.pages - more
        return same and not new

    try:
        until("all comes back", back, 60)
    except Failed as problem:
        raise Failed(f"{before.pages - now.pages} pages are missing, left in the store: {new[:3]}") from problem
    need(now.used <= before.used + more, f"the hypervisor's heap needs {now.used - before.used} pages more")
