#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# "make screenshot": a picture of the machine that "make run" has started, through QEMU's monitor.
import os
import socket
import sys

sys.dont_write_bytecode = True
OUT = os.environ.get("O", "build")
MONITOR = os.path.join(OUT, "run.monitor")
PICTURE = os.path.join(OUT, "screenshot.png")


def main():
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from system.play_times import ask
    from system.qmp import Qmp, QmpError

    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(MONITOR)
            sock.setblocking(False)
            qmp = Qmp(sock)
            ask(qmp, sock, "qmp_capabilities")
            ask(qmp, sock, "screendump", filename=os.path.abspath(PICTURE), format="png")
    except (OSError, QmpError) as problem:
        sys.exit(f"make screenshot: {MONITOR}: {problem}; is \"make run\" running?")
    print(PICTURE)


if __name__ == "__main__":
    main()
