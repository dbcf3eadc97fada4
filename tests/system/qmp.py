# SPDX-License-Identifier: GPL-2.0-or-later
# The QEMU machine protocol, as much of it as tests need.
import json


class QmpError(Exception):
    pass


class Qmp:
    """Speaks over a connected non-blocking socket; events pile up in .events."""

    def __init__(self, sock):
        self.sock, self.events, self.replies = sock, [], []
        self.pending = b""

    def feed(self):
        """Takes what the socket has; returns False at its end."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            if not line.strip():
                continue
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif "QMP" not in message:
                self.replies.append(message)
        return True

    def send(self, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments}) + "\n"
        self.sock.setblocking(True)
        self.sock.sendall(text.encode())
        self.sock.setblocking(False)

    def take_reply(self):
        reply = self.replies.pop(0)
        if "error" in reply:
            raise QmpError(reply["error"]["desc"])
        return reply["return"]

    def shutdown_reason(self):
        """Why the machine stopped: guest-shutdown, guest-reset, host-qmp-quit, …; None if it runs."""
        for event in self.events:
            if event["event"] == "SHUTDOWN":
                return event["data"]["reason"]
        return None
