# SPDX-License-Identifier: GPL-2.0-or-later
# A few words of the GDB remote protocol: breakpoints at the emulator's stub.
import socket
import time


class Gdb:
    """Connected to the stub; the machine is stopped whenever no method runs."""

    def __init__(self, path):
        for _ in range(200):
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except OSError:
                self.sock.close()
                time.sleep(0.05)
        self.buffer = b""
        self.send("?")
        self._packet(30)

    def close(self):
        self.sock.close()

    def _packet(self, timeout):
        self.sock.settimeout(timeout)
        while True:
            start = self.buffer.find(b"$")
            end = self.buffer.find(b"#", start)
            if 0 <= start < end and len(self.buffer) >= end + 3:
                body, self.buffer = self.buffer[start + 1:end], self.buffer[end + 3:]
                self.sock.sendall(b"+")
                return body.decode("latin-1")
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the emulator has gone")
            self.buffer += data

    def send(self, text):
        body = text.encode()
        self.sock.sendall(b"$" + body + b"#%02x" % (sum(body) & 255))

    def _do(self, text):
        """A command whose answer is OK; a stop reply of before may come first."""
        self.send(text)
        while True:
            reply = self._packet(30)
            if reply[:1] not in ("T", "S"):
                break
        if reply != "OK":
            raise RuntimeError(f"the emulator answers {text} with '{reply}'")

    def run_to(self, addresses, timeout, pump=lambda: None):
        """Goes on until an instruction at one of these linear addresses is about to be executed."""
        for address in addresses:
            self._do(f"Z1,{address:x},1")
        self.send("c")
        end = time.monotonic() + timeout
        while True:
            pump()
            try:
                reply = self._packet(0.2)
            except TimeoutError:
                if time.monotonic() > end:
                    raise
                continue
            if reply[0] in "TS":
                break
        for address in addresses:
            self._do(f"z1,{address:x},1")
