# SPDX-License-Identifier: GPL-2.0-or-later
# Plays the GUI daemon towards an agent over the local transport, and checks every message that it gets.
"""Written from the description of the protocol, not from the code of the product: it shares only libvchan with it."""
import ctypes
import mmap
import os
import select
import socket
import struct
import time
import zlib

PORT = 6000
PAGE = 4096
LIMIT = 60  # seconds: a test that waits for longer has failed

NAMES = {
    124: "KEYPRESS", 125: "BUTTON", 126: "MOTION", 127: "CROSSING", 128: "FOCUS", 129: "RESIZE", 130: "CREATE",
    131: "DESTROY", 132: "MAP", 133: "UNMAP", 134: "CONFIGURE", 135: "MFNDUMP", 136: "SHMIMAGE", 137: "CLOSE",
    138: "EXECUTE", 139: "CLIPBOARD_REQ", 140: "CLIPBOARD_DATA", 141: "WMNAME", 142: "KEYMAP_NOTIFY", 143: "DOCK",
    144: "WINDOW_HINTS", 145: "WINDOW_FLAGS", 146: "WMCLASS", 147: "WINDOW_DUMP", 148: "CURSOR",
    149: "WINDOW_DUMP_ACK",
}
NUMBERS = {name: number for number, name in NAMES.items()}
# What an agent may send: struct format of the body (None: variable) and the minor version that brought it.
FROM_AGENT = {
    "CREATE": ("<iiIIII", 0), "DESTROY": ("", 0), "MAP": ("<II", 0), "UNMAP": ("", 0), "CONFIGURE": ("<iiIII", 0),
    "SHMIMAGE": ("<iiII", 0), "CLIPBOARD_DATA": (None, 0), "WMNAME": ("<128s", 0), "DOCK": ("", 0),
    "WINDOW_HINTS": ("<9I", 0), "WINDOW_FLAGS": ("<II", 0), "WMCLASS": ("<64s64s", 1), "WINDOW_DUMP": (None, 2),
    "CURSOR": ("<I", 3),
}
TO_AGENT = {
    "KEYPRESS": "<IiiII", "BUTTON": "<IiiII", "MOTION": "<iiII", "CROSSING": "<IiiIIII", "FOCUS": "<III",
    "MAP": "<II", "CONFIGURE": "<iiIII", "CLOSE": "", "CLIPBOARD_REQ": "", "WINDOW_FLAGS": "<II",
    "WINDOW_DUMP_ACK": "", "DESTROY": "", "KEYMAP_NOTIFY": "<32s", "RESIZE": "<II", "EXECUTE": "<255s",
}
MAX_WIDTH, MAX_HEIGHT = 16384, 6144
HINTS_KNOWN = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8


class Broken(Exception):
    """The agent broke the protocol, or did not do what was waited for."""


def library(path):
    lib = ctypes.CDLL(path, use_errno=True)
    lib.libvchan_client_init_async_uri.restype = ctypes.c_void_p
    lib.libvchan_client_init_async_uri.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int,
                                                   ctypes.POINTER(ctypes.c_int)]
    lib.libvchan_client_init_async_finish.argtypes = [ctypes.c_void_p, ctypes.c_bool]
    for name in ("data_ready", "buffer_space", "wait", "is_open", "close"):
        getattr(lib, "libvchan_" + name).argtypes = [ctypes.c_void_p]
    for name in ("read", "write"):
        getattr(lib, "libvchan_" + name).argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    return lib


class Window:
    def __init__(self, number, body):
        x, y, width, height, _parent, override = struct.unpack("<iiIIII", body)
        self.number = number
        self.box = [x, y, width, height]
        self.override = bool(override)
        self.mapped = self.docked = False
        self.transient_for = 0
        self.title = self.class_name = self.instance = None
        self.hints = None
        self.flags = 0
        self.cursor = 0
        self.dump = None  # (width, height, refs)
        self.dumps = 0
        self.damage = []  # since the test looked last


class Pages:
    """The socket by which buffers come, and the buffers."""
    def __init__(self, place, agent, own):
        self.path = os.path.join(place, f"gui.{agent}.{own}.sock")
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(4)
        self.listener.setblocking(False)
        self.connection, self.files = None, {}

    def receive(self):
        # The agent may have connected while it still believed in a daemon before this one: the last one counts.
        try:
            while True:
                newer = self.listener.accept()[0]
                newer.setblocking(False)
                if self.connection:
                    self.connection.close()
                self.connection, self.files = newer, {}
        except BlockingIOError:
            pass
        while self.connection:
            try:
                data, fds, _, _ = socket.recv_fds(self.connection, 64, 4)
            except BlockingIOError:
                return
            if not data:
                return
            magic, op, number, pages, _ = struct.unpack("<8sIIII", data)
            if magic != b"bh-grant":
                raise Broken(f"pages: {data}")
            if op == 1:
                self.files[number] = (mmap.mmap(fds[0], pages * PAGE, prot=mmap.PROT_READ), pages)
            else:
                del self.files[number]
            for fd in fds:
                os.close(fd)

    def page(self, ref):
        number, page = ref >> 17, ref & 0x1ffff
        if number not in self.files or page >= self.files[number][1]:
            raise Broken(f"reference {ref:#x} names no page")
        return self.files[number][0][page * PAGE:(page + 1) * PAGE]

    def close(self):
        self.listener.close()
        if self.connection:
            self.connection.close()
        os.unlink(self.path)


class Daemon:
    def __init__(self, place, libvchan, minor=8, screen=(1280, 800), own=0, agent=1, answers=True):
        self.lib = library(libvchan)
        self.own_minor, self.screen, self.answers = minor, screen, answers
        self.windows, self.log, self.clipboard = {}, [], []
        self.inbox = b""
        self.minor = None
        self.pages = Pages(place, agent, own)
        fd = ctypes.c_int()
        uri = f"local:{place}?domain={own}".encode()
        self.handle = self.lib.libvchan_client_init_async_uri(uri, agent, PORT, ctypes.byref(fd))
        if not self.handle:
            raise Broken("no channel")
        self.fd = fd.value
        self.connect()

    # The stream

    def connect(self):
        end = time.monotonic() + LIMIT
        while True:
            state = self.lib.libvchan_client_init_async_finish(self.handle, False)
            if state == 0:
                break
            if state < 0 or time.monotonic() > end:
                raise Broken("the agent does not connect")
            select.select([self.fd], [], [], 0.1)
        version, = struct.unpack("<I", self.exactly(4))
        if version >> 16 != 1:
            raise Broken(f"the agent announces {version:#x}")
        self.agent_minor = version & 0xffff
        self.minor = min(self.agent_minor, self.own_minor)
        width, height = self.screen
        if self.agent_minor >= 4:
            self.write(struct.pack("<I", 1 << 16 | self.minor))
        self.write(struct.pack("<IIII", width, height, 24, width * height * 4 // 1024 + 1))

    def pump(self, wait):
        """Reads what there is; sleeps at most `wait` seconds for it."""
        count = self.lib.libvchan_data_ready(self.handle)
        if not count:
            if self.lib.libvchan_is_open(self.handle) == 0 and not self.lib.libvchan_data_ready(self.handle):
                raise Broken("the agent has closed the channel")
            if select.select([self.fd], [], [], wait)[0]:
                self.lib.libvchan_wait(self.handle)
            count = self.lib.libvchan_data_ready(self.handle)
        if count > 0:
            buffer = ctypes.create_string_buffer(count)
            got = self.lib.libvchan_read(self.handle, buffer, count)
            if got < 0:
                raise Broken("the agent has closed the channel")
            self.inbox += buffer.raw[:got]

    def exactly(self, count):
        end = time.monotonic() + LIMIT
        while len(self.inbox) < count:
            if time.monotonic() > end:
                raise Broken(f"waited for {count} bytes, got {len(self.inbox)}")
            self.pump(0.1)
        data, self.inbox = self.inbox[:count], self.inbox[count:]
        return data

    def write(self, data):
        end = time.monotonic() + LIMIT
        while data:
            done = self.lib.libvchan_write(self.handle, data, len(data))
            if done < 0 or time.monotonic() > end:
                raise Broken("the agent does not read")
            data = data[done:]
            if data:
                self.pump(0.05)

    @staticmethod
    def message(name, window, *values, raw=None):
        body = raw if raw is not None else struct.pack(TO_AGENT[name], *values)
        return struct.pack("<III", NUMBERS[name], window, len(body)) + body

    def send(self, name, window, *values, raw=None):
        self.write(self.message(name, window, *values, raw=raw))

    def send_raw(self, number, window, body):
        self.write(struct.pack("<III", number, window, len(body)) + body)

    # The messages

    def one(self):
        """Handles one whole message, if there is one."""
        if len(self.inbox) < 12:
            return False
        number, window, length = struct.unpack("<III", self.inbox[:12])
        name = NAMES.get(number)
        if name not in FROM_AGENT:
            raise Broken(f"message {number} of an agent")
        form, since = FROM_AGENT[name]
        if since > self.minor:
            raise Broken(f"{name} in protocol 1.{self.minor}")
        if form is not None and length != struct.calcsize(form):
            raise Broken(f"{name} of {length} bytes")
        if len(self.inbox) < 12 + length:
            return False
        body, self.inbox = self.inbox[12:12 + length], self.inbox[12 + length:]
        self.pages.receive()
        if name not in ("CREATE", "CLIPBOARD_DATA") and window not in self.windows:
            raise Broken(f"{name} for the unknown window {window}")
        getattr(self, "on_" + name.lower())(window, body)
        self.log.append((name, window, body))
        return True

    def step(self, wait=0.05):
        if not self.one():
            self.pump(wait)

    def until(self, condition, what):
        """Handles messages until the condition holds; returns what it said."""
        end = time.monotonic() + LIMIT
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > end:
                raise Broken(f"never came: {what}; last: {[(n, w) for n, w, _ in self.log[-12:]]}")
            self.step()

    def settle(self, seconds=0.3):
        """Handles messages until nothing came for that long. For screenshots, not for decisions of tests."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            count = len(self.log)
            self.step(0.02)
            if len(self.log) != count:
                end = time.monotonic() + seconds

    def on_create(self, number, body):
        if number in self.windows or not number:
            raise Broken(f"CREATE of window {number}, which exists")
        window = Window(number, body)
        if not (0 < window.box[2] <= MAX_WIDTH and 0 < window.box[3] <= MAX_HEIGHT):
            raise Broken(f"CREATE with the size {window.box}")
        self.windows[number] = window

    def on_destroy(self, number, _body):
        del self.windows[number]
        if self.minor >= 5 and self.answers:
            self.send("DESTROY", number)

    def on_map(self, number, body):
        window = self.windows[number]
        parent, override = struct.unpack("<II", body)
        if window.mapped or window.docked:
            raise Broken(f"MAP of the mapped window {number}")
        if parent and parent not in self.windows:
            raise Broken(f"MAP of {number} for the unknown window {parent}")
        if not window.dump:
            raise Broken(f"MAP of {number} without contents")
        window.mapped, window.transient_for, window.override = True, parent, bool(override)

    def on_unmap(self, number, _body):
        if not self.windows[number].mapped:
            raise Broken(f"UNMAP of the hidden window {number}")
        self.windows[number].mapped = False

    def on_dock(self, number, _body):
        if self.windows[number].mapped or self.windows[number].docked:
            raise Broken("DOCK of a window that is shown")
        self.windows[number].docked = True

    def on_configure(self, number, body):
        x, y, width, height, _ = struct.unpack("<iiIII", body)
        if not (0 < width <= MAX_WIDTH and 0 < height <= MAX_HEIGHT):
            raise Broken(f"CONFIGURE with {width}x{height}")
        self.windows[number].box = [x, y, width, height]

    def on_shmimage(self, number, body):
        window = self.windows[number]
        x, y, width, height = struct.unpack("<iiII", body)
        if not window.dump:
            raise Broken("SHMIMAGE before WINDOW_DUMP")
        if x < 0 or y < 0 or not width or not height or x + width > window.dump[0] or y + height > window.dump[1]:
            raise Broken(f"SHMIMAGE outside of the image: {(x, y, width, height)}")
        window.damage.append((x, y, width, height))

    def on_clipboard_data(self, _number, body):
        limit = 256001 if self.minor >= 8 else 65000
        if len(body) > limit:
            raise Broken(f"CLIPBOARD_DATA of {len(body)} bytes")
        self.clipboard.append(body)

    @staticmethod
    def text(field):
        text, _, rest = field.partition(b"\0")
        if len(text) == len(field) or rest.strip(b"\0"):
            raise Broken(f"a text without its end: {field}")
        return text.decode("utf-8")

    def on_wmname(self, number, body):
        self.windows[number].title = self.text(body)

    def on_wmclass(self, number, body):
        window = self.windows[number]
        if window.mapped:
            window.late_class = True
        window.class_name, window.instance = self.text(body[:64]), self.text(body[64:])

    def on_window_hints(self, number, body):
        hints = struct.unpack("<9I", body)
        if hints[0] & ~HINTS_KNOWN:
            raise Broken(f"hints {hints[0]:#x}")
        self.windows[number].hints = hints

    def on_window_flags(self, number, body):
        on, off = struct.unpack("<II", body)
        if on & off or (on | off) & ~7 or off & 4:
            raise Broken(f"flags {on:#x} {off:#x}")
        self.windows[number].flags = (self.windows[number].flags | on) & ~off

    def on_window_dump(self, number, body):
        window = self.windows[number]
        kind, width, height, bpp = struct.unpack("<IIII", body[:16])
        refs = struct.unpack(f"<{len(body) // 4 - 4}I", body[16:])
        if kind != 0 or bpp != 24 or not width or not height or width > MAX_WIDTH or height > MAX_HEIGHT:
            raise Broken(f"WINDOW_DUMP {kind} {width}x{height} {bpp}")
        if len(refs) * PAGE < width * height * 4:
            raise Broken(f"WINDOW_DUMP of {len(refs)} pages for {width}x{height}")
        for ref in refs:
            self.pages.page(ref)
        window.dump, window.dumps = (width, height, refs), window.dumps + 1
        if self.minor >= 7 and self.answers:
            self.send("WINDOW_DUMP_ACK", number)

    def on_cursor(self, number, body):
        cursor, = struct.unpack("<I", body)
        if cursor and not 0x100 <= cursor < 0x19a:
            raise Broken(f"CURSOR {cursor:#x}")
        self.windows[number].cursor = cursor

    # What a user of the daemon does

    def find(self, **wanted):
        """The first mapped window whose attributes are these."""
        for window in self.windows.values():
            if (window.mapped or window.docked) and all(getattr(window, k) == v for k, v in wanted.items()):
                return window
        return None

    def window(self, **wanted):
        return self.until(lambda: self.find(**wanted), f"a window with {wanted}")

    def place(self, window, x, y, width, height):
        """The window manager's decision; waits for the acknowledgement."""
        number = window.number
        seen = len(self.log)
        self.send("CONFIGURE", number, x, y, width, height, 0)
        wanted = struct.pack("<iiII", x, y, width, height)
        self.until(lambda: any(n == "CONFIGURE" and w == number and b[:16] == wanted for n, w, b in self.log[seen:]),
                   f"the answer to CONFIGURE of {number}")

    def focus(self, window, gained=True):
        if gained:
            self.send("KEYMAP_NOTIFY", 0, bytes(32))
        self.send("FOCUS", window.number, 9 if gained else 10, 0, 0)

    def key(self, window, keycode, state=0):
        self.send("KEYPRESS", window.number, 2, 1, 1, state, keycode)
        self.send("KEYPRESS", window.number, 3, 1, 1, state, keycode)

    def move(self, window, x, y, state=0):
        self.send("MOTION", window.number, x, y, state, 0)

    def enter(self, window, x, y):
        self.send("CROSSING", window.number, 7, x, y, 0, 0, 0, 0)

    def leave(self, window):
        self.send("CROSSING", window.number, 8, -1, -1, 0, 0, 0, 0)

    def click(self, window, x, y, button=1):
        mask = 1 << (7 + button)
        self.enter(window, x, y)
        self.move(window, x, y)
        self.send("BUTTON", window.number, 4, x, y, 0, button)
        self.send("BUTTON", window.number, 5, x, y, mask, button)

    # What is to be seen

    def image(self, window):
        """Rows of B, G, R, X."""
        width, height, refs = window.dump
        data = b"".join(self.pages.page(ref) for ref in refs)[:width * height * 4]
        return width, height, data

    def pixel(self, window, x, y):
        width, _, refs = window.dump
        offset = (y * width + x) * 4
        blue, green, red = self.pages.page(refs[offset // PAGE])[offset % PAGE:][:3]
        return red, green, blue

    def png(self, window, path):
        width, height, data = self.image(window)
        rgb = bytearray(width * height * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
        rows = b"".join(b"\0" + bytes(rgb[y * width * 3:(y + 1) * width * 3]) for y in range(height))

        def chunk(kind, body):
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        with open(path, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                    chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

    def close(self):
        self.lib.libvchan_close(self.handle)
        self.pages.close()
