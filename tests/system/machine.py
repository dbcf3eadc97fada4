# SPDX-License-Identifier: GPL-2.0-or-later
# The emulated machines: starts QEMU, keeps the serial log, waits for text, talks over QMP.
"""Machine kinds are firmware-iommu: bios-vtd, uefi-vtd, bios-amdvi, uefi-amdvi, and bios-none."""
import contextlib
import fcntl
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import zlib

from .qmp import Qmp, QmpError

OUT = os.environ.get("O", "build")
LOGS = os.path.join(OUT, "logs")
OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
# QEMU 7.2 gets AVX in guests and intercepted RDTSCP wrong; both hypervisors run without them.
WITHOUT = "-rdtscp,-avx,-avx2,-f16c,-fma"
CPUS = {"vtd": f"max,{WITHOUT}", "none": f"max,{WITHOUT}", "amdvi": f"EPYC,{WITHOUT}"}
# The default address width of 39 bits is too small for dom0's devices.
IOMMUS = {"vtd": ["-device", "intel-iommu,aw-bits=48"], "amdvi": ["-device", "amd-iommu,intremap=on"], "none": []}
# How long an emulator has for its start, and for an answer when its own time is over.
START_SECONDS, ANSWER_SECONDS = 60, 30
# Emulated time, one instruction a nanosecond: the same run every time.
ICOUNT = ["-icount", "shift=0,sleep=off"]


class Timeout(Exception):
    pass


class Exited(Exception):
    pass


def data_disk(place, content, mib=64):
    """A raw image with the given content at its start."""
    path = os.path.join(place, "disk.img")
    with open(path, "wb") as f:
        f.write(content)
        f.truncate(mib << 20)
    return path


def nvme(image, name="nvme0", throw_away=False):
    """throw_away: what the guest writes is forgotten with the machine."""
    forget = ",snapshot=on" if throw_away else ",file.locking=off"
    return ["-drive", f"file={image},if=none,id={name},format=raw{forget}",
            "-device", f"nvme,drive={name},serial={name}"]


def ahci_disk(image, name="sata0"):
    return ["-drive", f"file={image},if=none,id={name},format=raw,file.locking=off",
            "-device", f"ide-hd,bus=ide.0,drive={name}"]


EDU = ["-device", "edu,dma_mask=0xffffffffffffffff"]
USB = ["-device", "qemu-xhci", "-device", "usb-tablet"]
NET = ["-netdev", "user,id=net0", "-device", "e1000e,netdev=net0"]


def read_ppm(data):
    """(width, height, RGB bytes) of what QEMU's screendump has written."""
    magic, size, _, pixels = data.split(b"\n", 3)
    if magic != b"P6":
        raise RuntimeError("screendump is not a PPM")
    width, height = map(int, size.split())
    return width, height, pixels


@contextlib.contextmanager
def emulator_lock():
    """Few emulators at a time, as more would disturb each other's timing: one for each of the files, by default one."""
    paths = os.environ.get("BULKHEAD_EMULATOR_LOCK", os.path.join(OUT, "emulator.lock")).split(":")
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(path, "w", encoding="ascii")) for path in paths]
        while True:
            for file in files:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield
                    return
            time.sleep(0.3)


class Machine:
    """One run of QEMU. Use as a context manager: the emulator is gone when the block ends."""

    def __init__(self, name, iso, kind="bios-vtd", smp=1, mem=4096, devices=(), icount=False, cpu=None,
                 limit=300, port=1, shell=False, threads=False):
        """iso: what it boots from; None: its disks; port: the serial port that is listened to, 1 or 2; shell: the second one is for
        shell.Shell; threads: one for each CPU."""
        self.name, self.kind, self.smp, self.mem = name, kind, smp, mem
        self.iso, self.devices, self.icount, self.limit = iso, list(devices), icount, limit
        # One thread for all CPUs: with one for each, QEMU 7.2 corrupts CPU 0 now and then (docs/testing.md).
        self.accel = "tcg" if smp == 1 else f"tcg,thread={'multi' if threads else 'single'}"
        self.firmware, self.iommu = kind.split("-")
        self.cpu, self.port, self.shell = cpu or CPUS[self.iommu], port, shell
        os.makedirs(LOGS, exist_ok=True)
        self.log_path = os.path.join(LOGS, f"{name}.log")
        self.text, self.arrivals, self.answers = "", [], []
        self.exit_code = self.process = None
        self.stack = contextlib.ExitStack()

    def command(self, place, serial=None, display="none"):
        """QEMU's command line; by default the serial line and QMP are sockets in the place given."""
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-name", self.name,
                   "-machine", "q35", "-accel", self.accel, "-cpu", self.cpu, "-smp", str(self.smp),
                   "-m", str(self.mem), "-display", display, "-vga", "std", "-no-reboot"]
        command += IOMMUS[self.iommu] + (ICOUNT if self.icount else [])
        if self.firmware == "uefi":
            variables = os.path.join(place, "vars.fd")
            shutil.copy(OVMF_VARS, variables)
            command += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}",
                        "-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
        if self.iso:
            command += ["-drive", f"file={self.iso},if=none,id=cd0,format=raw,media=cdrom,readonly=on",
                        "-device", "ide-cd,bus=ide.2,drive=cd0,bootindex=0"]
        command += serial or ["-chardev", f"socket,id=ser0,path={place}/serial,server=on,wait=on",
                    *(["-serial", "null"] if self.port == 2 else []), "-serial", "chardev:ser0",
                    "-chardev", f"socket,id=qmp0,path={place}/qmp,server=on,wait=on",
                    "-mon", "chardev=qmp0,mode=control"]
        if self.shell:
            command += ["-chardev", f"socket,id=shell0,path={place}/shell,server=on,wait=off", "-serial", "chardev:shell0"]
        return command + self.devices

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(emulator_lock())
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkhead-"))
            self.log = stack.enter_context(open(self.log_path, "wb"))
            # setpriv: the emulator dies with us, whatever kills us.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.command(place)],
                                            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
            stack.callback(self.kill)
            self.place = place
            self.serial = stack.enter_context(self._connect(f"{place}/serial"))
            self.qmp = Qmp(stack.enter_context(self._connect(f"{place}/qmp")))
            self.begun = time.monotonic()
            self.deadline = self.begun + self.limit
            self.command_qmp("qmp_capabilities")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def _connect(self, path):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                sock.setblocking(False)
                return sock
            except OSError:
                sock.close()
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise Exited(f"the emulator did not start; see {self.log_path}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.exit_code = self.process.wait()

    def _pump(self, wait):
        """Takes what comes within the wait; returns False once the emulator has gone."""
        socks = [s for s in (self.serial, self.qmp.sock) if s.fileno() >= 0]
        readable = select.select(socks, [], [], wait)[0] if socks else []
        alive = True
        if self.qmp.sock in readable and not self.qmp.feed():
            alive = False
        if self.serial in readable:
            try:
                data = self.serial.recv(65536)
            except OSError:
                data = b""
            if data:
                self.log.write(data)
                self.log.flush()
                # Where in the text each piece arrived, and when: to compare the guest's clock with ours.
                self.arrivals.append((len(self.text), time.monotonic() - self.begun))
                self.text += data.decode("latin-1").replace("\r", "")
            else:
                alive = False
        if not alive and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        return alive

    def wait_for_other(self, sock, wait):
        """Waits for another socket of the emulator, while its usual ones are served; raises Exited."""
        select.select([sock], [], [], wait)
        if not self._pump(0):
            raise Exited(f"the machine ended early: {self.reason()}")
        self._answer()

    def when(self, regex, action):
        """Calls action(machine, match) once, when the serial text has the regex."""
        self.answers.append((re.compile(regex, re.M), action))

    def _answer(self):
        for entry in list(self.answers):
            found = entry[0].search(self.text)
            if found:
                self.answers.remove(entry)
                entry[1](self, found)

    def wait_for(self, regex, timeout=None, start=0):
        """The match of the regex in the serial text, waited for; raises Timeout or Exited."""
        compiled = re.compile(regex, re.M)
        end = min(self.deadline, time.monotonic() + timeout) if timeout else self.deadline
        while True:
            found = compiled.search(self.text, start)
            if found:
                return found
            self._answer()
            if time.monotonic() > end:
                raise Timeout(f"no /{regex}/ within {timeout or self.limit} s")
            if not self._pump(min(0.2, max(0.0, end - time.monotonic()))):
                self._drain()
                self._answer()
                found = compiled.search(self.text, start)
                if found:
                    return found
                raise Exited(f"the machine stopped ({self.reason()}) before /{regex}/")

    def _drain(self):
        for _ in range(1000):
            if not select.select([self.serial], [], [], 0)[0]:
                return
            before = len(self.text)
            self._pump(0)
            if len(self.text) == before:
                return

    def wait_exit(self, timeout=None):
        """Waits until the machine stops; returns the reason that QEMU gave."""
        end = min(self.deadline, time.monotonic() + timeout) if timeout else self.deadline
        while self._pump(0.2):
            self._answer()
            if time.monotonic() > end:
                raise Timeout(f"the machine did not stop within {timeout or self.limit} s")
        self._drain()
        return self.reason()

    def reason(self):
        # QMP may have more to say than the serial line, which ends first.
        while select.select([self.qmp.sock], [], [], 0.1)[0] and self.qmp.feed():
            pass
        return self.qmp.shutdown_reason() or f"emulator exit code {self.process.poll()}"

    def send(self, text):
        self.serial.setblocking(True)
        self.serial.sendall(text.encode())
        self.serial.setblocking(False)

    def command_qmp(self, command, **arguments):
        try:
            self.qmp.send(command, **arguments)
        except OSError as gone:
            raise Exited(f"no emulator to take QMP {command}") from gone
        # Once the time is over it may still answer what a report asks.
        end = max(self.deadline, time.monotonic() + ANSWER_SECONDS)
        while not self.qmp.replies:
            if time.monotonic() > end or not self._pump(0.2):
                raise Exited(f"no answer to QMP {command}")
        return self.qmp.take_reply()

    def monitor(self, line, cpu=0):
        """Output of a command of the human monitor: info registers, info tlb, xp …"""
        return self.command_qmp("human-monitor-command", **{"command-line": line, "cpu-index": cpu})

    def physical(self, address, size):
        """Bytes of physical memory, as the machine sees it now."""
        with tempfile.NamedTemporaryFile(prefix="bulkhead-") as f:
            self.command_qmp("pmemsave", val=address, size=size, filename=f.name)
            return f.read()

    def screen(self):
        """(width, height, RGB bytes) of the display."""
        with tempfile.NamedTemporaryFile(prefix="bulkhead-") as f:
            self.command_qmp("screendump", filename=f.name)
            return read_ppm(f.read())

    def save_screen(self, path):
        """The display as a PNG file."""
        width, height, pixels = self.screen()
        rows = b"".join(b"\0" + pixels[y * width * 3:(y + 1) * width * 3] for y in range(height))

        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        with open(path, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                    + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

    def save_screen_quietly(self, path):
        """For reports of failures, when the emulator may no longer answer."""
        with contextlib.suppress(Exited, OSError, RuntimeError, QmpError):
            self.save_screen(path)

    def key(self, *names):
        """Presses keys together, by QEMU's names: ctrl, shift, c."""
        self.command_qmp("send-key", keys=[{"type": "qcode", "data": name} for name in names])

    def point(self, x, y):
        """Moves the tablet; coordinates are 0…32767."""
        self.command_qmp("input-send-event", events=[
            {"type": "abs", "data": {"axis": "x", "value": x}},
            {"type": "abs", "data": {"axis": "y", "value": y}}])

    def button(self, down, name="left"):
        self.command_qmp("input-send-event", events=[{"type": "btn", "data": {"down": down, "button": name}}])

    def instructions(self):
        """How many the processor has executed since power-on; of a machine with icount."""
        return self.command_qmp("query-replay")["icount"]

    def arrived(self, position):
        """Seconds after power-on at which the text at this position had come."""
        when = 0.0
        for offset, moment in self.arrivals:
            if offset > position:
                break
            when = moment
        return when

    def tail(self, lines=40):
        return "\n".join(self.text.rstrip().splitlines()[-lines:])
