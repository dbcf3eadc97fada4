# SPDX-License-Identifier: GPL-2.0-or-later
# What a hostile agent may try. The daemon drops its qube with a word to the user, or bears it; others go on.
import os
import random
import re
import struct
import time

from .agent import NUMBERS, Buffer, Gone
from .daemon_checks import BLUE, GREEN, PLACED, YELLOW, place, same, settle

# Lengths of bodies, by the protocol.
LENGTHS = {"CREATE": 24, "DESTROY": 0, "MAP": 8, "UNMAP": 0, "CONFIGURE": 20, "SHMIMAGE": 16, "WMNAME": 128,
           "DOCK": 0, "WINDOW_HINTS": 36, "WINDOW_FLAGS": 8, "WMCLASS": 128, "CURSOR": 4}


def attack(bed, words, act, **options):
    """One session that `act` has to end, and what the user is told of it."""
    daemon = bed.daemon(**options)
    daemon.agent.create(1, 100, 100, 64, 64)
    try:
        act(daemon.agent)
    except Gone:
        pass
    daemon.expect_dropped(words)
    daemon.stop()
    bed.daemons.remove(daemon)


def wrong_lengths(bed):
    """Of every message one byte too few, one too many, and far too many."""
    for kind, length in LENGTHS.items():
        for wrong in {max(0, length - 1), length + 1, 0xffffffff} - {length}:
            attack(bed, "cannot be", lambda a, k=kind, w=wrong: a.send(k, 1, bytes(min(w, 256)), length=w))
    for length in (0, 15, 18, 16 + 4 * 98304 + 4, 0xfffffffc):
        attack(bed, "cannot be", lambda a, w=length: a.send("WINDOW_DUMP", 1, bytes(min(w, 64)), length=w))
    attack(bed, "cannot be", lambda a: a.send("CLIPBOARD_DATA", 1, b"", length=256002))
    attack(bed, "cannot be", lambda a: a.send("CLIPBOARD_DATA", 1, b"", length=65001), version=0x10007)


def wrong_types(bed):
    """Numbers that are no message, messages of the daemon, frames by number."""
    for number in (0, 123, 150, 0xffffffff):
        attack(bed, "cannot be", lambda a, n=number: a.send(n, 1, b""))
    for kind in ("KEYPRESS", "MOTION", "FOCUS", "CLOSE", "CLIPBOARD_REQ", "WINDOW_DUMP_ACK", "EXECUTE"):
        attack(bed, "cannot be", lambda a, k=kind: a.send(k, 1, b""))
    attack(bed, "MFNDUMP", lambda a: a.send("MFNDUMP", 1, struct.pack("<8I", 0, 8, 8, 24, 0, 1, 7, 1)))
    attack(bed, "MFNDUMP", lambda a: a.send("MFNDUMP", 1, struct.pack("<8I", 0, 8, 8, 24, 0, 1, 7, 1)), version=0x10000)


def unknown_windows(bed):
    for kind, length in LENGTHS.items():
        if kind != "CREATE":
            attack(bed, "does not exist", lambda a, k=kind, n=length: a.send(k, 77, bytes(n)))
    attack(bed, "does not exist", lambda a: a.dump(77, 1, 1, Buffer(a, 4096).refs))
    attack(bed, "exists already", lambda a: a.create(1, 0, 0, 5, 5))


def wrong_values(bed):
    attack(bed, "negative size", lambda a: a.create(2, 0, 0, 0x80000000, 5))
    attack(bed, "negative size", lambda a: a.create(2, 0, 0, 5, 0xffffffff))
    for size in ((0, 5), (5, 0), (0, 0), (0x80000001, 5), (5, 0xffffffff)):
        attack(bed, "without a size", lambda a, s=size: a.configure(1, 0, 0, *s))
    attack(bed, "same state", lambda a: a.flags(1, 5, 4))
    attack(bed, "windows_count_limit", lambda a: [a.create(i, 0, 0, 1, 1) for i in range(2, 10)],
           options=["-o", "windows_count_limit=5"])


def wrong_images(bed):
    """Sizes that do not fit the pages, pages that are not there, pages of others."""
    words = "too few pages"
    for width, height, pages in ((0, 0, 1), (0, 5, 1), (5, 0, 1), (64, 64, 3), (16385, 1, 20), (1, 6145, 10),
                                 (0xffffffff, 0xffffffff, 1), (0x10000, 0x10000, 1), (0x40000001, 1, 1),
                                 (16384, 6144, 98303)):
        attack(bed, words, lambda a, w=width, h=height, n=pages: a.dump(1, w, h, [1 << 17] * n))
    attack(bed, "unknown way", lambda a: a.dump(1, 1, 1, Buffer(a, 4096).refs, kind=1))
    for bpp in (0, 8, 16, 0xffffffff):
        attack(bed, "unknown depth", lambda a, b=bpp: a.dump(1, 1, 1, Buffer(a, 4096).refs, bpp=b))
    words = "cannot be mapped"
    for refs in ([0], [0xffffffff], [2 << 17], [1 << 17 | 1], [1 << 17 | 0x1ffff]):
        def act(agent, refs=tuple(refs)):
            Buffer(agent, 4096)
            agent.dump(1, 4, 4, refs)
        attack(bed, words, act)

    def unsealed(agent):
        """It could shrink under the daemon's eyes."""
        buffer = Buffer(agent, 4096, seals=0)
        agent.dump(1, 4, 4, buffer.refs)
    attack(bed, words, unsealed)

    def removed(agent):
        buffer = Buffer(agent, 4096)
        buffer.remove()
        agent.dump(1, 4, 4, buffer.refs)
    attack(bed, words, removed)

    def garbage(agent):
        for message in (b"", b"x", b"bh-grant", b"bh-grant" + b"\xff" * 16, b"y" * 24, b"z" * 4000):
            try:
                agent.socket.send(message)
            except OSError:
                agent.attach()
        agent.dump(1, 4, 4, [1 << 17])
    attack(bed, words, garbage)

    def too_much(agent):
        """More pages in all than one qube may have mapped."""
        buffer = Buffer(agent, 16384 * 6144 * 4)
        for window in range(2, 20):
            agent.create(window, 0, 0, 1, 1)
            agent.dump(window, 16384, 6144, buffer.refs)
    attack(bed, words, too_much)


def extreme_values(bed):
    """Strange, but allowed: nothing ends, and a well-behaved window still works afterwards."""
    daemon = bed.daemon()
    agent = daemon.agent
    numbers = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x7fff, 0x8000, 0xffff)
    rnd = random.Random(5)
    agent.create(0xffffffff, -2**31, 2**31 - 1, 2**31 - 1, 2**31 - 1)
    agent.create(2, 2**31 - 1, -2**31, 0, 0, 0xffffffff, 0xffffffff)
    for _ in range(300):
        window = rnd.choice((0xffffffff, 2))
        values = [rnd.choice(numbers) for _ in range(9)]
        agent.send("WINDOW_HINTS", window, struct.pack("<9I", *values))
        agent.send("SHMIMAGE", window, struct.pack("<4I", *values[:4]))
        agent.send("CURSOR", window, struct.pack("<I", values[4]))
        agent.send("MAP", window, struct.pack("<II", *values[5:7]))
        agent.send("WINDOW_FLAGS", window, struct.pack("<II", values[7], ~values[7] & 0xffffffff))
        agent.send("CONFIGURE", window, struct.pack("<IIIII", *values[:2], *(
            max(1, v & 0x7fffffff) for v in values[2:4]), values[4]))
        agent.send("WMNAME", window, bytes(rnd.randrange(1, 256) for _ in range(128)))
        agent.send("WMCLASS", window, bytes(rnd.randrange(1, 256) for _ in range(128)))
        if rnd.random() < 0.3:
            agent.send("UNMAP", window)
    for window in (0xffffffff, 2):
        agent.send("DESTROY", window)
        agent.expect("DESTROY", window)
    place(agent, 5, 100, 100, 200, 100, GREEN, "after")
    settle(bed, agent, 5, "[work] after", (100, 100, 200, 100))
    bed.desktop.await_pixel(200, 150, GREEN)


def rewritten_pages(bed):
    """Pages are written, given back and replaced while they are being drawn."""
    daemon = bed.daemon()
    agent = daemon.agent
    buffer = place(agent, 1, 100, 100, 640, 480, GREEN, "rewrite")  # and mapped by the daemon
    settle(bed, agent, 1, "[work] rewrite", (100, 100, 640, 480))
    rnd = random.Random(3)
    for i in range(150):
        agent.damage(1, 0, 0, 640, 480)
        at = rnd.randrange(0, 640 * 480 * 4 - 4096)
        buffer.data[at:at + 4096] = bytes([i]) * 4096
        if i % 10 == 0:
            # The pages are taken away while they are in use, not after those that replace them are.
            buffer.remove()
            buffer = Buffer(agent, 640 * 480 * 4)
            agent.dump(1, 640, 480, buffer.refs)
            agent.expect("WINDOW_DUMP_ACK", 1)
            agent.damage(1, 0, 0, 640, 480)
    buffer.data[:640 * 480 * 4] = struct.pack("<I", BLUE) * (640 * 480)
    agent.damage(1, 0, 0, 640, 480)
    bed.desktop.await_pixel(420, 340, BLUE)
    bed.desktop.await_pixel(98, 340, daemon.color)


def frame_stays(bed):
    """Nothing that is drawn reaches the frame: images and damage larger than the window, popups of any size."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 200, 100, GREEN, "frame")
    settle(bed, agent, 1, "[work] frame", (100, 100, 200, 100))
    agent.image(1, 600, 400, BLUE)
    agent.damage(1, -50, -50, 700, 500)
    bed.desktop.await_pixel(200, 150, BLUE)
    for size in ((1, 1), (4, 4), (5, 5), (3, 50)):
        agent.show(2, 600, 300, *size, YELLOW, "small", override=1)
        agent.expect("WINDOW_DUMP_ACK", 2)
        bed.desktop.await_pixel(600, 300, daemon.color)
        agent.send("DESTROY", 2)
    picture = bed.desktop.picture()
    for x in range(97, 303):
        for y in (97, 98, 99, 200, 201, 202):
            same(f"frame at {x},{y}", picture[x, y], daemon.color)
    for y in range(97, 203):
        for x in (97, 98, 99, 300, 301, 302):
            same(f"frame at {x},{y}", picture[x, y], daemon.color)


def cover(bed):
    """A window with its frame beyond the edges of the screen, by its place, its size, and the least size that it says it has."""
    agent = bed.daemon().agent

    def in_sight():
        number = bed.desktop.find("[work] cover")
        x, y, width, height = bed.desktop.geometry(number)
        extents = re.search(r"= (\d+), (\d+), (\d+), (\d+)", bed.desktop.property(number, "_NET_FRAME_EXTENTS"))
        if not extents:
            return False
        left, right, top, bottom = map(int, extents.groups())
        return top > 5 and x >= left and y >= top and x + width + right <= 1280 and y + height + bottom <= 800

    agent.create(1, -100, -100, 1480, 1000)
    agent.hints(1, PLACED, minimum=(1480, 1000), base=(1300, 900), increment=(50, 50))
    agent.title(1, "cover")
    agent.image(1, 1480, 1000, BLUE)
    agent.map(1)
    agent.damage(1, 0, 0, 1480, 1000)
    bed.desktop.until(in_sight, "its frame is out of sight")
    # Each answer of the daemon is acknowledged, and then it tries again; once without a wish for a place.
    for turn in range(4):
        agent.sync(1)
        message = None
        while message is None or message.kind != "WINDOW_DUMP_ACK":
            message = agent.receive()
            if message.kind == "CONFIGURE":
                agent.configure(1, *(message[name] for name in ("x", "y", "width", "height")))
        agent.configure(1, -100, -100 * turn, 1480, 1000)
        if turn == 2:
            agent.send("UNMAP", 1)
            agent.hints(1, 0)
            agent.configure(1, -50, -50, 1400, 1000)
            agent.map(1)
        agent.expect("CONFIGURE", 1)
        bed.desktop.until(in_sight, f"its frame is out of sight after another {turn}")


def keys_stay(bed):
    """A window that comes up while the user types elsewhere does not get the keys; one that he has asked for does."""
    options = ["-o", "keyboard_rest=3600000"]
    good = bed.daemon(name="mail", label="blue", domain=9, options=options)
    place(good.agent, 1, 500, 100, 300, 200, GREEN, "good")
    number = settle(bed, good.agent, 1, "[mail] good", (500, 100, 300, 200))
    active = rf"_NET_ACTIVE_WINDOW.* {int(number):#x}\b"

    def type_there(what):
        if not re.search(active, bed.desktop.run("xprop", "-root", "_NET_ACTIVE_WINDOW")):
            raise AssertionError(f"another window is active: {what}")
        bed.desktop.do("key", "a")
        good.agent.expect("KEYPRESS", 1, keycode=38)

    bed.desktop.do("windowactivate", "--sync", number)
    type_there("before")
    evil = bed.daemon(options=options)
    for window in (1, 2):
        place(evil.agent, window, 100, 60 + 240 * window, 200, 200, BLUE, f"evil {window}", transient=window - 1)
        settle(bed, evil.agent, window, f"[work] evil {window}", (100, 60 + 240 * window, 200, 200))
        type_there(f"window {window}")
    evil.agent.flags(1, on=4)
    same("minimised", evil.agent.expect("WINDOW_FLAGS", 1)["set"], 4)
    for _ in range(3):
        evil.agent.map(1)
    bed.desktop.until(lambda: "urgency hint" in bed.desktop.property(bed.desktop.find("[work] evil 1"), "WM_HINTS"), "nobody is told")
    type_there("minimised, and shown again")
    # The user starts something in its qube, by dom0's menu. The window manager still refuses for a second after a key.
    window = 10

    def wanted():
        nonlocal window
        window += 1
        bed.desktop.run("xprop", "-root", "-f", "_QUBES_LAUNCHED", "8s", "-set", "_QUBES_LAUNCHED", f"work {int(time.time())}")
        place(evil.agent, window, 800, 100, 200, 200, BLUE, f"wanted {window}")
        shown = settle(bed, evil.agent, window, f"[work] wanted {window}", (800, 100, 200, 200))
        return f"{int(shown):#x}" in bed.desktop.run("xprop", "-root", "_NET_ACTIVE_WINDOW")
    bed.desktop.until(wanted, "what the user has started does not get the keyboard")
    bed.desktop.do("windowactivate", "--sync", number)
    place(evil.agent, 4, 800, 400, 200, 200, BLUE, "once")
    settle(bed, evil.agent, 4, "[work] once", (800, 400, 200, 200))
    type_there("counts once")


def late_copy(bed):
    """A text that the user asked for does not come in the place of one that he has copied since."""
    work, mail = bed.daemon(), bed.daemon(name="mail", label="blue", domain=9)
    numbers = {}
    for i, daemon in enumerate((work, mail)):
        place(daemon.agent, 1, 50 + 300 * i, 100, 200, 200, GREEN, "late")
        numbers[daemon] = settle(bed, daemon.agent, 1, f"[{daemon.name}] late", (50 + 300 * i, 100, 200, 200))

    def copy(daemon):
        bed.desktop.do("windowfocus", "--sync", numbers[daemon])
        daemon.agent.expect("FOCUS", 1, type=9)
        bed.desktop.do("key", "ctrl+shift+c")
        daemon.agent.expect("CLIPBOARD_REQ", 1)
    copy(work)
    copy(mail)
    mail.agent.send("CLIPBOARD_DATA", 1, b"wanted")
    mail.await_said("6 bytes were copied")
    work.agent.send("CLIPBOARD_DATA", 1, b"forged")
    work.await_said("had changed")
    with open(os.path.join(bed.clipboard, "qubes-clipboard.bin"), "rb") as f:
        same("what was copied", f.read(), b"wanted")
    # The next request is another matter.
    copy(work)
    work.agent.send("CLIPBOARD_DATA", 1, b"later")
    work.await_said("5 bytes were copied")


def deaf_agent(bed):
    """An agent that reads nothing: the daemon neither waits nor grows without end; another qube is as before."""
    deaf, good = bed.daemon(), bed.daemon(name="mail", label="blue", domain=9)
    place(deaf.agent, 1, 100, 100, 300, 200, GREEN, "deaf")
    number = settle(bed, deaf.agent, 1, "[work] deaf", (100, 100, 300, 200))
    place(good.agent, 1, 500, 100, 300, 200, GREEN, "good")
    settle(bed, good.agent, 1, "[mail] good", (500, 100, 300, 200))
    bed.desktop.do("windowfocus", "--sync", number)
    words = []
    for i in range(6000):
        words += ["mousemove", str(110 + i % 200), str(110 + i // 200 % 100)]
    for i in range(0, len(words), 3000):
        bed.desktop.do(*words[i:i + 3000])
    # Its windows can still be drawn and moved, and the other qube works.
    deaf.agent.damage(1, 0, 0, 300, 200)
    bed.desktop.do("mousemove", 600, 200)
    good.agent.expect("CROSSING", 1, type=7)
    buffer = good.agent.image(1, 300, 200, BLUE)
    good.agent.damage(1, 0, 0, 300, 200)
    bed.desktop.await_pixel(600, 250, BLUE)
    with open(f"/proc/{deaf.process.pid}/statm", encoding="ascii") as f:
        pages = int(f.read().split()[1])
    if pages * 4096 > 400 << 20:
        raise AssertionError(f"the daemon has {pages} pages")
    # It reads again: what was not dropped comes whole.
    bed.desktop.do("key", "x")
    deaf.agent.expect("CROSSING", 1, type=8)
    buffer.remove()


def flood(bed):
    """An agent that never stops sending: the user's keys get through, another qube is as before."""
    loud, good = bed.daemon(), bed.daemon(name="mail", label="blue", domain=9)
    place(loud.agent, 1, 100, 100, 300, 200, GREEN, "loud")
    number = settle(bed, loud.agent, 1, "[work] loud", (100, 100, 300, 200))
    place(good.agent, 1, 500, 100, 300, 200, GREEN, "good")
    settle(bed, good.agent, 1, "[mail] good", (500, 100, 300, 200))
    bed.desktop.do("windowfocus", "--sync", number)
    loud.agent.expect("FOCUS", 1, type=9)
    agent = loud.agent
    typed = bed.desktop.start("xdotool", "key", "--delay", "5", *"abcdefgh")
    one = struct.pack("<III", NUMBERS["SHMIMAGE"], 1, 16) + struct.pack("<iiII", 0, 0, 300, 200)
    name = struct.pack("<III", NUMBERS["WMNAME"], 1, 128)
    seen = 0
    for i in range(100000):
        agent.write(one * 50 + name + struct.pack("<128s", b"loud%d" % i))
        while True:
            try:
                message = agent.receive(0)
            except TimeoutError:
                break
            seen += message.kind == "KEYPRESS"
        if seen == 16:
            break
    same("keys that arrived while it was flooding", seen, 16)
    same("xdotool", typed.wait(30), 0)
    good.agent.image(1, 300, 200, BLUE)
    good.agent.damage(1, 0, 0, 300, 200)
    bed.desktop.await_pixel(600, 250, BLUE)


def window_flood(bed):
    """As many windows as it may have, mapped and unmapped, in a hurry."""
    daemon = bed.daemon(options=["-o", "windows_count_limit=200"])
    agent = daemon.agent
    for i in range(1, 201):
        agent.create(i, i * 3, i * 2, 50, 40, i & 1)
    for turn in range(3):
        for i in range(1, 201):
            agent.map(i, (i * 7 + turn) % 220, i & 1)
        for i in range(1, 201):
            agent.send("UNMAP", i)
    for i in range(1, 201):
        agent.send("DESTROY", i)
    for i in range(1, 201):
        agent.expect("DESTROY", i)
    place(agent, 1, 100, 100, 200, 100, BLUE, "calm")
    settle(bed, agent, 1, "[work] calm", (100, 100, 200, 100))


def transient_loop(bed):
    """Windows that belong to each other in a circle, and to ones that go."""
    daemon = bed.daemon()
    agent = daemon.agent
    for i in range(1, 5):
        agent.create(i, 100 * i, 100, 80, 80)
    for i in range(1, 5):
        agent.map(i, i % 4 + 1)
    agent.send("DESTROY", 1)
    agent.expect("DESTROY", 1)
    for i in range(2, 5):
        agent.map(i, 1)
        agent.map(i, i)
    place(agent, 9, 100, 300, 200, 100, BLUE, "calm")
    settle(bed, agent, 9, "[work] calm", (100, 300, 200, 100))


def random_messages(bed):
    """Messages of right lengths with random contents, in random order, until the daemon has enough of it."""
    for seed in range(25):
        rnd = random.Random(seed)
        daemon = bed.daemon()
        agent = daemon.agent
        buffer = Buffer(agent, 64 * 4096)
        try:
            for window in range(1, 6):
                agent.create(window, rnd.randrange(-50, 900), rnd.randrange(-50, 600), rnd.randrange(1, 400),
                             rnd.randrange(1, 300), rnd.random() < 0.4)
            for _ in range(rnd.choice((50, 400))):
                kind = rnd.choice(list(LENGTHS) + ["WINDOW_DUMP", "MAP", "MAP", "SHMIMAGE"])
                window = rnd.randrange(1, 6)
                if kind == "WINDOW_DUMP":
                    size = rnd.randrange(1, 129), rnd.randrange(1, 129)
                    agent.dump(window, *size, rnd.sample(buffer.refs, 64 if rnd.random() < 0.98 else 1))
                elif kind == "CREATE":
                    agent.create(window if rnd.random() < 0.02 else rnd.randrange(6, 10**6), 0, 0, 9, 9)
                elif kind == "DESTROY":
                    continue
                else:
                    low = rnd.random() < 0.9
                    body = b"".join(struct.pack("<I", rnd.randrange(1, 500) if low else rnd.randrange(2**32))
                                    for _ in range(LENGTHS[kind] // 4))
                    agent.send(kind, window, body)
            agent.sync(1)
            agent.expect("WINDOW_DUMP_ACK", 1)
        except Gone:
            if daemon.ends() != 3:
                raise AssertionError(f"seed {seed}: exit code {daemon.ends()}: {daemon.said()[-2000:]}") from None
        daemon.stop()
        bed.daemons.remove(daemon)


def rights(bed):
    """What a daemon that was taken over could still do with the kernel."""
    with open(os.path.join(bed.place, "of-others"), "w", encoding="ascii") as other:
        daemon = bed.daemon(pass_fds=[other.fileno()])
    place(daemon.agent, 1, 100, 100, 200, 100, BLUE, "rights")
    settle(bed, daemon.agent, 1, "[work] rights", (100, 100, 200, 100))
    for task in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with open(f"/proc/{daemon.process.pid}/task/{task}/status", encoding="ascii") as f:
            status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
        for name, wanted in (("CapEff", "0" * 16), ("CapPrm", "0" * 16), ("CapBnd", "0" * 16), ("NoNewPrivs", "1"),
                             ("Seccomp", "2")):
            same(f"{name} of a thread", status[name].strip(), wanted)
    # Its log, channels and loops, the clipboard between qubes, and the qube's pages: no file of others, no directory.
    needed = r"/dev/null|socket:.*|anon_inode:\[(eventfd|eventpoll|timerfd|inotify)\]|/memfd:.*|" \
             rf"{re.escape(daemon.log_path)}|{re.escape(bed.clipboard)}/qubes-clipboard\.bin(\.source)?"
    place_of = f"/proc/{daemon.process.pid}/fd"
    links = [os.readlink(os.path.join(place_of, fd)) for fd in os.listdir(place_of)]
    same("descriptors that it does not need", [link for link in links if not re.fullmatch(needed, link)], [])


CHECKS = [wrong_lengths, wrong_types, unknown_windows, wrong_values, wrong_images, extreme_values, rewritten_pages,
          frame_stays, cover, keys_stay, late_copy, deaf_agent, flood, window_flood, transient_loop, random_messages, rights]
