# SPDX-License-Identifier: GPL-2.0-or-later
# One guest: from creation to destruction.
from lib import BZIMAGE, Guest, domains, free_pages, need, until, xenstore


def check_create_destroy():
    """The packed kernel as Debian ships it; console out and in; nothing of it stays behind."""
    pages, store = free_pages(), xenstore()
    guest = Guest("first", memory=256, kernel=BZIMAGE, extra="").create()
    guest.wait_for(r"Booting kernel on Xen PVH|Booting paravirtualized kernel on Xen PVH")
    guest.up()
    need(domains()["first"][1:3] == (256, 1), f"xl list says {domains()['first']}")
    need(guest.run("echo $((6 * 7))") == "42", "the console's input does not arrive")
    memory = int(guest.run("awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo"))
    need(190 < memory < 256, f"{memory} MiB of memory")
    guest.destroy()
    until("its memory is free", lambda: free_pages() == pages)
    new = {line for line in xenstore() - store if not line.startswith(("/libxl =", "/vm ="))}
    need(not new, f"left in the store: {sorted(new)[:3]}")
    return f"{memory} MiB"
