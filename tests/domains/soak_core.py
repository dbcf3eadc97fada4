# SPDX-License-Identifier: GPL-2.0-or-later
# xl dump-core: it asks for each frame up to 4 GiB by itself, which takes minutes on an emulator.
import os
import struct

from lib import Guest, RANDOM, WORK, disk, image, need, xl

DUMP_LIMIT = 600


def sections(place):
    """Names of the sections of an ELF file."""
    with open(place, "rb") as f:
        head = f.read(64)
        need(head[:5] == b"\x7fELF\2", "it is no ELF file of 64 bits")
        at, = struct.unpack_from("<Q", head, 40)
        size, count, names_at = struct.unpack_from("<HHH", head, 58)
        f.seek(at)
        table = f.read(size * count)
        begin, length = struct.unpack_from("<QQ", table, size * names_at + 24)
        f.seek(begin)
        names = f.read(length)
    starts = (struct.unpack_from("<I", table, size * i)[0] for i in range(count))
    return [names[start:names.index(b"\0", start)].decode() for start in starts]


def check_dump_core():
    """All of its memory is in it, and it goes on."""
    image("mark.img", 1, RANDOM[:65536])
    guest = Guest("dumped", memory=96, more=f"disk = [ '{disk('mark.img', 'xvda', 'ro')}' ]").create().up()
    guest.run("modprobe xen-blkfront; until [ -b /dev/xvda ]; do sleep 1; done; head -c 65536 /dev/xvda > /run/mark")
    place = os.path.join(WORK, "core")
    xl("dump-core", "dumped", place, timeout=DUMP_LIMIT)
    found = sections(place)
    need({".note.Xen", ".xen_prstatus", ".xen_pages"} <= set(found), f"its sections are {found}")
    with open(place, "rb") as f:
        core = f.read()
    os.unlink(place)
    need(len(core) > 90 << 20, f"it has {len(core)} bytes")
    need(RANDOM[:4096] in core, "what the guest has in memory is not in it")
    need(guest.run("echo on") == "on" and "p" not in guest.state(), f"its state is {guest.state()}")
    guest.destroy()
    return f"{len(core) >> 20} MiB"
