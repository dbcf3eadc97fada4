# SPDX-License-Identifier: GPL-2.0-or-later
# A display for tests: Xvfb with a window manager, input by xdotool, pictures by XGetImage.
import ctypes
import os
import re
import struct
import subprocess
import time
import zlib

LIMIT = 60


class _Image(ctypes.Structure):
    """The beginning of XImage, of Xlib.h."""
    _fields_ = [("width", ctypes.c_int), ("height", ctypes.c_int), ("offset", ctypes.c_int),
                ("format", ctypes.c_int), ("data", ctypes.c_void_p), ("byte_order", ctypes.c_int),
                ("unit", ctypes.c_int), ("bit_order", ctypes.c_int), ("pad", ctypes.c_int), ("depth", ctypes.c_int),
                ("stride", ctypes.c_int), ("bits", ctypes.c_int)]


class _Cursor(ctypes.Structure):
    """XFixesCursorImage, of Xfixes.h."""
    _fields_ = [("x", ctypes.c_short), ("y", ctypes.c_short), ("width", ctypes.c_ushort), ("height", ctypes.c_ushort),
                ("xhot", ctypes.c_ushort), ("yhot", ctypes.c_ushort), ("serial", ctypes.c_ulong),
                ("pixels", ctypes.POINTER(ctypes.c_ulong))]


class Camera:
    """Takes pictures of the whole screen."""

    def __init__(self, display, width, height):
        self.lib, self.width, self.height = ctypes.CDLL("libX11.so.6"), width, height
        self.lib.XOpenDisplay.restype = ctypes.c_void_p
        self.lib.XDefaultRootWindow.restype = ctypes.c_ulong
        self.lib.XDefaultRootWindow.argtypes = self.lib.XCloseDisplay.argtypes = [ctypes.c_void_p]
        self.lib.XGetImage.restype = ctypes.POINTER(_Image)
        self.lib.XGetImage.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_int, ctypes.c_uint,
                                       ctypes.c_uint, ctypes.c_ulong, ctypes.c_int]
        self.display = self.lib.XOpenDisplay(display.encode())
        if not self.display:
            raise RuntimeError("no display for pictures")

    def take(self):
        image = self.lib.XGetImage(self.display, self.lib.XDefaultRootWindow(self.display), 0, 0, self.width,
                                   self.height, ctypes.c_ulong(-1), 2)
        found = image.contents
        if found.bits != 32 or found.byte_order != 0 or found.stride != self.width * 4:
            raise ValueError("pictures have to be of 32 bits a pixel, little-endian")
        words = ctypes.string_at(found.data, found.stride * self.height)
        self.lib.XDestroyImage(image)
        return Picture(self.width, self.height, words)

    def cursor(self):
        """The shape of the pointer: its size, and what is in it."""
        fixes = ctypes.CDLL("libXfixes.so.3")
        fixes.XFixesGetCursorImage.restype = ctypes.POINTER(_Cursor)
        fixes.XFixesGetCursorImage.argtypes = self.lib.XFree.argtypes = [ctypes.c_void_p]
        image = fixes.XFixesGetCursorImage(self.display)
        found = image.contents
        shape = found.width, found.height, tuple(found.pixels[i] for i in range(found.width * found.height))
        self.lib.XFree(image)
        return shape

    def close(self):
        self.lib.XCloseDisplay(self.display)


class Picture:
    """What is on the screen: picture[x, y] is 0xRRGGBB."""

    def __init__(self, width, height, words):
        self.width, self.height = width, height
        self.data = bytearray(width * height * 3)  # red, green, blue
        self.data[0::3], self.data[1::3], self.data[2::3] = words[2::4], words[1::4], words[0::4]

    def __getitem__(self, place):
        at = (place[1] * self.width + place[0]) * 3
        return int.from_bytes(self.data[at:at + 3], "big")

    def count(self, color):
        wanted = color.to_bytes(3, "big")
        return sum(self.data[at:at + 3] == wanted for at in range(0, len(self.data), 3))

    def save(self, path):
        rows = b"".join(b"\0" + self.data[y * self.width * 3:(y + 1) * self.width * 3]
                        for y in range(self.height))

        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        with open(path, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" +
                    chunk(b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)) +
                    chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


class Desktop:
    def __init__(self, place, size="1280x800", wm=("openbox",)):
        read, write = os.pipe()
        self.log = open(os.path.join(place, "xvfb.log"), "wb")
        self.processes = [subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"],
            pass_fds=[write], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)]
        os.close(write)
        with os.fdopen(read) as f:
            number = f.readline().strip()
        if not number:
            raise RuntimeError("Xvfb does not start")
        home = os.path.join(place, "home")
        os.makedirs(home, exist_ok=True)
        self.env = dict(os.environ, DISPLAY=f":{number}", GDK_BACKEND="x11", HOME=home, XDG_RUNTIME_DIR=home,
                        XDG_CACHE_HOME=home, XDG_CONFIG_HOME=home, NO_AT_BRIDGE="1", LANG="C.UTF-8")
        for name in ("DBUS_SESSION_BUS_ADDRESS", "WAYLAND_DISPLAY"):
            self.env.pop(name, None)
        self.camera = Camera(f":{number}", *map(int, size.split("x")))
        if wm:
            self.start(*wm)
            self.until(lambda: "window id" in self.run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"),
                       "the window manager does not start")
        self.run("xsetroot", "-solid", "#102030")

    def start(self, *command, **options):
        options.setdefault("stdout", self.log)
        options.setdefault("stderr", self.log)
        options.setdefault("env", self.env)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def run(self, *command):
        return subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                              timeout=LIMIT).stdout

    def do(self, *words):
        """xdotool; fails if it says anything went wrong."""
        done = subprocess.run(["xdotool", *map(str, words)], env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              timeout=LIMIT)
        if done.returncode:
            raise RuntimeError(f"xdotool {words}: {done.stdout}")
        return done.stdout.strip()

    @staticmethod
    def until(condition, what):
        """Waits for a state, not for a time; the limit is for a state that never comes."""
        end = time.monotonic() + LIMIT
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise TimeoutError(what)
            time.sleep(0.02)

    def resize(self, width, height):
        """Another size of the screen, not larger than the first. Pictures can only be taken of the first."""
        mode = f"{width}x{height}"
        if mode not in self.run("xrandr"):
            # Times of a monitor, which Xvfb does not look at.
            self.run("xrandr", "--newmode", mode, "60", *map(str, (width, width + 1, width + 2, width + 3)),
                     *map(str, (height, height + 1, height + 2, height + 3)))
            self.run("xrandr", "--addmode", "screen", mode)
        said = self.run("xrandr", "--output", "screen", "--mode", mode)
        if f"current {width} x {height}," not in self.run("xrandr"):
            raise RuntimeError(f"the screen does not become {mode}: {said}")

    def picture(self):
        return self.camera.take()

    def await_pixel(self, x, y, color):
        self.until(lambda: self.picture()[x, y] == color,
                   f"pixel {x},{y} does not become {color:06x}")

    def find(self, title):
        """The number of the window with exactly this title."""
        # What is said besides numbers is about windows that went while it was looking.
        return self.until(lambda: re.findall(r"^\d+$", self.run("xdotool", "search", "--name",
                                                                f"^{re.escape(title)}$"), re.M),
                          f"no window {title!r}")[0]

    def property(self, window, name):
        return self.run("xprop", "-id", str(window), name).strip()

    def geometry(self, window):
        """(x, y, width, height) of the window itself, on the root."""
        text = self.run("xwininfo", "-id", str(window))
        return tuple(int(re.search(pattern, text)[1]) for pattern in (
            r"Absolute upper-left X: +(-?\d+)", r"Absolute upper-left Y: +(-?\d+)", r"Width: (\d+)",
            r"Height: (\d+)"))

    def close(self):
        self.camera.close()
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(LIMIT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.log.close()
