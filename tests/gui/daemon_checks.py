# SPDX-License-Identifier: GPL-2.0-or-later
# What a good agent may expect of the daemon, message by message, and what the user sees and does.
import os
import struct
import subprocess

from .access import Access
from .agent import Buffer

PLACED = 1  # hint: the user's position, so that the window manager leaves the window where it is
WHITE, GREEN, BLUE, YELLOW = 0xffffff, 0x00aa00, 0x0000ff, 0xffff00
FRAME = 3


def same(what, seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{what}: {seen!r} instead of {wanted!r}")


def place(agent, window, x, y, width, height, color, title="", transient=0):
    """A managed window at an exact place. Returns its buffer; the daemon's view of the place is acknowledged."""
    agent.create(window, x, y, width, height)
    agent.hints(window, PLACED)
    if title:
        agent.title(window, title)
    buffer = agent.image(window, width, height, color)
    agent.expect("WINDOW_DUMP_ACK", window)
    agent.map(window, transient)
    agent.damage(window, 0, 0, width, height)
    return buffer


def settle(bed, agent, window, title, rect):
    """Waits until the window is where it belongs. Returns its number on the display."""
    number = bed.desktop.find(title)
    x, y, width, height = rect
    bed.desktop.until(lambda: bed.desktop.geometry(number) ==
                      (x - FRAME, y - FRAME, width + 2 * FRAME, height + 2 * FRAME),
                      f"{title} is not at {rect}, but at {bed.desktop.geometry(number)} with its frame")
    bed.desktop.until(lambda: "Map State: IsViewable" in bed.desktop.run("xwininfo", "-id", number),
                      f"{title} is not shown")
    return number


def versions(bed):
    """Every version that there was: what is answered, and how acknowledgements depend on it."""
    for minor in range(10):
        daemon = bed.daemon(version=0x10000 + minor)
        agent = daemon.agent
        same("version", daemon.agreed, 0x10000 + min(minor, 8))
        same("screen", daemon.screen, (1280, 800, 24, 1280 * 800 * 4 // 1024 + 1))
        agent.create(5, 10, 10, 100, 100)
        agent.image(5, 100, 100, GREEN)
        agent.map(5)
        agent.send("DESTROY", 5)
        agent.create(6, 10, 10, 100, 100)
        agent.map(6)
        agent.expect("CONFIGURE", 6)
        acks = [m.kind for m in agent.log if m.window == 5 and m.kind in ("WINDOW_DUMP_ACK", "DESTROY")]
        same(f"acknowledgements of 1.{minor}", acks,
             (["WINDOW_DUMP_ACK"] if minor >= 7 else []) + (["DESTROY"] if minor >= 5 else []))
        daemon.stop()
    daemon = bed.daemon(version=0x20000, connect=False)
    agent = daemon.agent = daemon.new_agent()
    agent.write(struct.pack("<I", 0x20000))
    daemon.expect_dropped("protocol version 0x20000")


def old_lengths(bed):
    """Before 1.6 the field of the length is filled with anything; before 1.2 the clipboard's is elsewhere."""
    daemon = bed.daemon(version=0x10001)
    agent = daemon.agent
    agent.send("CREATE", 5, struct.pack("<iiIIII", 100, 100, 200, 100, 0, 0), length=0xdeadbeef)
    agent.send("WMNAME", 5, struct.pack("<128s", b"old"), length=7)
    agent.send("CLIPBOARD_DATA", 11, b"unrequested", length=0)
    agent.send("MAP", 5, struct.pack("<II", 0, 0), length=0)
    bed.desktop.find("[work] old")


def managed(bed):
    """Frame, title, class, properties, contents."""
    daemon = bed.daemon()
    agent = daemon.agent
    agent.create(0x101, 100, 100, 300, 200)
    agent.hints(0x101, PLACED)
    agent.wmclass(0x101, "Klass", "inst\x01ance")
    agent.title(0x101, "Straße \x1b[1m [vault] x")
    agent.image(0x101, 300, 200, GREEN)
    agent.map(0x101)
    agent.damage(0x101, 0, 0, 300, 200)
    number = settle(bed, agent, 0x101, "[work] Stra__e _[1m [vault] x", (100, 100, 300, 200))
    bed.desktop.await_pixel(250, 200, GREEN)
    picture = bed.desktop.picture()
    for x, y, color in ((98, 200, daemon.color), (99, 200, daemon.color), (100, 200, GREEN), (399, 200, GREEN),
                        (400, 200, daemon.color), (250, 98, daemon.color), (250, 99, daemon.color),
                        (250, 100, GREEN), (250, 299, GREEN), (250, 301, daemon.color)):
        same(f"pixel {x},{y}", f"{picture[x, y]:06x}", f"{color:06x}")
    for name, value in (("WM_CLASS", '"work:inst_ance", "work:Klass"'), ("_QUBES_VMNAME", '"work"'),
                        ("_QUBES_VMWINDOWID", "0x101"), ("_QUBES_LABEL_COLOR", str(daemon.color))):
        if value not in bed.desktop.property(number, name):
            raise AssertionError(f"{name}: {bed.desktop.property(number, name)}")
    # While it is shown, another class is ignored, another title is not.
    agent.wmclass(0x101, "Other", "other")
    agent.title(0x101, "two")
    bed.desktop.find("[work] two")
    if "Klass" not in bed.desktop.property(number, "WM_CLASS"):
        raise AssertionError("the class changed while the window was shown")
    agent.send("UNMAP", 0x101)
    bed.desktop.await_pixel(250, 200, 0x102030)
    agent.send("DESTROY", 0x101)
    agent.expect("DESTROY", 0x101)


def utf8_titles(bed):
    daemon = bed.daemon(options=["-o", "allow_utf8_titles=true"])
    agent = daemon.agent
    place(agent, 1, 100, 100, 200, 100, GREEN)
    agent.send("WMNAME", 1, struct.pack("<128s", "Größe \u202e \u200b\u4f60 ".encode() + b"\xff\xc0\xaf"))
    bed.desktop.find("[work] Größe _ _\u4f60 ___")


def configure(bed):
    """Who moves a window, and who has to agree."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "conf")
    number = settle(bed, agent, 1, "[work] conf", (100, 100, 300, 200))
    # What the window manager does before a new window stands where it was to be is nobody's move.
    agent.sync(1)
    while (message := agent.receive()).kind != "WINDOW_DUMP_ACK":
        if message.kind == "CONFIGURE":
            raise AssertionError(f"a new window was moved: {message}")
    # The agent moves and resizes; nothing is to be answered, as it got what it wanted.
    agent.configure(1, 150, 160, 320, 210)
    settle(bed, agent, 1, "[work] conf", (150, 160, 320, 210))
    # The user does: the agent hears of it; as long as it did not agree, it cannot change it.
    bed.desktop.do("windowsize", "--sync", number, 406, 306)
    message = agent.expect("CONFIGURE", 1, width=400)
    same("configured by the user", (message["x"], message["y"], message["width"], message["height"]),
         (150, 160, 400, 300))
    agent.configure(1, 0, 0, 50, 50)
    message = agent.expect("CONFIGURE", 1)
    same("answered", (message["x"], message["y"], message["width"], message["height"]), (150, 160, 400, 300))
    agent.configure(1, 150, 160, 400, 300)
    agent.configure(1, 160, 170, 200, 100)
    settle(bed, agent, 1, "[work] conf", (160, 170, 200, 100))
    # Far away and huge: cut to the limits, and still alive.
    agent.configure(1, -2**31, 2**31 - 1, 2**31 - 1, 2**31 - 1)
    agent.configure(1, 100, 100, 200, 100)
    agent.sync(1)
    agent.expect("WINDOW_DUMP_ACK", 1)


def damage(bed):
    """What is damaged is shown, and nothing else."""
    daemon = bed.daemon()
    agent = daemon.agent
    buffer = place(agent, 1, 100, 100, 300, 200, GREEN, "damage")
    settle(bed, agent, 1, "[work] damage", (100, 100, 300, 200))
    bed.desktop.await_pixel(250, 200, GREEN)
    buffer.data[:300 * 200 * 4] = struct.pack("<I", BLUE) * (300 * 200)
    agent.damage(1, 50, 60, 10, 20)
    bed.desktop.await_pixel(155, 170, BLUE)
    picture = bed.desktop.picture()
    same("blue pixels", picture.count(BLUE), 200)
    for x, y, color in ((149, 170, GREEN), (150, 160, BLUE), (159, 179, BLUE), (160, 170, GREEN), (155, 159, GREEN),
                        (155, 180, GREEN)):
        same(f"pixel {x},{y}", f"{picture[x, y]:06x}", f"{color:06x}")
    # Rectangles that reach outside, are empty, or are nowhere.
    for rect in ((-2**31, -2**31, 2**32 - 1, 5), (0, 0, 0, 0), (5000, 5000, 10, 10), (2**31 - 1, 0, 2**32 - 1, 1),
                 (-10, -10, 20, 20), (295, 195, 1000, 1000)):
        agent.damage(1, *rect)
    bed.desktop.await_pixel(399, 299, BLUE)
    same("blue pixels", bed.desktop.picture().count(BLUE), 200 + 100 + 25)
    # Many small ones.
    for i in range(200):
        agent.damage(1, i % 30 * 10, i // 30 * 25, 5, 5)
    agent.damage(1, 0, 0, 300, 200)
    bed.desktop.until(lambda: bed.desktop.picture().count(BLUE) == 300 * 200, "not all is blue")


def buffers(bed):
    """Pages in any order, more of them than needed, images that differ from the window in size."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 64, 64, GREEN, "buffers")
    settle(bed, agent, 1, "[work] buffers", (100, 100, 64, 64))
    colors = (0x110000, 0x220000, 0x330000, 0x440000)
    buffer = Buffer(agent, 5 * 4096)  # 64 x 64: 4 pages of 16 rows
    for page, color in enumerate(colors):
        buffer.data[page * 4096:(page + 1) * 4096] = struct.pack("<I", color) * 1024
    agent.dump(1, 64, 64, [buffer.refs[i] for i in (2, 0, 3, 1)] + [0xffffffff, 12345], bpp=32)
    agent.expect("WINDOW_DUMP_ACK", 1)
    bed.desktop.await_pixel(110, 100 + 8, colors[2])
    for row, page in ((24, 0), (40, 3), (56, 1)):
        bed.desktop.await_pixel(110, 100 + row, colors[page])
    # An image smaller than the window leaves the rest as background; the buffer of before may go.
    small = agent.image(1, 32, 32, BLUE)
    agent.expect("WINDOW_DUMP_ACK", 1)
    buffer.remove()
    bed.desktop.await_pixel(110, 110, BLUE)
    agent.send("UNMAP", 1)
    agent.image(1, 32, 32, YELLOW)
    agent.expect("WINDOW_DUMP_ACK", 1)
    agent.map(1)
    bed.desktop.await_pixel(131, 131, YELLOW)
    bed.desktop.await_pixel(140, 140, 0x808080)
    small.remove()


def screen_window(bed):
    """Window 0 is the whole screen: windows without an image show their part of it."""
    daemon = bed.daemon()
    agent = daemon.agent
    agent.create(0, 0, 0, 1280, 800)
    buffer = Buffer(agent, 1280 * 800 * 4)
    for y in range(800):
        color = struct.pack("<I", y << 8)
        buffer.data[y * 5120:(y + 1) * 5120] = color * 1280
    agent.dump(0, 1280, 800, buffer.refs)
    agent.expect("WINDOW_DUMP_ACK", 0)
    agent.map(0)
    agent.create(1, 200, 150, 100, 100)
    agent.hints(1, PLACED)
    agent.title(1, "part")
    agent.map(1)
    settle(bed, agent, 1, "[work] part", (200, 150, 100, 100))
    bed.desktop.await_pixel(210, 160, 160 << 8)
    bed.desktop.await_pixel(210, 249, 249 << 8)
    agent.send("UNMAP", 0)
    buffer.data[160 * 5120:161 * 5120] = struct.pack("<I", BLUE) * 1280
    agent.damage(1, 0, 0, 100, 100)
    bed.desktop.await_pixel(210, 160, BLUE)


def popup(bed):
    """Windows without the window manager: frame inside, on the screen, where the agent wants them."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "parent")
    settle(bed, agent, 1, "[work] parent", (100, 100, 300, 200))
    agent.show(2, 150, 150, 120, 80, BLUE, "menu", override=1, transient=1)
    agent.expect("WINDOW_DUMP_ACK", 2)
    bed.desktop.await_pixel(200, 190, BLUE)
    picture = bed.desktop.picture()
    for x, y, color in ((149, 190, GREEN), (150, 190, daemon.color), (151, 190, daemon.color), (152, 190, BLUE),
                        (267, 190, BLUE), (268, 190, daemon.color), (269, 190, daemon.color), (270, 190, GREEN),
                        (200, 150, daemon.color), (200, 152, BLUE), (200, 229, daemon.color)):
        same(f"pixel {x},{y}", f"{picture[x, y]:06x}", f"{color:06x}")
    agent.configure(2, 160, 170, 100, 60)
    bed.desktop.await_pixel(160, 170, daemon.color)
    bed.desktop.await_pixel(155, 155, GREEN)
    # Beyond the screen: it is brought back, and the agent gets to know.
    agent.show(3, 1250, -30, 100, 50, YELLOW, "tip", override=1)
    message = agent.expect("CONFIGURE", 3)
    same("kept on the screen", (message["x"], message["y"]), (1180, 0))
    bed.desktop.await_pixel(1179 + 100, 10, daemon.color)
    bed.desktop.await_pixel(1200, 10, YELLOW)
    # While it is shown it cannot become another kind of window.
    agent.map(3, 0, 0)
    agent.sync(3)
    agent.expect("WINDOW_DUMP_ACK", 3)
    agent.send("DESTROY", 2)
    bed.desktop.await_pixel(165, 190, GREEN)


def screen_size(bed):
    """When the screen gets another size, popups have to stay on what there is now, and so does the way out of full screen."""
    agent = bed.daemon().agent
    place(agent, 2, 100, 100, 300, 200, GREEN, "full")
    number = settle(bed, agent, 2, "[work] full", (100, 100, 300, 200))
    bed.desktop.do("windowfocus", "--sync", number)
    bed.desktop.do("key", "ctrl+shift+F11")
    same("state", agent.expect("WINDOW_FLAGS", 2)["set"], 1)
    bar = bed.desktop.find("gui-daemon fullscreen bar")

    def bar_is_at(x):
        left, top, width, _ = bed.desktop.geometry(bar)
        return top == 0 and abs(left + width // 2 - x) <= 2
    bed.desktop.until(lambda: bar_is_at(640), "the bar is not in the middle")
    try:
        bed.desktop.resize(700, 500)
        bed.desktop.until(lambda: bar_is_at(350), "the bar is not in the middle of the smaller screen")
        agent.show(1, 650, 490, 100, 50, YELLOW, "tip", override=1)
        message = agent.expect("CONFIGURE", 1)
        same("kept on the smaller screen", (message["x"], message["y"]), (600, 450))
        agent.configure(1, 600, 450, 100, 50)
    finally:
        bed.desktop.resize(1280, 800)
    bed.desktop.until(lambda: bar_is_at(640), "the bar is not in the middle of the larger screen")
    agent.configure(1, 950, 690, 100, 50)
    bed.desktop.await_pixel(1049, 715, bed.daemons[0].color)
    bed.desktop.await_pixel(1040, 730, YELLOW)


def screen_before_agent(bed):
    """A screen that changes its size while the qube still starts is told as it is when the agent comes."""
    daemon = bed.daemon(connect=False)
    bed.desktop.until(lambda: os.path.exists(os.path.join(daemon.place, f"gui.{daemon.domain}.0.sock")), "the daemon does not listen")
    try:
        bed.desktop.resize(700, 500)
        daemon.agent = daemon.new_agent()
        same("screen", daemon.agent.handshake()[1][:2], (700, 500))
    finally:
        bed.desktop.resize(1280, 800)


def transient(bed):
    """A window that belongs to another one stays above it, also when that one goes first."""
    agent = bed.daemon().agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "main")
    main = settle(bed, agent, 1, "[work] main", (100, 100, 300, 200))
    agent.create(2, 150, 150, 100, 80)
    agent.hints(2, PLACED)
    agent.title(2, "dialog")
    agent.image(2, 100, 80, BLUE)
    agent.map(2, transient=1)
    agent.damage(2, 0, 0, 100, 80)
    dialog = settle(bed, agent, 2, "[work] dialog", (150, 150, 100, 80))
    same("transient for", int(bed.desktop.property(dialog, "WM_TRANSIENT_FOR").split()[-1], 16), int(main))
    bed.desktop.await_pixel(200, 190, BLUE)
    bed.desktop.do("windowraise", main, "windowactivate", "--sync", main)
    same("the dialog", bed.desktop.picture()[200, 190], BLUE)
    agent.send("DESTROY", 1)
    agent.expect("DESTROY", 1)
    bed.desktop.await_pixel(300, 250, 0x102030)
    bed.desktop.await_pixel(200, 190, BLUE)


def popup_limits(bed):
    """A qube cannot cover the screen: neither with one popup, nor with several, nor by growing."""
    daemon = bed.daemon()
    agent = daemon.agent

    def redirected(title):
        return "Override Redirect State: yes" in bed.desktop.run("xwininfo", "-wm", "-stats", "-name", title)

    agent.show(1, 0, 0, 1280, 780, BLUE, "cover", override=1)
    bed.desktop.find("[work] cover")
    daemon.await_said("got one")
    same("override-redirect", redirected("[work] cover"), False)
    agent.send("UNMAP", 1)
    for window, x in ((2, 0), (3, 640)):
        agent.show(window, x, 0, 640, 600, BLUE, f"half {window}", override=1)
        bed.desktop.find(f"[work] half {window}")
    agent.show(4, 0, 600, 1280, 190, BLUE, "rest", override=1)
    bed.desktop.find("[work] rest")
    same("override-redirect", [redirected(f"[work] {t}") for t in ("half 2", "half 3", "rest")],
         [True, True, False])
    agent.configure(3, 0, 0, 1280, 800)
    bed.desktop.until(lambda: not redirected("[work] half 3"), "a popup that grew is still one")
    same("times the user was told", daemon.said().count("got one"), 1)


def flags(bed):
    """Fullscreen becomes maximised, but is reported as what was asked for; minimise; attention."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "flags")
    number = settle(bed, agent, 1, "[work] flags", (100, 100, 300, 200))
    agent.flags(1, on=1)
    message = agent.expect("WINDOW_FLAGS", 1)
    same("reported", (message["set"], message["unset"]), (1, 0))
    state = bed.desktop.property(number, "_NET_WM_STATE")
    if "MAXIMIZED" not in state or "FULLSCREEN" in state:
        raise AssertionError(state)
    agent.flags(1, off=1)
    message = agent.expect("WINDOW_FLAGS", 1)
    same("reported", (message["set"], message["unset"]), (0, 1))
    agent.flags(1, on=2)
    bed.desktop.until(lambda: "urgency hint" in bed.desktop.property(number, "WM_HINTS"), "no urgency")
    agent.flags(1, off=2)
    bed.desktop.until(lambda: "urgency hint" not in bed.desktop.property(number, "WM_HINTS"), "urgency stays")
    agent.flags(1, on=4)
    same("minimised", agent.expect("WINDOW_FLAGS", 1)["set"], 4)
    agent.map(1)
    same("restored", agent.expect("WINDOW_FLAGS", 1)["unset"], 4)
    agent.flags(1, on=0xfffffff8)
    agent.sync(1)
    agent.expect("WINDOW_DUMP_ACK", 1)


def fullscreen(bed):
    """By the user, with the frame and a bar that leads back; by the agent only if it may."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "full")
    number = settle(bed, agent, 1, "[work] full", (100, 100, 300, 200))
    for leave in ("key", "click", "break"):
        bed.desktop.do("windowfocus", "--sync", number)
        bed.desktop.do("key", "ctrl+shift+F11")
        same("state", agent.expect("WINDOW_FLAGS", 1)["set"], 1)
        agent.expect("CONFIGURE", 1, width=1280 - 2 * FRAME, height=800 - 2 * FRAME)
        agent.configure(1, 3, 3, 1274, 794)
        bed.desktop.await_pixel(1, 400, daemon.color)
        bed.desktop.await_pixel(640, 2, daemon.color)
        bar = bed.desktop.find("gui-daemon fullscreen bar")
        x, y, width, height = bed.desktop.geometry(bar)
        if y != 0 or abs(x + width // 2 - 640) > 2 or height < 10:
            raise AssertionError(f"the bar is at {(x, y, width, height)}")
        if leave == "key":
            bed.desktop.do("key", "ctrl+shift+F11")
        elif leave == "break":
            bed.desktop.do("key", "ctrl+shift+Escape")
        else:
            # A popup that came later does not hide it.
            agent.show(2, x, 0, width, 100, BLUE, "over", override=1)
            bed.desktop.find("[work] over")
            bed.desktop.do("mousemove", x + width // 2, y + height // 2, "click", 1)
        same("state", agent.expect("WINDOW_FLAGS", 1)["unset"], 1)
        agent.expect("CONFIGURE", 1, width=300)
        agent.configure(1, 100, 100, 300, 200)
        bed.desktop.await_pixel(1, 400, 0x102030)
    pressed = [m["keycode"] for m in agent.log if m.kind == "KEYPRESS" and m["keycode"] in (95, 9)]
    same("keys of shortcuts that reached the qube", pressed, [])
    other = bed.daemon(name="mail", label="blue", domain=9, options=["-o", "allow_fullscreen=true"])
    place(other.agent, 1, 100, 100, 300, 200, GREEN, "game")
    settle(bed, other.agent, 1, "[mail] game", (100, 100, 300, 200))
    other.agent.flags(1, on=1)
    same("state", other.agent.expect("WINDOW_FLAGS", 1)["set"], 1)
    if "FULLSCREEN" not in bed.desktop.property(bed.desktop.find("[mail] game"), "_NET_WM_STATE"):
        raise AssertionError("not fullscreen")
    bed.desktop.find("gui-daemon fullscreen bar")


def accessible_bar(bed):
    """The way out of full screen has a name for assistive programs, which says the key that leads there, too."""
    with Access(bed.desktop) as access:
        bus = access.environment()["DBUS_SESSION_BUS_ADDRESS"]
        agent = bed.daemon(environment={"DBUS_SESSION_BUS_ADDRESS": bus, "NO_AT_BRIDGE": "0"}).agent
        place(agent, 1, 100, 100, 300, 200, GREEN, "full")
        number = settle(bed, agent, 1, "[work] full", (100, 100, 300, 200))
        bed.desktop.do("windowfocus", "--sync", number)
        bed.desktop.do("key", "ctrl+shift+F11")
        bed.desktop.until(lambda: ("push button", "[work] Leave full screen (Ctrl+Shift+F11)") in access.walk(), "no button")
        same("without a name", access.unnamed(), [])


def hints(bed):
    """Sizes that the window manager keeps count the frame in; nonsense is left out."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "hints")
    number = settle(bed, agent, 1, "[work] hints", (100, 100, 300, 200))
    agent.hints(1, 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8, (60, 50), (600, 500), (8, 16), (4, 4))

    def seen():
        return bed.desktop.property(number, "WM_NORMAL_HINTS")
    for text in ("minimum size: 66 by 56", "maximum size: 606 by 506", "resize increment: 8 by 16",
                 "base size: 10 by 10", "window gravity: Static"):
        bed.desktop.until(lambda wanted=text: wanted in seen(), f"no {text!r} in {seen()}")
    agent.hints(1, 0xffffffff, (2**32 - 1, 5), (3, 3), (0, 2**31), (2**31, 0))
    bed.desktop.until(lambda: "maximum" not in seen() and "increment" not in seen(), seen())


def keys_and_pointer(bed):
    """Every event of the user, with coordinates, state and codes."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "input")
    number = settle(bed, agent, 1, "[work] input", (100, 100, 300, 200))
    bed.desktop.do("windowfocus", "--sync", number)
    agent.expect("KEYMAP_NOTIFY", 0)
    same("focus", agent.expect("FOCUS", 1)["type"], 9)
    bed.desktop.do("mousemove", 150, 160)
    enter = agent.expect("CROSSING", 1)
    same("enter", (enter["type"], enter["x"], enter["y"]), (7, 50, 60))
    bed.desktop.do("mousemove", 160, 180)
    motion = agent.expect("MOTION", 1, x=60)
    same("motion", (motion["y"], motion["state"], motion["is_hint"]), (80, 0, 0))
    for button in range(1, 10):
        bed.desktop.do("click", button)
        press, release = agent.expect("BUTTON", 1), agent.expect("BUTTON", 1)
        same("button", (press["type"], press["button"], press["x"], press["y"], release["type"], release["button"]),
             (4, button, 60, 80, 5, button))
        same("state", release["state"], 0x80 << button if button <= 5 else release["state"])
    bed.desktop.do("keydown", "shift", "key", "a", "keyup", "shift")
    events = [agent.expect("KEYPRESS", 1) for _ in range(4)]
    same("keys", [(e["type"], e["keycode"], e["state"] & 1) for e in events],
         [(2, 50, 0), (2, 38, 1), (3, 38, 1), (3, 50, 1)])
    # A drag that leaves the window.
    bed.desktop.do("mousedown", 1, "mousemove", 600, 500)
    agent.expect("MOTION", 1, x=500, y=400, state=0x100)
    bed.desktop.do("mouseup", 1)
    same("release", agent.expect("BUTTON", 1, type=5)["x"], 500)
    agent.expect("CROSSING", 1, type=8)
    # The frame is not the qube's: a pointer there is outside.
    agent.log.clear()
    bed.desktop.do("mousemove", 98, 200)
    bed.desktop.do("mousemove", 100, 200)
    enter = agent.expect("CROSSING", 1, type=7)
    same("first inside", (enter["x"], enter["y"], [m.kind for m in agent.log if m.kind == "MOTION" and m["x"] < 0]),
         (0, 100, []))


def close_and_focus(bed):
    """The window manager's close is a request; the focus tells what is pressed."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 200, 200, GREEN, "one")
    one = settle(bed, agent, 1, "[work] one", (100, 100, 200, 200))
    place(agent, 2, 400, 100, 200, 200, BLUE, "two")
    two = settle(bed, agent, 2, "[work] two", (400, 100, 200, 200))
    bed.desktop.do("windowfocus", "--sync", one)
    agent.expect("FOCUS", 1, type=9)
    bed.desktop.do("keydown", "q")
    agent.expect("KEYPRESS", 1, type=2)
    bed.desktop.do("windowfocus", "--sync", two)
    agent.expect("FOCUS", 1, type=10)
    keys = agent.expect("KEYMAP_NOTIFY")["keys"]
    same("q is down", keys[24 >> 3] & 1 << (24 & 7), 1 << (24 & 7))
    agent.expect("FOCUS", 2, type=9)
    bed.desktop.do("keyup", "q")
    agent.expect("KEYPRESS", 2, type=3, keycode=24)
    bed.desktop.run("xdotool", "windowactivate", "--sync", two, "key", "alt+F4")
    agent.expect("CLOSE", 2)
    # Nothing has closed it: that is the qube's business.
    bed.desktop.find("[work] two")


def release(bed):
    """The user can always break what a qube holds: popups go, keys and buttons are let go."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "parent")
    number = settle(bed, agent, 1, "[work] parent", (100, 100, 300, 200))
    bed.desktop.do("windowfocus", "--sync", number)
    agent.expect("FOCUS", 1, type=9)
    agent.show(2, 120, 120, 200, 100, BLUE, "menu", override=1, transient=1)
    bed.desktop.await_pixel(200, 170, BLUE)
    bed.desktop.do("keydown", "w")
    agent.expect("KEYPRESS", 1, keycode=25, type=2)
    bed.desktop.do("key", "ctrl+shift+Escape")
    agent.expect("KEYPRESS", 1, keycode=25, type=3)
    bed.desktop.await_pixel(200, 170, GREEN)
    same("Escape in the qube", [m for m in agent.log if m.kind == "KEYPRESS" and m["keycode"] == 9], [])
    bed.desktop.do("keyup", "w")
    agent.send("UNMAP", 2)
    agent.map(2, 1, 1)
    agent.image(2, 200, 100, BLUE)
    bed.desktop.await_pixel(200, 170, BLUE)


def cursor(bed):
    """All shapes that there are, and numbers that are none."""
    daemon = bed.daemon()
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "cursor")
    bed.desktop.do("mousemove", 200, 200)

    def shape(number, known=(), wanted=None):
        """The shape that the number makes: none of the known ones, or the wanted one."""
        agent.send("CURSOR", 1, struct.pack("<I", number))
        return bed.desktop.until(lambda: [seen for seen in [bed.desktop.camera.cursor()] if (
            seen == wanted if wanted else seen not in known)], f"shape {number:#x} is not to be seen")[0]
    bed.desktop.await_pixel(250, 250, GREEN)
    plain = bed.desktop.camera.cursor()
    bar = shape(0x100 + 152, [plain])
    hand = shape(0x100 + 60, [plain, bar])
    shape(0, wanted=plain)
    # Of each pair of glyphs the second is a mask.
    shape(0x100 + 153, wanted=bar)
    for number in [0, *range(0x100, 0x19c), 1, 0xff, 0xffffffff, 0x80000000]:
        agent.send("CURSOR", 1, struct.pack("<I", number))
    shape(0x100 + 60, wanted=hand)
    shape(0, wanted=plain)


def many_windows(bed):
    """Fifty windows of one qube, in any order, up to the limit and not beyond."""
    daemon = bed.daemon(options=["-o", "windows_count_limit=50"])
    agent = daemon.agent
    for i in range(50):
        place(agent, 1000 + 37 * i, 100 + 10 * i, 60 + 8 * i, 120, 90, 0x010101 * i + 0x40, f"w{i}")
    for i in (0, 17, 49):
        bed.desktop.find(f"[work] w{i}")
    for i in range(0, 50, 2):
        agent.send("DESTROY", 1000 + 37 * i)
        agent.expect("DESTROY", 1000 + 37 * i)
    agent.create(1, 0, 0, 10, 10)
    for i in range(24):
        agent.create(2 + i, 0, 0, 10, 10)
    agent.create(99, 0, 0, 10, 10)
    daemon.expect_dropped("windows_count_limit")


def clipboard(bed):
    """Text goes from qube to qube by two keys, once, if the policy lets it; the user is told."""
    work, mail, vault = (bed.daemon(name=n, label=label, domain=d) for n, label, d in (
        ("work", "red", 7), ("mail", "blue", 9), ("vault", "black", 8)))
    numbers = {}
    for i, daemon in enumerate((work, mail, vault)):
        place(daemon.agent, 1, 50 + 300 * i, 100, 200, 200, GREEN, "clip")
        numbers[daemon] = settle(bed, daemon.agent, 1, f"[{daemon.name}] clip", (50 + 300 * i, 100, 200, 200))

    def key(daemon, what):
        bed.desktop.do("windowfocus", "--sync", numbers[daemon])
        daemon.agent.expect("FOCUS", 1, type=9)
        bed.desktop.do("key", what)

    def elsewhere():
        bed.desktop.do("windowfocus", "--sync", numbers[vault])

    def stored():
        path = os.path.join(bed.clipboard, "qubes-clipboard.bin")
        with open(path, "rb") as f, open(path + ".source", "rb") as g:
            return f.read(), g.read()

    # Unrequested data is dropped.
    work.agent.send("CLIPBOARD_DATA", 1, b"not asked for")
    key(work, "ctrl+shift+c")
    work.agent.expect("CLIPBOARD_REQ", 1)
    same("stored before the answer", stored(), (b"", b""))
    work.agent.send("CLIPBOARD_DATA", 1, "grüße\n".encode())
    work.await_said("8 bytes were copied")
    same("stored", stored(), ("grüße\n".encode(), b"work"))
    # A second answer to one request is none.
    work.agent.send("CLIPBOARD_DATA", 1, b"again")
    key(vault, "ctrl+shift+v")
    vault.await_said("forbids pasting text of work")
    same("stored after a refusal", stored(), ("grüße\n".encode(), b"work"))
    key(mail, "ctrl+shift+v")
    same("pasted", mail.agent.expect("CLIPBOARD_DATA", 1).body, "grüße\n".encode())
    mail.await_said("8 bytes of work were pasted")
    same("stored after the paste", stored(), (b"", b""))
    elsewhere()
    key(mail, "ctrl+shift+v")
    mail.await_said("is empty")
    for daemon in (work, mail, vault):
        codes = [m["keycode"] for m in daemon.agent.log if m.kind == "KEYPRESS"]
        same(f"c or v in {daemon.name}", [c for c in codes if c in (54, 55)], [])


def clipboard_limits(bed):
    """Too much is refused with a word, at the limit of the qube and of the protocol."""
    work = bed.daemon()
    old = bed.daemon(name="mail", label="blue", domain=9, version=0x10007,
                     options=["-o", "max_clipboard_size=256000"])
    big = bed.daemon(name="vault", label="black", domain=8, options=["-o", "max_clipboard_size=256000"])
    numbers = {}
    for i, daemon in enumerate((work, old, big)):
        place(daemon.agent, 1, 50 + 300 * i, 100, 200, 200, GREEN, "clip")
        numbers[daemon] = settle(bed, daemon.agent, 1, f"[{daemon.name}] clip", (50 + 300 * i, 100, 200, 200))

    def copy(daemon, size):
        bed.desktop.do("windowfocus", "--sync", numbers[daemon], "key", "ctrl+shift+c")
        daemon.agent.expect("CLIPBOARD_REQ", 1)
        daemon.agent.send("CLIPBOARD_DATA", 1, b"x" * size)

    copy(work, 64001)
    work.await_said("has 64001 bytes, the limit is 64000")
    copy(work, 64000)
    work.await_said("64000 bytes were copied")
    copy(big, 256001)
    big.await_said("more than 256000 bytes")
    copy(big, 256000)
    big.await_said("256000 bytes were copied")
    bed.desktop.do("windowfocus", "--sync", numbers[old], "key", "ctrl+shift+v")
    old.await_said("agent takes 65000")
    copy(old, 65000)
    old.await_said("65000 bytes were copied")
    bed.desktop.do("windowfocus", "--sync", numbers[big], "key", "ctrl+shift+v")
    same("pasted", len(big.agent.expect("CLIPBOARD_DATA", 1).body), 65000)


def tray(bed):
    """Icons in a system tray that nobody here wrote, in each mode; without a tray there is a word."""
    lonely = bed.daemon(name="mail", label="blue", domain=9)
    lonely.agent.create(1, 0, 0, 24, 24)
    lonely.agent.send("DOCK", 1)
    lonely.await_said("no system tray")
    tray_process = bed.desktop.start("trayer", "--edge", "top", "--align", "left", "--widthtype", "request", "--height",
                                     "32", "--SetDockType", "false", "--tint", "0xff000000")
    modes = (("border1", 0xb0b0b0), ("border2", 0xb0b0b0), ("bg", None), ("tint", None), ("tint+border1", None))
    try:
        bed.desktop.until(lambda: bed.desktop.run("xdotool", "search", "--class", "trayer").strip(), "no tray")
        for mode, color in modes:
            daemon = bed.daemon(options=["-o", f"trayicon_mode={mode}"])
            agent = daemon.agent
            agent.create(1, 0, 0, 24, 24)
            agent.title(1, "icon")
            agent.image(1, 24, 24, 0xb0b0b0)
            agent.send("DOCK", 1)
            agent.map(1)
            agent.damage(1, 0, 0, 24, 24)
            number = bed.desktop.find("[work] icon")
            bed.desktop.until(lambda w=number: "Map State: IsViewable" in bed.desktop.run("xwininfo", "-id", w) and
                              bed.desktop.geometry(w)[0] >= 0, f"{mode}: not in the tray")
            x, y, width, height = bed.desktop.geometry(number)
            while True:
                message = agent.expect("CONFIGURE", 1)
                agent.configure(1, *(message[name] for name in ("x", "y", "width", "height")))
                if [message[name] for name in ("x", "y", "width", "height")] == [x, y, width, height]:
                    break
            agent.image(1, width, height, 0xb0b0b0)
            agent.damage(1, 0, 0, width, height)
            border = {"border1": 1, "border2": 2, "tint+border1": 1}.get(mode, 0)
            if mode == "bg":
                color = daemon.color
            elif color is None:
                color = 0xda4949  # red, 49 of 128 of the way to its lighter shade, as light as the grey is
            bed.desktop.until(lambda c=color: bed.desktop.picture()[x + width // 2, y + height // 2] == c,
                              f"{mode}: {bed.desktop.picture()[x + width // 2, y + height // 2]:06x} at {x},{y}")
            picture = bed.desktop.picture()
            for i in range(border):
                same(f"{mode}: frame", picture[x + i, y + height // 2], daemon.color)
            same(f"{mode}: inside the frame", picture[x + border, y + height // 2], color)
            # The tray decides.
            agent.send("UNMAP", 1)
            agent.configure(1, x, y, 500, 500)
            same("size", agent.expect("CONFIGURE", 1)["width"], width)
            same("shown", bed.desktop.picture()[x + width // 2, y + height // 2], color)
            daemon.stop()
            bed.daemons.remove(daemon)
    finally:
        tray_process.terminate()
        tray_process.wait()


def icons(bed):
    """The service of icons: tinted, on the windows of the calling qube only, also on ones that come later."""
    work, mail = bed.daemon(), bed.daemon(name="mail", label="blue", domain=9)
    numbers = []
    for i, daemon in enumerate((work, mail)):
        place(daemon.agent, 0x101, 50 + 300 * i, 100, 200, 100, GREEN, "icons")
        numbers.append(settle(bed, daemon.agent, 0x101, f"[{daemon.name}] icons", (50 + 300 * i, 100, 200, 100)))
    before = bed.desktop.property(numbers[1], "_NET_WM_ICON")
    log_path = os.path.join(bed.place, f"icons-{bed.serial()}")

    def icon(number):
        return bed.desktop.run("xprop", "-id", number, "-notype", "32c", " = $0+\n", "_NET_WM_ICON").split("=")[1]
    with open(log_path, "wb") as log:
        receiver = subprocess.Popen([os.path.join(os.path.dirname(bed.agent), "gui-icon-receiver")], stderr=log,
                                    env=dict(bed.desktop.env, QREXEC_REMOTE_DOMAIN="work"), stdin=subprocess.PIPE)
        try:
            receiver.stdin.write(b"257\n3 1\n\xff\xff\xff\xff\x00\x80\x00\x7f\x00\x00\x00\xff")
            receiver.stdin.flush()
            # Light red for white, dark red for black; half-dark green becomes half-dark red, its transparency stays.
            wanted = [3, 1, 0xfff2bfbf, 0x7fa60000, 0xff7f0000]
            bed.desktop.until(lambda: [int(v) & 0xffffffff for v in icon(numbers[0]).split(",")] == wanted,
                              f"no icon: {icon(numbers[0])}")
            receiver.stdin.write(b"258\n1 1\n\xff\xff\xff\xff" + b"257\n0 1\n")
            receiver.stdin.flush()
            same("exit code after an icon without a size", receiver.wait(60), 1)
            same("icon of the other qube", bed.desktop.property(numbers[1], "_NET_WM_ICON"), before)
        finally:
            receiver.kill()
            receiver.wait()
    with open(log_path, encoding="utf-8") as f:
        same("said", f.read(), "gui-icon-receiver: work: what it sent is no icon\n")


def later_icons(bed):
    """An icon that comes before its window."""
    work = bed.daemon()
    receiver = subprocess.Popen([os.path.join(os.path.dirname(bed.agent), "gui-icon-receiver")],
                                env=dict(bed.desktop.env, QREXEC_REMOTE_DOMAIN="work"), stdin=subprocess.PIPE)
    try:
        receiver.stdin.write(b"7\n1 1\n\x00\x00\x00\xff")
        receiver.stdin.flush()
        place(work.agent, 7, 100, 100, 200, 100, GREEN, "late")
        number = settle(bed, work.agent, 7, "[work] late", (100, 100, 200, 100))
        bed.desktop.until(lambda: "1, 1, 4286513152" in bed.desktop.run(
            "xprop", "-id", number, "-notype", "32c", " = $0+\n", "_NET_WM_ICON"), "no icon")
        receiver.stdin.close()
        same("exit code at the end", receiver.wait(60), 0)
    finally:
        receiver.kill()
        receiver.wait()


def delay(bed):
    """With events_max_delay events come later, all of them and in order."""
    daemon = bed.daemon(options=["-o", "events_max_delay=50"])
    agent = daemon.agent
    place(agent, 1, 100, 100, 300, 200, GREEN, "delay")
    number = settle(bed, agent, 1, "[work] delay", (100, 100, 300, 200))
    bed.desktop.do("windowfocus", "--sync", number)
    agent.expect("FOCUS", 1, type=9)
    bed.desktop.do("key", *"abcdefgh")
    codes = [38, 56, 54, 40, 26, 41, 42, 43]
    seen = [agent.expect("KEYPRESS", 1) for _ in range(16)]
    same("order", [(m["type"], m["keycode"]) for m in seen], [(t, c) for c in codes for t in (2, 3)])


def reconnect(bed):
    """An agent that starts anew finds the daemon waiting; the windows of before are gone."""
    daemon = bed.daemon(supervised=True)
    place(daemon.agent, 1, 100, 100, 300, 200, GREEN, "first")
    settle(bed, daemon.agent, 1, "[work] first", (100, 100, 300, 200))
    daemon.agent.close()
    bed.desktop.await_pixel(250, 200, 0x102030)
    daemon.agent = daemon.new_agent()
    same("version", daemon.agent.handshake()[0], 0x10008)
    place(daemon.agent, 1, 100, 100, 300, 200, BLUE, "second")
    settle(bed, daemon.agent, 1, "[work] second", (100, 100, 300, 200))
    daemon.process.terminate()
    same("exit code", daemon.ends(), 0)


def silent_agent(bed):
    daemon = bed.daemon(connect=False, options=["-o", "startup_timeout=1"])
    same("exit code", daemon.ends(), 5)
    daemon.await_said("did not connect in time")


def notifications(bed):
    """What the user is told arrives at the desktop's service as plain text, from behind the sandbox."""
    bus = subprocess.Popen(["dbus-daemon", "--session", "--print-address", "--nofork"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, env=bed.desktop.env, text=True)
    env = {"DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip()}
    log_path = os.path.join(bed.place, f"bus-{bed.serial()}")
    with open(log_path, "wb") as log:
        helpers = [bus] + [subprocess.Popen(command, env=dict(bed.desktop.env, **env), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
                           for command in (["dunst"], ["dbus-monitor", "interface='org.freedesktop.Notifications'"])]

        def bus_saw(text):
            with open(log_path, encoding="utf-8", errors="replace") as f:
                return text in f.read()
        try:
            bed.desktop.until(lambda: "Notifications" in bed.desktop.run(
                "dbus-send", f"--bus={env['DBUS_SESSION_BUS_ADDRESS']}", "--print-reply",
                "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.ListNames"), "no notification service")
            daemon = bed.daemon(environment=env)
            same("no service", "no notification service" in daemon.said(), False)
            place(daemon.agent, 1, 100, 300, 300, 200, GREEN, "note")
            number = settle(bed, daemon.agent, 1, "[work] note", (100, 300, 300, 200))
            bed.desktop.do("windowfocus", "--sync", number, "key", "ctrl+shift+c")
            daemon.agent.expect("CLIPBOARD_REQ", 1)
            daemon.agent.send("CLIPBOARD_DATA", 1, b"12345")
            bed.desktop.until(lambda: bus_saw("5 bytes were copied"), "the service was not told")
            daemon.agent.flags(1, 1, 1)
            bed.desktop.until(lambda: bus_saw("same state of a window"), "the service was not told why it ended")
            same("exit code", daemon.ends(), 3)
            bed.desktop.until(lambda: bed.desktop.run("xdotool", "search", "--class", "Dunst").strip(), "not shown")
        finally:
            for helper in reversed(helpers):
                helper.terminate()
                helper.wait()


CHECKS = [versions, old_lengths, managed, utf8_titles, configure, damage, buffers, screen_window, popup, transient, screen_size, screen_before_agent, popup_limits,
          flags, fullscreen, accessible_bar, hints, keys_and_pointer, close_and_focus, release, cursor, many_windows, clipboard,
          clipboard_limits, notifications, tray, icons, later_icons, delay, reconnect, silent_agent]
