# SPDX-License-Identifier: GPL-2.0-or-later
# The screen of a machine, as a person has it: windows in frames of a colour, a pointer, a keyboard.
import re

# A tablet's coordinates, whatever the screen's size.
TABLET = 32767
# The colour of the panel, as desktop/session/tint2rc has it.
PANEL = (0x3B, 0x42, 0x52)
# The colours of titles, as desktop/session/themerc has them: of the active window, and of others.
TITLES = (0xD8, 0xDE, 0xE9), (0x43, 0x4A, 0x57)
# The colours of labels, as gui/common/label.c has them.
LABELS = {"red": (0xCC, 0, 0), "orange": (0xF5, 0x79, 0), "yellow": (0xED, 0xD4, 0), "green": (0x73, 0xD2, 0x16),
          "gray": (0x55, 0x55, 0x55), "blue": (0x34, 0x65, 0xA4), "purple": (0x75, 0x50, 0x7B), "black": (0, 0, 0)}
# A frame is at least so wide; nothing else on the screen has so many pixels of such a colour in a row.
FRAME_WIDTH = 150
EDGE_MAX = 8
# Where nothing is.
PARKED = 2, 2
# Points in a window's title, behind the icon, from the frame's corner: one to click, one to look at, left of the pointer.
TITLE, LEFT_OF_IT = (30, 10), (22, 10)

# A title's text: what icon and buttons take at its sides, and its lines above the frame.
TITLE_SIDES, TITLE_LINES = (22, 50), (5, 17)


class Frame:
    """The frame of one window: what is between its upper and its lower edge."""

    def __init__(self, x, y, width, height):
        self.x, self.y, self.width, self.height = x, y, width, height

    def __repr__(self):
        return f"{self.width}x{self.height}+{self.x}+{self.y}"

    def centre(self):
        return self.x + self.width // 2, self.y + self.height // 2


class Screen:
    """Of a machine that has screen(), and, to act on it, point() and button(); pause() lets the machine run between what a hand does."""

    def __init__(self, vm, pause=None):
        self.vm, self.pause = vm, pause

    def has_panel(self):
        """Whether the session's panel is at the lower edge."""
        width, height, pixels = self.vm.screen()
        line = pixels[(height - 1) * width * 3:]
        return sum(line[i:i + 3] == bytes(PANEL) for i in range(0, len(line), 3)) > width * 9 // 10

    def frames(self, colour):
        """Frames of windows in exactly this colour that nothing covers, in the order of their upper edges. Above each is its title:
        notifications have frames, too."""
        width, _, pixels = self.vm.screen()
        edges = {}
        for run in re.finditer(b"(?:%s){%d,}" % (re.escape(bytes(colour)), FRAME_WIDTH), pixels, re.S):
            if run.start() % 3 == 0:
                y, x = divmod(run.start() // 3, width)
                edges.setdefault((x, len(run[0]) // 3), []).append(y)
        found = []
        for (x, size), rows in edges.items():
            # A run over the end of a line is none.
            if x + size <= width:
                found += self._joined(x, size, rows, lambda x, y: pixels[(y * width + x) * 3:][:3] == bytes(colour))
        titled = [f for f in found if tuple(pixels[((f.y - 2) * width + f.x + 1) * 3:][:3]) in TITLES]
        return sorted(titled, key=lambda f: (f.y, f.x))

    @classmethod
    def _joined(cls, x, size, rows, has_colour):
        """Frames among the lines of one place and width: an edge has a few of them, and an upper and a lower one are joined at their sides.
        Windows may stand right above each other."""
        found, upper = [], None
        while rows:
            thick = cls._thickness(rows)
            edge, rows = rows[:thick], rows[thick:]
            if len(edge) > EDGE_MAX:
                upper = None
                continue
            if upper is not None and edge[-1] - upper > 4 * EDGE_MAX and all(
                    has_colour(side, y) for side in (x, x + size - 1) for y in range(upper, edge[-1] + 1)):
                found.append(Frame(x, upper, size, edge[-1] + 1 - upper))
                upper = None
            else:
                upper = edge[0]
        return found

    @staticmethod
    def _thickness(rows):
        """How many lines follow each other at once, from the first one."""
        return next((n for n, y in enumerate(rows) if y != rows[0] + n), len(rows))

    def block(self, colour, smallest, largest):
        """A part of the screen that is filled with this colour, so many pixels wide; None if there is none."""
        width, _, pixels = self.vm.screen()
        rows = {}
        for run in re.finditer(b"(?:%s){%d,}" % (re.escape(bytes(colour)), smallest), pixels, re.S):
            if run.start() % 3 == 0 and len(run[0]) <= 3 * largest:
                y, x = divmod(run.start() // 3, width)
                rows.setdefault((x, len(run[0]) // 3), []).append(y)
        found = [Frame(x, ys[0], size, len(ys)) for (x, size), ys in rows.items() if self._thickness(ys) == len(ys) >= size // 2]
        return found[0] if found else None

    def pixel(self, x, y):
        width, _, pixels = self.vm.screen()
        return tuple(pixels[(y * width + x) * 3:][:3])

    def dark(self, x, y, width, height):
        """Which part of a rectangle is nearer to black than to white."""
        whole, _, pixels = self.vm.screen()
        lines = (pixels[((y + i) * whole + x) * 3:][:width * 3] for i in range(height))
        return sum(sum(line[at:at + 3]) < 384 for line in lines for at in range(0, width * 3, 3)) / (width * height)

    def ink(self, x, y, width, height):
        """(first, last) column of a rectangle in which something is drawn on a background whose lines are each of one colour; None if
        nothing is."""
        whole, _, pixels = self.vm.screen()
        lines = [pixels[((y + i) * whole + x) * 3:][:width * 3] for i in range(height)]
        columns = [at for at in range(width) if any(line[at * 3:][:3] != line[:3] for line in lines)]
        return (columns[0], columns[-1]) if columns else None

    def title_width(self, frame):
        """How wide the text of a window's title is, on the screen."""
        found = self.ink(frame.x + TITLE_SIDES[0], frame.y - TITLE_LINES[1], frame.width - sum(TITLE_SIDES), TITLE_LINES[1] - TITLE_LINES[0])
        return found[1] + 1 - found[0] if found else 0

    def is_active(self, frame):
        """Whether the window manager shows this window as the active one: its title is light, that of others dark."""
        return min(self.pixel(frame.x + LEFT_OF_IT[0], frame.y - LEFT_OF_IT[1])) > 128

    def click_title(self, frame):
        """Then the pointer goes away, as it covers what is looked for."""
        self.click(frame.x + TITLE[0], frame.y - TITLE[1])
        self.point(*PARKED)

    def point(self, x, y):
        width, height, _ = self.vm.screen()
        self.vm.point((x * 2 + 1) * TABLET // (width * 2), (y * 2 + 1) * TABLET // (height * 2))

    def drag(self, x, y, to_x, to_y):
        """With the left button held, over the middle. Of what the guest has not read QEMU's tablet keeps one place for each state of
        the buttons: a move right after a press would move the press."""
        self._do(lambda: self.point(x, y), lambda: self.vm.button(True), lambda: self.point((x + to_x) // 2, to_y),
                 lambda: self.point(to_x, to_y), lambda: self.vm.button(False))

    def click(self, x, y):
        self._do(lambda: self.point(x, y), lambda: self.vm.button(True), lambda: self.vm.button(False))

    def _do(self, *acts):
        for act in acts:
            act()
            self.pause()
