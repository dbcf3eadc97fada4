# SPDX-License-Identifier: GPL-2.0-or-later
# An agent made for tests: speaks the GUI protocol over libvchan's local transport, right or wrong as it is told.
"""Written from the protocol's description, not with the code of gui/common, so that both check each other."""
import array
import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import time

PORT = 6000
PAGE = 4096
NUMBERS = {
    "KEYPRESS": 124, "BUTTON": 125, "MOTION": 126, "CROSSING": 127, "FOCUS": 128, "RESIZE": 129, "CREATE": 130,
    "DESTROY": 131, "MAP": 132, "UNMAP": 133, "CONFIGURE": 134, "MFNDUMP": 135, "SHMIMAGE": 136, "CLOSE": 137,
    "EXECUTE": 138, "CLIPBOARD_REQ": 139, "CLIPBOARD_DATA": 140, "WMNAME": 141, "KEYMAP_NOTIFY": 142, "DOCK": 143,
    "WINDOW_HINTS": 144, "WINDOW_FLAGS": 145, "WMCLASS": 146, "WINDOW_DUMP": 147, "CURSOR": 148,
    "WINDOW_DUMP_ACK": 149}
NAMES = {number: name for name, number in NUMBERS.items()}
# What the daemon sends.
BODIES = {
    "KEYPRESS": ("<IiiII", "type x y state keycode"), "BUTTON": ("<IiiII", "type x y state button"),
    "MOTION": ("<iiII", "x y state is_hint"), "CROSSING": ("<IiiIIII", "type x y state mode detail focus"),
    "FOCUS": ("<III", "type mode detail"), "MAP": ("<II", "transient_for override_redirect"),
    "CONFIGURE": ("<iiIII", "x y width height override_redirect"), "CLOSE": ("<", ""), "CLIPBOARD_REQ": ("<", ""),
    "KEYMAP_NOTIFY": ("<32s", "keys"), "WINDOW_FLAGS": ("<II", "set unset"), "DESTROY": ("<", ""),
    "WINDOW_DUMP_ACK": ("<", "")}
MFD_ALLOW_SEALING, F_ADD_SEALS = 2, 1033
SEAL_SEAL, SEAL_SHRINK, SEAL_GROW = 1, 2, 4
LIMIT = 60


class Gone(Exception):
    """The daemon closed the channel."""


class Message(dict):
    def __init__(self, kind, window, body):
        super().__init__()
        self.kind, self.window, self.body = kind, window, body
        if kind in BODIES:
            layout, names = BODIES[kind]
            if struct.calcsize(layout) != len(body):
                raise ValueError(f"{kind} with a body of {len(body)} bytes")
            self.update(zip(names.split(), struct.unpack(layout, body)))

    def __repr__(self):
        return f"{self.kind}({self.window:#x}, {dict(self) if self.kind in BODIES else self.body[:40]})"


class Buffer:
    """Pages that the daemon can map."""

    def __init__(self, agent, size, seals=SEAL_SEAL | SEAL_SHRINK | SEAL_GROW):
        self.agent, self.size = agent, size
        self.pages = (size + PAGE - 1) // PAGE
        agent.last_buffer += 1
        self.number = agent.last_buffer
        self.fd = os.memfd_create("test", MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.pages * PAGE)
        if seals:
            fcntl.fcntl(self.fd, F_ADD_SEALS, seals)
        self.data = mmap.mmap(self.fd, self.pages * PAGE)
        agent.announce(1, self.number, self.pages, self.fd)
        self.refs = [self.number << 17 | page for page in range(self.pages)]

    def remove(self):
        self.agent.announce(2, self.number, self.pages, None)
        self.data.close()
        os.close(self.fd)


class Agent:
    def __init__(self, library, directory, domain=7, peer=0, version=0x10008):
        lib = ctypes.CDLL(library, use_errno=True)
        lib.libvchan_server_init_uri.restype = ctypes.c_void_p
        for name in ("write", "read"):
            getattr(lib, f"libvchan_{name}").argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        for name in ("wait", "fd_for_select", "is_open", "data_ready", "buffer_space", "close"):
            getattr(lib, f"libvchan_{name}").argtypes = [ctypes.c_void_p]
        lib.libvchan_set_blocking.argtypes = [ctypes.c_void_p, ctypes.c_bool]
        self.lib, self.directory, self.domain, self.peer, self.version = lib, directory, domain, peer, version
        self.vchan = lib.libvchan_server_init_uri(f"local:{directory}?domain={domain}".encode(), peer, PORT,
                                                  ctypes.c_size_t(16384), ctypes.c_size_t(65536))
        if not self.vchan:
            raise OSError(ctypes.get_errno(), "libvchan_server_init_uri")
        lib.libvchan_set_blocking(self.vchan, False)
        self.fd = lib.libvchan_fd_for_select(self.vchan)
        self.got, self.socket, self.last_buffer = b"", None, 0
        self.log = []

    def close(self):
        if self.vchan:
            self.lib.libvchan_close(self.vchan)
        self.vchan = None
        if self.socket:
            self.socket.close()

    def _pause(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the daemon did not answer; seen so far: {self.log[-8:]}")
        if select.select([self.fd], [], [], left)[0]:
            self.lib.libvchan_wait(self.vchan)

    def write(self, data):
        deadline = time.monotonic() + LIMIT
        while data:
            count = self.lib.libvchan_write(self.vchan, data, len(data))
            if count < 0:
                raise Gone()
            data = data[count:]
            if data:
                self._pause(deadline)

    def _fill(self):
        room = ctypes.create_string_buffer(65536)
        count = self.lib.libvchan_read(self.vchan, room, 65536)
        if count < 0:
            raise Gone()
        self.got += room.raw[:count]
        return count

    def read(self, size, limit=LIMIT):
        deadline = time.monotonic() + limit
        while len(self.got) < size:
            if not self._fill():
                self._pause(deadline)
        data, self.got = self.got[:size], self.got[size:]
        return data

    def handshake(self):
        """Returns (version, (width, height, depth, mem))."""
        self.write(struct.pack("<I", self.version))
        version = self.version
        if self.version >= 0x10004:
            version, = struct.unpack("<I", self.read(4))
        screen = struct.unpack("<IIII", self.read(16))
        self.attach()
        return version, screen

    def attach(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(f"{self.directory}/gui.{self.domain}.{self.peer}.sock")

    def announce(self, operation, number, pages, fd, magic=b"bh-grant"):
        message = magic + struct.pack("<IIII", operation, number, pages, 0)
        rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self.socket.sendmsg([message], rights)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, kind, window, body=b"", length=None):
        number = NUMBERS[kind] if isinstance(kind, str) else kind
        self.write(struct.pack("<III", number, window, len(body) if length is None else length) + body)

    def receive(self, limit=LIMIT):
        number, window, length = struct.unpack("<III", self.read(12, limit))
        message = Message(NAMES.get(number, str(number)), window, self.read(length, limit))
        self.log.append(message)
        return message

    def expect(self, kind, window=None, **fields):
        """The next message of that kind (and window, and fields); others are passed over."""
        while True:
            message = self.receive()
            if message.kind == kind and window in (None, message.window) and \
                    all(message[name] == value for name, value in fields.items()):
                return message

    def expect_gone(self):
        try:
            while True:
                self.receive()
        except Gone:
            return

    def sync(self, window):
        """All that was sent before is done: a dump of one pixel is acknowledged (from 1.7 on)."""
        buffer = Buffer(self, PAGE)
        self.dump(window, 1, 1, buffer.refs)
        return buffer

    # Messages with their usual bodies.
    def create(self, window, x, y, width, height, override=0, parent=0):
        self.send("CREATE", window, struct.pack("<iiIIII", x, y, width, height, parent, override))

    def map(self, window, transient=0, override=0):
        self.send("MAP", window, struct.pack("<II", transient, override))

    def configure(self, window, x, y, width, height, override=0):
        self.send("CONFIGURE", window, struct.pack("<iiIII", x, y, width, height, override))

    def damage(self, window, x, y, width, height):
        self.send("SHMIMAGE", window, struct.pack("<iiII", x, y, width, height))

    def dump(self, window, width, height, refs, kind=0, bpp=24):
        self.send("WINDOW_DUMP", window, struct.pack(f"<IIII{len(refs)}I", kind, width, height, bpp, *refs))

    def title(self, window, text):
        self.send("WMNAME", window, struct.pack("<128s", text.encode()))

    def wmclass(self, window, class_name, instance):
        self.send("WMCLASS", window, struct.pack("<64s64s", class_name.encode(), instance.encode()))

    def hints(self, window, flags=0, minimum=(0, 0), maximum=(0, 0), increment=(0, 0), base=(0, 0)):
        self.send("WINDOW_HINTS", window, struct.pack("<9I", flags, *minimum, *maximum, *increment, *base))

    def flags(self, window, on=0, off=0):
        self.send("WINDOW_FLAGS", window, struct.pack("<II", on, off))

    def image(self, window, width, height, color):
        """A buffer of one colour (0xRRGGBB), dumped and damaged as a whole."""
        buffer = Buffer(self, width * height * 4)
        buffer.data[:width * height * 4] = struct.pack("<I", color) * (width * height)
        self.dump(window, width, height, buffer.refs)
        return buffer

    def show(self, window, x, y, width, height, color, title="", override=0, transient=0):
        """A window with one colour, created, titled and mapped. Returns its buffer."""
        self.create(window, x, y, width, height, override)
        if title:
            self.title(window, title)
        buffer = self.image(window, width, height, color)
        self.map(window, transient, override)
        self.damage(window, 0, 0, width, height)
        return buffer
