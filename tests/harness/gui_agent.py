# SPDX-License-Identifier: GPL-2.0-or-later
# The agent of the windows alone, built with sanitizers: every message towards a daemon that is played, and from it.
import os
import re
import struct
import subprocess
import tempfile
import traceback

from gui.peer import NUMBERS, TO_AGENT, Broken
from gui.session import OUT, Session

from .report import make, tail

FULLSCREEN, ATTENTION, MINIMIZE = 1, 2, 4


def need(condition, what):
    if not condition:
        raise Broken(what)


def names(daemon, number):
    return [name for name, window, _ in daemon.log if window == number]


def check_first_messages():
    """A new window: what is told, in which order, with which values."""
    with Session() as s:
        client = s.client()
        client.tell("toplevel one 300 200 102030", "title one Zürich €", "id one org.example.One",
                    "limits one 50 60 700 800")
        window = s.daemon.window(title="Zürich €", class_name="org.example.One")
        s.daemon.until(lambda: window.hints and window.hints[0], "the limits")
        s.sync(client)
        order = names(s.daemon, window.number)
        wanted = ["CREATE", "WMCLASS", "WINDOW_HINTS", "WMNAME", "WINDOW_DUMP", "MAP", "SHMIMAGE"]
        need([n for n in order if n in wanted][:7] == wanted, f"order {order}")
        need(window.class_name == window.instance == "org.example.One", "class")
        need(window.hints[:5] == (0x30, 50, 60, 700, 800), f"hints {window.hints}")
        need(window.box[2:] == [300, 200] and window.dump[:2] == (300, 200), "size")
        need(not window.override and not window.transient_for, "kind")
        width, height, data = s.daemon.image(window)
        need(data == b"\x30\x20\x10\x00" * (width * height), "pixels")
        client.tell("title one " + "ä" * 100)
        s.daemon.until(lambda: window.title == "ä" * 63, "a title that is cut at a character")
        client.tell("free one")
        s.daemon.until(lambda: not s.daemon.windows, "DESTROY")
        need(s.stats()["windows"] == 0, "the agent keeps the window")


def check_damage():
    """Only what is damaged is copied, once, and the buffer goes back at once."""
    with Session() as s:
        client = s.client()
        window = s.top(client, "big", 1920, 1080)
        s.sync(client)
        before, lines = s.stats(), len(client.lines)
        window.damage.clear()
        client.tell("fill big 100 200 16 16 00ff00")
        s.sync(client)
        after = s.stats()
        need(after["copied_bytes"] - before["copied_bytes"] == 16 * 16 * 4, "bytes copied for 16x16")
        need(after["commits"] - before["commits"] == 1 and after["shadow_bytes"] == 0, "copies")
        need(window.damage == [(100, 200, 16, 16)], f"damage {window.damage}")
        need("release big" in client.lines[lines:], "the buffer is kept")
        need(s.daemon.pixel(window, 100, 200) == (0, 255, 0), "new pixel")
        need(s.daemon.pixel(window, 99, 200) == (255, 0, 0) == s.daemon.pixel(window, 116, 215), "old pixels")
        before = after
        client.tell("fill big 0 0 1920 1080 0000ff")
        s.sync(client)
        after = s.stats()
        need(after["copied_bytes"] - before["copied_bytes"] == 1920 * 1080 * 4, "bytes copied for everything")


def check_buffers_that_go():
    """A client's buffer that is gone, or has shrunk, before or while it is copied harms nobody but the client."""
    with Session() as s:
        daemon, bad, good = s.daemon, s.client(), s.client()
        window = s.top(good, "good", 300, 200, "00ff00")
        gone = s.top(good, "gone", 300, 200, "0000ff")
        good.tell("drop gone")
        s.sync(good)
        need(daemon.pixel(gone, 299, 199) == (0, 0, 255), "what was shown")
        # What was shown is all that there is to compose from when the window gets a part.
        good.tell("sub part gone 10 20 50 40 ff0000")
        s.sync(good)
        need(daemon.pixel(gone, 10, 20) == (255, 0, 0) and daemon.pixel(gone, 9, 20) == (0, 0, 255), "with a part")
        s.top(bad, "bad", 300, 200)
        bad.tell("shrink bad")
        daemon.until(lambda: not daemon.find(title="bad") or bad.process.poll() is not None, "the end of the client")
        good.tell("fill good 0 0 10 10 ffffff")
        s.sync(good)
        need(daemon.pixel(window, 9, 9) == (255, 255, 255) and daemon.pixel(window, 10, 10) == (0, 255, 0), "the others")


def check_one_wakeup():
    """What a commit damages is told at once, each rectangle as it is: the daemon is woken once, and copies no more than that."""
    with Session() as s:
        client = s.client()
        window = s.top(client, "one", 900, 900)
        s.sync(client)
        window.damage.clear()
        client.tell("dots one 100")
        # The first that there is to read is all of it.
        s.daemon.until(lambda: window.damage, "damage")
        need(len(s.daemon.inbox) == 99 * (12 + 16), f"{len(s.daemon.inbox)} bytes came with the first rectangle")
        s.sync(client)
        need(window.damage == [(8 * i, 8 * i, 2, 2) for i in range(100)], f"damage {window.damage}")


def check_resize():
    """The daemon's size reaches the client; a new image replaces the old one, which lives until it is acknowledged."""
    with Session(connect=False) as s:
        daemon = s.connect(answers=False)
        client = s.client()
        window = s.top(client, "one")
        daemon.send("WINDOW_DUMP_ACK", window.number)
        daemon.place(window, 40, 50, 400, 250)
        s.hear(client, "configure one 400 250")
        daemon.until(lambda: window.dump[:2] == (400, 250), "the new image")
        daemon.place(window, 40, 50, 500, 350)
        daemon.until(lambda: window.dump[:2] == (500, 350), "the second new image")
        s.sync(client)
        need(len(daemon.pages.files) == 3, f"{len(daemon.pages.files)} images are shared before the acknowledgements")
        daemon.send("WINDOW_DUMP_ACK", window.number)
        daemon.until(lambda: daemon.pages.receive() or len(daemon.pages.files) == 2, "the first image to go")
        daemon.send("WINDOW_DUMP_ACK", window.number)
        daemon.until(lambda: daemon.pages.receive() or len(daemon.pages.files) == 1, "the second image to go")
        # One that was not asked for changes nothing.
        daemon.send("WINDOW_DUMP_ACK", window.number)
        s.sync(client)
        need(len(daemon.pages.files) == 1 and window.box == [40, 50, 500, 350], "after it")
        daemon.place(window, 40, 50, 510, 360)
        daemon.until(lambda: window.dump[:2] == (510, 360), "the third new image")
        client.tell("free one")
        daemon.until(lambda: not daemon.windows, "DESTROY")
        s.sync(client)
        need(s.stats()["dying"] == 1 and len(daemon.pages.files) == 2, "pages are gone before DESTROY was acknowledged")
        daemon.send("DESTROY", window.number)
        daemon.until(lambda: daemon.pages.receive() or not daemon.pages.files, "the last image to go")
        need(s.stats()["dying"] == 0, "dying")


def check_own_size():
    """A client that takes another size asks for it; one that is being given one does not."""
    with Session() as s:
        client = s.client()
        window = s.top(client, "one")
        s.daemon.place(window, 10, 10, 640, 480)
        s.daemon.until(lambda: window.dump[:2] == (640, 480), "the given size")
        seen = len(s.daemon.log)
        client.tell("geometry one 0 0 333 222", "fill one 0 0 1 1 ff")
        s.daemon.until(lambda: window.box == [10, 10, 333, 222] and window.dump[:2] == (333, 222), "the own size")
        need(sum(n == "CONFIGURE" for n, _, _ in s.daemon.log[seen:]) == 1, "one request")


def check_geometry():
    """Shadows that a client draws around its window are not part of it."""
    with Session() as s:
        client = s.client()
        window = s.top(client, "one", colour="0000ff")
        client.tell("geometry one 20 30 200 100", "fill one 0 0 1 1 0000ff")
        s.daemon.until(lambda: window.dump[:2] == (200, 100) and window.box[2:] == [200, 100], "the geometry")
        client.tell("fill one 20 30 1 1 ff0000", "fill one 0 0 5 5 00ff00")
        s.sync(client)
        need(s.daemon.pixel(window, 0, 0) == (255, 0, 0), "the first pixel")
        need(s.daemon.pixel(window, 1, 0) == (0, 0, 255), "the second pixel")
        s.daemon.enter(window, 5, 6)
        s.hear(client, "enter one 25 36")


def check_popups():
    """Popups are override-redirect windows at real places, bent to stay on the screen, and go with their parent."""
    with Session(screen=(1000, 700)) as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one", 300, 200)
        daemon.place(window, 100, 150, 300, 200)
        daemon.focus(window)
        daemon.click(window, 20, 20)
        s.hear(client, r"button 272 0")
        client.tell("popup menu one 20 30 120 90 1")
        popup = daemon.window(override=True)
        need(popup.box == [120, 190, 120, 90] and popup.transient_for == window.number, f"popup {popup.__dict__}")
        daemon.place(window, 500, 300, 300, 200)
        daemon.until(lambda: popup.box == [520, 340, 120, 90], "the popup to go with its parent")
        # A click into the popup is the client's; one where there is no window ends the menu.
        daemon.click(popup, 5, 6)
        s.hear(client, "enter menu 5 6")
        need("done menu" not in client.lines, "the menu is gone")
        daemon.focus(window, gained=False)
        s.hear(client, "done menu")
        client.tell("free menu")
        daemon.until(lambda: popup.number not in daemon.windows, "DESTROY of the popup")
        # No room below: above the anchor. No room on the right: moved to the left.
        daemon.place(window, 850, 550, 300, 200)
        client.tell("popup menu one 100 60 120 100 0")
        s.hear(client, r"configure menu 120 100 at 30 -40")
        popup = daemon.window(override=True)
        need(popup.box == [880, 510, 120, 100], f"bent popup {popup.box}")


def check_menu_drag():
    """Press on a window, release on the menu that opened: the menu hears of it."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one", 300, 200)
        daemon.place(window, 100, 100, 300, 200)
        daemon.focus(window)
        daemon.enter(window, 10, 10)
        daemon.send("BUTTON", window.number, 4, 10, 10, 0, 1)
        s.hear(client, "button 272 1")
        client.tell("popup menu one 10 10 80 80 1")
        daemon.window(override=True)
        daemon.move(window, 30, 40, 1 << 8)
        s.hear(client, "enter menu 20 20")
        daemon.send("BUTTON", window.number, 5, 30, 40, 1 << 8, 1)
        s.hear(client, "button 272 0")


def check_menu_before_focus():
    """A menu that was opened before its window got the focus keeps it and gets the keys; another window's focus ends it."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        windows = [s.top(client, name) for name in ("one", "two")]
        for at, window in enumerate(windows):
            daemon.place(window, 50 + 400 * at, 100, 300, 200)
        one, two = windows
        daemon.focus(one)
        s.hear(client, "focus one 0")
        # The window manager lets the click through before it moves the focus.
        daemon.click(two, 20, 20)
        s.hear(client, "button 272 0")
        client.tell("popup menu two 20 30 120 90 1")
        popup = daemon.window(override=True)
        daemon.focus(one, gained=False)
        daemon.focus(two)
        s.hear(client, "focus two 0")
        daemon.key(two, 38)
        s.hear(client, "key 30 0")
        need("done menu" not in client.lines, "the menu is gone")
        client.tell("free menu")
        daemon.until(lambda: popup.number not in daemon.windows, "DESTROY of the popup")
        lines = len(client.lines)
        daemon.key(two, 39)
        s.hear(client, "key 31 0", lines)
        # The same, but the focus does not come to it.
        daemon.focus(two, gained=False)
        s.hear(client, "blur two", lines)
        daemon.click(two, 20, 20)
        s.hear(client, "button 272 0", lines)
        client.tell("popup other two 20 30 120 90 1")
        daemon.window(override=True)
        s.sync(client)
        need("done other" not in client.lines, "the second menu is gone")
        daemon.focus(one)
        s.hear(client, "done other")
        s.hear(client, "focus one 0", lines)
        daemon.key(one, 40)
        s.hear(client, "key 32 0", lines)


def check_subsurfaces():
    """Windows of several surfaces are composed, and what was below a part comes back when the part goes."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one", 300, 200, "ff0000")
        client.tell("sub part one 10 20 50 40 00ff00")
        s.sync(client)
        need(daemon.pixel(window, 10, 20) == (0, 255, 0) == daemon.pixel(window, 59, 59), "the part")
        need(daemon.pixel(window, 9, 20) == (255, 0, 0) == daemon.pixel(window, 60, 59), "around it")
        client.tell("place part 100 100")
        s.sync(client)
        need(daemon.pixel(window, 10, 20) == (255, 0, 0), "what was below it")
        need(daemon.pixel(window, 100, 100) == (0, 255, 0), "the part at its new place")
        window.damage.clear()
        client.tell("fill part 5 5 2 2 0000ff")
        s.sync(client)
        need(window.damage == [(105, 105, 2, 2)], f"damage of the part {window.damage}")
        need(daemon.pixel(window, 106, 106) == (0, 0, 255), "new pixels of the part")
        client.tell("fill one 98 98 10 10 ffffff")
        s.sync(client)
        need(daemon.pixel(window, 98, 98) == (255, 255, 255), "new pixels below")
        need(daemon.pixel(window, 101, 101) == (0, 255, 0), "the part stays above")
        daemon.enter(window, 101, 102)
        s.hear(client, "enter part 1 2")
        client.tell("free part")
        daemon.until(lambda: daemon.pixel(window, 101, 101) == (255, 255, 255), "the part to go")


def check_transforms():
    """Scaled and turned buffers."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one", 200, 100, "ff0000")
        client.tell("scale one 2", "fill one 0 0 20 10 0000ff")
        daemon.until(lambda: window.dump[:2] == (100, 50), "half the size")
        s.sync(client)
        need(daemon.pixel(window, 9, 4) == (0, 0, 255) and daemon.pixel(window, 10, 4) == (255, 0, 0) ==
             daemon.pixel(window, 9, 5), "scaled pixels")
        # wl_output.transform 1: the buffer is turned by 90 degrees; its top left corner is seen bottom left.
        client.tell("scale one 1", "turn one 1", "fill one 0 0 200 100 ff0000", "fill one 0 0 20 10 0000ff")
        daemon.until(lambda: window.dump[:2] == (100, 200), "turned size")
        s.sync(client)
        corners = {c: daemon.pixel(window, *c) for c in ((0, 0), (99, 0), (0, 199), (99, 199))}
        blue = [c for c, p in corners.items() if p == (0, 0, 255)]
        need(len(blue) == 1, f"turned corners {corners}")
        x, y = blue[0]
        step_x, step_y = (1 if x == 0 else -1), (1 if y == 0 else -1)
        need(daemon.pixel(window, x + 9 * step_x, y + 19 * step_y) == (0, 0, 255), "turned rectangle")
        need(daemon.pixel(window, x + 10 * step_x, y) == (255, 0, 0) == daemon.pixel(window, x, y + 20 * step_y),
             "edges of the turned rectangle")
        need(blue[0] == (99, 0), f"the corner is at {blue[0]}")


def check_keyboard():
    """Keys, modifiers, repetition, keys released elsewhere."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one")
        need("repeat 0 0" in client.lines, "clients repeat keys by themselves")
        daemon.focus(window)
        s.hear(client, "focus one 0")
        s.hear(client, ".* activated")
        daemon.key(window, 38)
        s.hear(client, "key 30 0")
        start = len(client.lines)
        daemon.send("KEYPRESS", window.number, 2, 0, 0, 0, 50)  # left Shift
        s.hear(client, "modifiers 1 0 0 0", start)
        daemon.send("KEYPRESS", window.number, 2, 0, 0, 1, 38)
        daemon.send("KEYPRESS", window.number, 2, 0, 0, 1, 38)  # repeated
        daemon.send("KEYPRESS", window.number, 3, 0, 0, 1, 38)
        daemon.send("KEYPRESS", window.number, 3, 0, 0, 1, 38)  # of a key that is not held
        daemon.send("KEYPRESS", window.number, 3, 0, 0, 1, 50)
        s.hear(client, "modifiers 0 0 0 0", start + 1)
        keys = [line for line in client.lines[start:] if line.startswith("key ")]
        need(keys == ["key 42 1", "key 30 1", "key 30 0", "key 30 1", "key 30 0", "key 42 0"], f"keys {keys}")
        start = len(client.lines)
        daemon.key(window, 38, state=0x12)  # Caps Lock and Num Lock are on
        s.hear(client, "modifiers 0 0 18 0", start)
        daemon.send("KEYPRESS", window.number, 2, 0, 0, 0x12, 40)
        s.hear(client, "key 32 1", start)
        daemon.focus(window, gained=False)
        s.hear(client, "blur one")
        daemon.send("KEYMAP_NOTIFY", 0, bytes(32))
        daemon.send("FOCUS", window.number, 9, 0, 0)
        start = len(client.lines)
        s.hear(client, "focus one 0", start - 1)
        # Numbers that are no keycodes, and a grab that only comes and goes.
        for code in (0, 7, 256, 0xffffffff):
            daemon.key(window, code)
        daemon.send("FOCUS", window.number, 10, 1, 0)
        daemon.send("FOCUS", window.number, 9, 2, 0)
        daemon.key(window, 39)
        s.hear(client, "key 31 0", start)
        need("blur one" not in client.lines[start:], "a grab takes the focus")


def check_layout():
    """The keyboard layout is the qube's, chosen from outside; the group is the daemon's."""
    with Session(options=["--keyboard-layout=de,us+nodeadkeys,+compose:ralt"]) as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one")
        daemon.focus(window)
        daemon.key(window, 38, state=1 << 13)
        s.hear(client, "modifiers 0 0 0 1")
        daemon.key(window, 38, state=3 << 13)  # there is no fourth layout
        s.hear(client, "modifiers 0 0 0 0", len(client.lines))
    done = subprocess.run([f"{OUT}/gui/asan/bulkhead-gui-agent", "-k", "no-such-layout", "-s", "wayland-x"],
                          env=dict(os.environ, XDG_RUNTIME_DIR="/tmp", LIBVCHAN_URI="local:/nonexistent?domain=1",
                                   ASAN_OPTIONS="detect_leaks=0"), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    need(done.returncode == 1 and "no keyboard layout \"no-such-layout\"" in done.stderr, f"said {done.stderr}")


def check_qubesdb():
    """The GUI domain, which is waited for, and the keyboard layout, which may change, come from QubesDB."""
    with tempfile.TemporaryDirectory(prefix="gui-agent-") as place:
        env = {"QUBESDB_SOCKET_DIR": place}
        database = subprocess.Popen([f"{OUT}/qubesdb/qubesdb-daemon", "--socket-dir", place, "1", "work"],
                                    env=dict(os.environ, LIBVCHAN_URI=f"local:{place}?domain=0"),
                                    stdin=subprocess.DEVNULL)
        write = [f"{OUT}/qubesdb/qubesdb-cmd", "-c", "write", "-d", "work"]

        def entry(path, value):
            subprocess.run([*write, path, value], env=dict(os.environ, **env), check=True, timeout=60)
        try:
            while not os.path.exists(f"{place}/qubesdb.work.sock"):
                need(database.poll() is None, "no QubesDB")
            # Here it is the qube's own.
            os.symlink("qubesdb.work.sock", f"{place}/qubesdb.sock")
            entry("/keyboard-layout", "de,us++")
            late = subprocess.Popen(["sh", "-c", f"sleep 0.3; {' '.join(write)} /qubes-gui-domain-xid 0"],
                                    env=dict(os.environ, **env))
            with Session(place=place, env=env) as s:
                late.wait()
                client, daemon = s.client(), s.daemon
                window = s.top(client, "one")
                daemon.focus(window)
                daemon.key(window, 38, state=1 << 13)
                s.hear(client, "modifiers 0 0 0 1")
                entry("/keyboard-layout", "no-such-layout++")
                s.said("there is no keyboard layout \"no-such-layout")
                start = len(client.lines)
                entry("/keyboard-layout", "us++")
                s.hear(client, "keymap 1 .*", start)
                database.terminate()
                s.said("QubesDB: .* not seen any more")
                daemon.key(window, 39)
                s.hear(client, "key 31 0", start)
        finally:
            database.terminate()
            database.wait()


def check_pointer():
    """Motion, buttons, wheels, crossings, a button that was released out of sight."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window, other = s.top(client, "one"), s.top(client, "two")
        daemon.place(window, 0, 0, 300, 200)
        daemon.place(other, 400, 0, 300, 200)
        daemon.enter(window, 5, 7)
        s.hear(client, "enter one 5 7")
        daemon.move(window, 8, 9)
        s.hear(client, "motion 8 9")
        for button, code in ((1, 272), (2, 274), (3, 273), (8, 275), (9, 276)):
            daemon.send("BUTTON", window.number, 4, 8, 9, 0, button)
            s.hear(client, f"button {code} 1")
            daemon.send("BUTTON", window.number, 5, 8, 9, 1 << (7 + button), button)
            s.hear(client, f"button {code} 0")
        for button, line in ((4, "axis 0 -15"), (5, "axis 0 15"), (6, "axis 1 -15"), (7, "axis 1 15")):
            daemon.send("BUTTON", window.number, 4, 8, 9, 0, button)
            daemon.send("BUTTON", window.number, 5, 8, 9, 0, button)
            s.hear(client, line)
        # A held button keeps the pointer, also outside.
        daemon.send("BUTTON", window.number, 4, 8, 9, 0, 1)
        start = len(client.lines)
        daemon.send("CROSSING", window.number, 8, 310, 20, 1 << 8, 0, 0, 0)
        daemon.move(window, 420, 20, 1 << 8)
        s.hear(client, "motion 420 20", start)
        need(not [line for line in client.lines[start:] if line.startswith(("leave", "enter"))], "the pointer leaves")
        # Its release is never reported: the next motion says that it is up.
        daemon.move(other, 20, 30)
        s.hear(client, "button 272 0", start)
        s.hear(client, "enter two 20 30", start)
        daemon.leave(other)
        s.hear(client, "leave two", start)
        # A window manager that looks at a press takes the pointer for a moment; one that keeps it moves the window.
        daemon.enter(window, 20, 30)
        s.hear(client, "enter one 20 30", start)
        start = len(client.lines)
        daemon.write(daemon.message("CROSSING", window.number, 8, 20, 30, 1 << 8, 1, 0, 0) +
                     daemon.message("CROSSING", window.number, 7, 20, 30, 1 << 8, 2, 0, 0))
        daemon.send("BUTTON", window.number, 4, 20, 30, 0, 1)
        daemon.send("BUTTON", window.number, 5, 20, 30, 1 << 8, 1)
        s.hear(client, "button 272 0", start)
        need(client.lines[start:] == ["button 272 1", "button 272 0"], f"a press is seen as {client.lines[start:]}")
        daemon.send("CROSSING", window.number, 8, 20, 30, 1 << 8, 1, 0, 0)
        s.hear(client, "leave one", start)
        # No such window, no such button, no such type: nothing happens.
        daemon.move(window, 1, 1)
        daemon.send("MOTION", 4711, 1, 1, 0, 0)
        daemon.send("BUTTON", window.number, 4, 1, 1, 0, 200)
        daemon.send("BUTTON", window.number, 99, 1, 1, 0, 1)
        start = len(client.lines)
        daemon.move(window, 2, 2)
        s.hear(client, "motion 2 2", start - 1)


def check_cursor():
    """Pictures of the theme get their glyph, others the default."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one")
        daemon.enter(window, 5, 5)
        s.hear(client, "enter one 5 5")
        client.tell("cursor 24 123456")
        s.sync(client)
        need(window.cursor == 0, "a picture of its own")
        s.run("xterm", "-xrm", "XTerm*cursorTheme: Adwaita", "-title", "term", x11=True)
        term = daemon.window(title="term")
        daemon.enter(term, 60, 60)
        daemon.move(term, 61, 61)
        daemon.until(lambda: term.cursor == 0x100 + 152, "xterm's pointer to be \"xterm\"")


def check_states():
    """Requests of clients become flags or places; what the daemon reports reaches the client."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one")
        daemon.place(window, 10, 20, 300, 200)
        client.tell("state one fullscreen")
        daemon.until(lambda: window.flags == FULLSCREEN, "the request for fullscreen")
        daemon.send("WINDOW_FLAGS", window.number, FULLSCREEN, 0)
        s.hear(client, "configure one .* fullscreen")
        daemon.place(window, 0, 0, 1280, 800)
        s.hear(client, "configure one 1280 800 fullscreen")
        client.tell("state one unfullscreen")
        daemon.until(lambda: not window.flags, "the request to leave it")
        daemon.send("WINDOW_FLAGS", window.number, 0, FULLSCREEN)
        daemon.place(window, 10, 20, 300, 200)
        s.hear(client, "configure one 300 200", len(client.lines) - 1)
        client.tell("state one maximize")
        daemon.until(lambda: window.box == [0, 0, 1280, 800], "the place of a maximised window")
        s.hear(client, "configure one 1280 800 maximized")
        client.tell("state one unmaximize")
        daemon.until(lambda: window.box == [10, 20, 300, 200], "the place that it had")
        client.tell("state one minimize")
        daemon.until(lambda: window.flags == MINIMIZE, "the request to be minimised")
        daemon.send("WINDOW_FLAGS", window.number, MINIMIZE, 0)
        daemon.send("MAP", window.number, 0, 0)
        daemon.place(window, 11, 20, 300, 200)
        window.flags = 0
        client.tell("state one minimize")
        daemon.until(lambda: window.flags == MINIMIZE, "the second request to be minimised")
        daemon.send("CLOSE", window.number)
        s.hear(client, "close one")


def check_transient():
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one")
        client.tell("toplevel dialog 100 80 00ff00", "parent dialog one", "title dialog dialog")
        dialog = daemon.window(title="dialog")
        need(dialog.transient_for == window.number and not dialog.override, "transient for the window")


def check_clipboard():
    """Text both ways, with the limits of the protocol's versions."""
    for minor, limit in ((8, 256000), (7, 65000)):
        with Session(minor=minor) as s:
            client, daemon = s.client(), s.daemon
            window = s.top(client, "one")
            daemon.send("CLIPBOARD_REQ", window.number)
            daemon.until(lambda: daemon.clipboard == [b""], "an answer without a selection")
            daemon.focus(window)
            s.hear(client, "focus one 0")
            daemon.key(window, 38)
            s.hear(client, "key 30 0")
            for text, wanted in (("copy Grüße", "Grüße".encode()), (f"copy *{limit}", b"x" * limit),
                                 (f"copy *{limit + 1}", b"x" * 256001 if minor == 8 else b"")):
                client.tell(text)
                s.sync(client)
                daemon.clipboard.clear()
                daemon.send("CLIPBOARD_REQ", window.number)
                s.hear(client, "synced", 0)
                daemon.until(lambda: client.read(0) or daemon.clipboard, "CLIPBOARD_DATA")
                need(daemon.clipboard == [wanted], f"{text[:20]}: {len(daemon.clipboard[0])} bytes")
            start = len(client.lines)
            daemon.send("CLIPBOARD_DATA", 0, raw=b"y" * limit)
            s.hear(client, "selection 1", start)
            client.tell("paste")
            s.hear(client, f"pasted {limit} y+", start)
            daemon.send("CLIPBOARD_DATA", 0, raw=b"")
            s.hear(client, "selection 1", len(client.lines) - 1)


def check_versions():
    """All versions of the protocol that can be negotiated, and those that cannot."""
    for own in (4, 5, 6, 7, 8):
        for options, agents in (((), 8), ((f"--protocol=1.{own}",), own)):
            with Session(minor=own, options=options) as s:
                client, daemon = s.client(), s.daemon
                need(daemon.agent_minor == agents and daemon.minor == own, f"announced 1.{daemon.agent_minor}")
                window = s.top(client, "one")
                for size in ((310, 210), (320, 220), (330, 230)):
                    daemon.place(window, 0, 0, *size)
                    daemon.until(lambda size=size: window.dump[:2] == size, f"the size {size}")
                s.sync(client)
                kept = 2 if own < 7 else 1
                daemon.until(lambda kept=kept: daemon.pages.receive() or len(daemon.pages.files) == kept,
                             f"{kept} images in 1.{own}")
                client.tell("free one")
                daemon.until(lambda: not daemon.windows, "DESTROY")
                s.sync(client)
                daemon.until(lambda: daemon.pages.receive() or not daemon.pages.files, "the images to go")
    with Session(connect=False) as s:
        start = len(s.text())
        try:
            s.connect(minor=3).close()
        except Broken:
            pass  # the agent was faster: it hangs up at the version
        s.daemon = None
        s.said("connection to the daemon ended", start)
        s.connect()
        s.top(s.client(), "one")


def check_reconnect():
    """A daemon that goes and comes finds all windows again."""
    with Session() as s:
        client = s.client()
        s.top(client, "one", 300, 200, "ff0000")
        s.top(client, "two", 200, 100, "0000ff")
        s.sync(client)
        for minor, screen in ((8, (1280, 800)), (5, (800, 600))):
            start = len(s.text())
            s.daemon.close()
            s.daemon, s.screen = None, screen
            s.said("connection to the daemon ended", start)
            client.tell("fill one 0 0 10 10 00ff00")
            daemon = s.connect(minor=minor)
            one, two = daemon.window(title="one"), daemon.window(title="two")
            s.sync(client)
            need(daemon.pixel(one, 0, 0) == (0, 255, 0) and daemon.pixel(one, 10, 10) == (255, 0, 0), "first window")
            need(daemon.pixel(two, 0, 0) == (0, 0, 255), "second window")
            daemon.focus(one)
            daemon.key(one, 38)
            s.hear(client, "key 30 0")
        need(s.stats()["windows"] == 2, "windows")


def check_icons_given_up():
    """A program for icons that ends again and again is given up, until the daemon comes anew."""
    with tempfile.TemporaryDirectory(prefix="icons-") as place:
        program, starts = os.path.join(place, "sender"), os.path.join(place, "starts")
        with open(program, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\necho >>{starts}\n")
        os.chmod(program, 0o755)

        def count():
            with open(starts, encoding="ascii") as f:
                return len(f.read())
        with Session(options=["--icons", program], connect=False) as s:
            s.said("ended again and again")
            need(count() == 5, f"it was started {count()} times")
            daemon = s.connect()
            daemon.until(lambda: count() == 6, "another start")


def check_strange_messages():
    """Unknown types are skipped, wrong lengths end the connection, not the agent; windows that are gone are no error."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one")
        daemon.send_raw(0xdeadbeef, 77, b"x" * 10000)
        daemon.send_raw(150, 1, b"")
        daemon.send("RESIZE", window.number, 5, 5)
        daemon.send("EXECUTE", window.number, b"true")
        for name, values in (("FOCUS", (9, 0, 0)), ("CLOSE", ()), ("CONFIGURE", (0, 0, 1, 1, 0)), ("DESTROY", ()),
                             ("WINDOW_DUMP_ACK", ()), ("WINDOW_FLAGS", (1, 0)), ("MAP", (0, 0))):
            daemon.send(name, 12345, *values)
        for box in ((-2**31, 2**31 - 1, 2**32 - 1, 1), (0, 0, 0, 0), (5, 5, 320, 240)):
            daemon.send("CONFIGURE", window.number, *box, 0)
        daemon.until(lambda: window.dump[:2] == (320, 240), "life after strange messages")
        s.sync(client)
        for number, body in ((134, b"x" * 19), (124, b""), (140, b"x" * 256001)):
            start = len(s.text())
            try:
                daemon.send_raw(number, window.number, body)
            except Broken:
                pass  # the agent has closed before everything was written
            s.said("connection to the daemon ended", start)
            daemon.close()
            daemon = s.connect()
            window = daemon.window(title="one")
        s.sync(client)


def check_wrong_lengths():
    """A byte too few or too many in any message ends the connection, whatever the version: only agents were ever careless."""
    with Session() as s:
        client = s.client()
        s.top(client, "one")
        for minor in (8, 5):
            for name, form in TO_AGENT.items():
                size = struct.calcsize(form)
                for length in {max(size - 1, 0), size + 1} - {size}:
                    window, start = s.daemon.window(title="one"), len(s.text())
                    s.daemon.send_raw(NUMBERS[name], window.number, bytes(length))
                    s.said(f"connection to the daemon ended: message {NUMBERS[name]} ", start)
                    s.daemon.close()
                    s.connect(minor=minor)
        s.daemon.window(title="one")


def check_frame_pace():
    """Programs draw as often as a screen shows it, and once a second what nobody sees."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one", 64, 64)

        def pace(count):
            start = len(client.lines)
            client.tell(f"repaint one {count}")
            return int(s.hear(client, f"repainted {count} pace (\\d+)", start)[1])
        need(pace(20) >= 16, "frames come faster than 60 in a second")
        client.tell("state one minimize")
        daemon.until(lambda: window.flags == MINIMIZE, "the request to be minimised")
        daemon.send("WINDOW_FLAGS", window.number, MINIMIZE, 0)
        s.sync(client)
        need(pace(2) >= 1000, "what is minimised is drawn as often as what is seen")


def check_slow_daemon():
    """A daemon that does not read costs no memory and no frames, and sees the last state when it reads again."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        window = s.top(client, "one", 64, 64)
        s.sync(client)
        for start in range(0, 3000, 50):
            lines = len(client.lines)
            client.tell(*(line for number in range(start, start + 50)
                          for line in (f"title one {number}", f"fill one {number % 64} 0 1 64 {number:06x}")), "sync")
            while "synced" not in client.lines[lines:]:
                client.read(1)
        lines = len(client.lines)
        client.tell("repaint one 1000000", "sync")
        while "synced" not in client.lines[lines:]:
            client.read(1)
        before = s.stats()
        subprocess.run(["sleep", "0.5"], check=True)
        after = s.stats()
        need(after["frames_done"] == before["frames_done"], "frames go on while the daemon does not read")
        need(after["damage_sent"] < 6000, f"{after['damage_sent']} messages of damage are queued")
        daemon.until(lambda: window.title == "2999", "the last title")
        daemon.until(lambda: s.stats()["frames_done"] > after["frames_done"] or daemon.step(), "frames to go on")


def check_pages_run_out():
    """No more pages to share: some windows are not shown, and come when others go. The session lives."""
    with Session(options=["--pages=100"]) as s:
        client, daemon = s.client(), s.daemon
        client.tell(*(f"toplevel w{i} 64 64 00ff00" for i in range(30)), *(f"title w{i} w{i}" for i in range(30)))
        s.sync(client)
        s.sync(client)
        s.said("is not shown as it is: no pages to share for 64x64")

        def shown():
            return [w.title for w in daemon.windows.values() if w.mapped]
        first = shown()
        need(len(first) == 25 and s.stats()["no_pages"] >= 5, f"{len(first)} windows are shown")
        client.tell(*(f"free {name}" for name in first[:3]))
        daemon.until(lambda: len(shown()) == 25 and set(shown()) & set(first[:3]) == set(), "others in their place")
        # One that cannot grow keeps the image that it had.
        window = daemon.find(title=first[10])
        daemon.place(window, 0, 0, 300, 300)
        s.said("no pages to share for 300x300")
        s.sync(client)
        need(window.dump[:2] == (64, 64), "the old image")
        client.tell(f"fill {first[10]} 0 0 5 5 ff")
        daemon.until(lambda: daemon.pixel(window, 1, 1) == (0, 0, 255), "new pixels in the old image")
        client.tell(*(f"free {w.title}" for w in list(daemon.windows.values()) if w is not window))
        client.tell(f"fill {first[10]} 0 0 5 5 ffffff")
        daemon.until(lambda: window.dump[:2] == (300, 300), "the new image, when there is room")


def check_many_windows():
    """A hundred windows, made and gone again and again."""
    with Session() as s:
        client, daemon = s.client(), s.daemon
        for _ in range(3):
            client.tell(*(f"toplevel w{i} 60 40 0000ff" for i in range(100)))
            daemon.until(lambda: len([w for w in daemon.windows.values() if w.mapped]) == 100, "100 windows")
            client.tell(*(f"free w{i}" for i in range(100)))
            daemon.until(lambda: not daemon.windows, "no window")
        s.sync(client)
        daemon.until(lambda: daemon.pages.receive() or not daemon.pages.files, "no pages")
        stats = s.stats()
        need(stats["windows"] == 0 and stats["dying"] == 0, f"left over: {stats}")


def tree_of(s, name):
    """Position and size of a window, as X11 has them."""
    done = subprocess.run(["xwininfo", "-name", name], env=s.x_env(), capture_output=True, text=True, check=False)
    values = dict(re.findall(r"(Absolute upper-left X|Absolute upper-left Y|Width|Height): +(-?\d+)", done.stdout))
    return [int(values[k]) for k in ("Absolute upper-left X", "Absolute upper-left Y", "Width", "Height")]


def check_x11():
    """xterm: properties, typing, the daemon's place and size, its menu at the right place."""
    with Session() as s:
        daemon, place = s.daemon, s.place
        s.run("xterm", "-title", "term", "-geometry", "40x10", "-e", f"read line; echo \"$line\" > {place}/typed; cat",
              x11=True)
        term = daemon.window(title="term")
        need((term.class_name, term.instance) == ("XTerm", "xterm"), f"class {term.class_name} {term.instance}")
        need(term.hints[0] & 0x150 == 0x150 and term.hints[5] == 6, f"hints {term.hints}")
        base, step = term.hints[7:9], term.hints[5:7]
        need(base[0] > 0 and [(size - b) / s for size, b, s in zip(term.box[2:], base, step)] == [40, 10], f"hints {term.hints}, box {term.box}")
        daemon.place(term, 333, 222, 400, 300)
        daemon.until(lambda: term.dump[:2] == (400, 300), "the daemon's size")
        daemon.until(lambda: tree_of(s, "term") == [333, 222, 400, 300], "the daemon's place in X11")
        daemon.focus(term)
        for code, state in ((43, 0), (31, 1)):  # h I
            if state:
                daemon.send("KEYPRESS", term.number, 2, 1, 1, 0, 50)
            daemon.key(term, code, state)
            if state:
                daemon.send("KEYPRESS", term.number, 3, 1, 1, 1, 50)
        daemon.key(term, 36)
        daemon.until(lambda: os.path.exists(f"{place}/typed") and open(f"{place}/typed", encoding="ascii").read(),
                     "what was typed")
        with open(f"{place}/typed", encoding="ascii") as f:
            need(f.read() == "hI\n", "typed text")
        # Control and a button: a menu, an override-redirect window below the pointer.
        daemon.send("KEYPRESS", term.number, 2, 50, 60, 0, 37)
        daemon.enter(term, 50, 60)
        daemon.move(term, 50, 60, 4)
        daemon.send("BUTTON", term.number, 4, 50, 60, 4, 1)
        menu = daemon.window(override=True)
        x, y, width, height = menu.box
        need(x <= 383 < x + width and y <= 282 < y + height, f"the pointer is not in the menu at {menu.box}")
        need(x >= 0 and y >= 0 and x + width <= 1280 and y + height <= 800, f"the menu leaves the screen: {menu.box}")
        daemon.send("BUTTON", term.number, 5, 50, 60, 4 | 1 << 8, 1)
        daemon.until(lambda: not menu.mapped, "the menu to close")
        daemon.send("CLOSE", term.number)
        daemon.until(lambda: term.number not in daemon.windows, "xterm to end")


def check_x11_clipboard():
    """Text of X11 programs, also of those without a window, in one piece and in several; and text for them."""
    with Session() as s:
        daemon = s.daemon
        for size in (10, 100000, 256000, 300000):
            path = os.path.join(s.place, "text")
            with open(path, "w", encoding="ascii") as f:
                f.write("z" * size)
            owner = s.run("xclip", "-quiet", "-selection", "clipboard", "-i", path, x11=True)

            def copied(size=size):
                if not daemon.clipboard:
                    return False
                text = daemon.clipboard.pop()
                if text == b"z" * min(size, 256001):
                    return True
                # Not the owner yet.
                daemon.send("CLIPBOARD_REQ", 0)
                return False
            daemon.send("CLIPBOARD_REQ", 0)
            daemon.until(copied, f"{size} bytes of a program of X11")
            owner.stop()
            s.clients.remove(owner)
        # When a window is there, wlroots has seen that the last owner is gone, which clears the selection. It gives the text
        # only to clients of the X11 window that has the focus: the terminal itself asks for it.
        pasted = os.path.join(s.place, "pasted")
        s.run("env", "LC_ALL=C.UTF-8", "xterm", "-xrm", "XTerm*selectToClipboard: true", "-title", "term", "-e", "sh", "-c",
              f"stty -echo; touch {pasted}.ready; head -1 >{pasted}.new; mv {pasted}.new {pasted}; exec sleep 1000", x11=True)
        term = daemon.window(title="term")
        daemon.until(lambda: os.path.exists(pasted + ".ready"), "the terminal's program")
        daemon.send("CLIPBOARD_DATA", 0, raw="für X11\n".encode())
        daemon.focus(term)
        daemon.send("KEYPRESS", term.number, 2, 1, 1, 0, 50)
        daemon.key(term, 118, 1)  # Shift and Insert
        daemon.send("KEYPRESS", term.number, 3, 1, 1, 1, 50)
        daemon.until(lambda: os.path.exists(pasted), "the text for a program of X11")
        with open(pasted, encoding="utf-8") as f:
            need(f.read() == "für X11\n", "pasted text")


def check_x11_first_keys():
    """Keys that follow the focus at once are those of the X11 window that gets it, none of them lost."""
    with Session() as s:
        daemon, files, windows = s.daemon, [], []
        for name in ("one", "two"):
            files.append(os.path.join(s.place, name))
            s.run("xterm", "-title", name, "-e", "sh", "-c", f"stty -echo -icanon; touch {files[-1]}; exec cat >{files[-1]}",
                  x11=True)
            windows.append(daemon.window(title=name))
        daemon.until(lambda: all(map(os.path.exists, files)), "the programs of the terminals")
        wanted = ["", ""]

        def typed():
            texts = []
            for path in files:
                with open(path, encoding="ascii") as f:
                    texts.append(f.read())
            return texts
        for i in range(40):
            for at, window in enumerate(windows):
                code, letter = ((38, "a"), (39, "s"), (40, "d"))[i % 3]
                daemon.focus(windows[1 - at], gained=False)
                daemon.focus(window)
                daemon.key(window, code)
                wanted[at] += letter
                daemon.until(lambda: sum(map(len, typed())) >= sum(map(len, wanted)), f"{wanted}, but {typed()}")
                need(typed() == wanted, f"{wanted}, but {typed()}")


def check_tray():
    """An icon of X11's tray is a docked window; the daemon gives it its size, the pointer reaches it."""
    with Session() as s:
        daemon = s.daemon
        icon = s.run(f"{OUT}/gui/tray-client", x11=True)
        s.hear(icon, "embedded 0")
        window = daemon.until(lambda: daemon.find(docked=True), "DOCK")
        need(not window.mapped and not window.override, "a docked window is mapped")
        daemon.until(lambda: daemon.pixel(window, 5, 5) == (255, 0, 0), "the icon's colour")
        daemon.place(window, 900, 10, 32, 30)
        s.hear(icon, "size 32 30")
        daemon.until(lambda: window.dump[:2] == (32, 30) and daemon.pixel(window, 31, 29) == (255, 0, 0), "its new size")
        daemon.enter(window, 10, 10)
        daemon.send("BUTTON", window.number, 4, 10, 10, 0, 1)
        s.hear(icon, "press")
        daemon.until(lambda: daemon.pixel(window, 10, 10) == (0, 255, 0), "the icon to answer")
        daemon.send("BUTTON", window.number, 5, 10, 10, 1 << 8, 1)
        s.hear(icon, "release")
        icon.stop()
        s.clients.remove(icon)
        daemon.until(lambda: window.number not in daemon.windows, "the icon to leave the tray")


def check_x11_jump():
    """A button is pressed where its message says, however the pointer came there: with a motion or a crossing, or without."""
    with Session() as s:
        daemon, files, windows = s.daemon, [], []
        for at, name in enumerate(("one", "two")):
            files.append(os.path.join(s.place, name))
            s.run("xterm", "-title", name, "-b", "0", "-fn", "6x13", "-geometry", "60x30", "+sb", "-e", "sh", "-c",
                  f"stty raw -echo; printf '\\033[?1000h'; touch {files[-1]}; exec cat >{files[-1]}", x11=True)
            windows.append(daemon.window(title=name))
            daemon.place(windows[-1], 20 + 500 * at, 30, *windows[-1].box[2:])
        daemon.until(lambda: all(map(os.path.exists, files)), "the programs of the terminals")
        wanted = [[], []]

        def seen():
            """Button, column, row of each press (button 0) and release (button 3), from 0."""
            found = []
            for path in files:
                with open(path, "rb") as f:
                    found.append([tuple(m[1]) for m in re.finditer(rb"\x1b\[M(...)", f.read(), re.S)])
            return [[(button - 32, x - 33, y - 33) for button, x, y in some] for some in found]

        def press(at, column, row, how):
            window, x, y = windows[at], column * 6 + 3, row * 13 + 6
            if how == "grabbed":
                # What X says when a window manager looks at the press first.
                daemon.send("CROSSING", window.number, 8, x, y, 0, 1, 0, 0)
                daemon.send("CROSSING", window.number, 7, x, y, 0, 2, 0, 0)
            elif how == "entered":
                daemon.enter(window, x, y)
            elif how == "moved":
                daemon.move(window, x, y)
            daemon.send("BUTTON", window.number, 4, x, y, 0, 1)
            daemon.send("BUTTON", window.number, 5, x, y, 1 << 8, 1)
            wanted[at].extend([(0, column, row), (3, column, row)])
            daemon.until(lambda: sum(map(len, seen())) >= sum(map(len, wanted)), f"{wanted}, but {seen()}")
            need(seen() == wanted, f"{how}: {wanted}, but {seen()}")
        for i, how in enumerate(("plain", "moved", "entered", "grabbed") * 3):
            for at, window in enumerate(windows):
                press(at, (7 * i + 11 * at) % 60, (5 * i + 3 * at) % 30, how)
                # The same window again, and with the focus that the press brings before it.
                daemon.focus(window)
                press(at, (13 * i + 5 * at) % 60, (11 * i + at) % 30, how)


def check_gtk():
    """A GTK 3 program: no frame of its own, a menu where it belongs, a dialog over its window."""
    with Session() as s:
        daemon = s.daemon
        s.run("gtk3-demo-application")
        window = daemon.window(title="Application Class")
        daemon.place(window, 200, 150, 500, 300)
        daemon.until(lambda: window.dump[:2] == (500, 300), "the size")
        daemon.focus(window)
        daemon.click(window, 30, 12)
        menu = daemon.window(override=True)
        need(menu.transient_for == window.number, "the menu belongs to the window")
        need(abs(menu.box[0] - 200) <= 10 and 150 + 15 <= menu.box[1] <= 150 + 40, f"the menu is at {menu.box}")
        daemon.key(window, 9)  # Escape
        daemon.until(lambda: menu.number not in daemon.windows, "the menu to close")
        daemon.key(window, 9)
        daemon.send("CLOSE", window.number)
        daemon.until(lambda: window.number not in daemon.windows, "the program to end")


CHECKS = [(name.removeprefix("check_").replace("_", "-"), check) for name, check in list(globals().items())
          if name.startswith("check_")]


def run_stage(stage, _options):
    wanted = [(name, check) for name, check in CHECKS if stage.wanted(f"agent-{name}") or stage.wanted("windows-agent")]
    if not wanted:
        return
    good, out = make("gui-agent-programs")
    if not good:
        stage.fail("agent-build", "does not build", tail(out, 40))
        return
    for name, check in wanted:
        try:
            check()
        except Exception:  # pylint: disable=broad-except  # one test that fails must not end the others
            stage.fail(f"agent-{name}", "failed", tail(traceback.format_exc(), 60))
        else:
            stage.ok(f"agent-{name}")
