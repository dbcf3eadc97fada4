#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# Turns the printable ASCII characters of a GRUB font (PFF2) into the C array of the framebuffer console.
"""usage: font.py FONT.pf2 > font.c; the font's cells are to be at most 8 pixels wide and 16 high."""
import struct
import sys

WIDTH, HEIGHT = 8, 16
FIRST, LAST = 0x20, 0x7e


def sections(data):
    """Names and contents; DATA, the last one, has no true length and is addressed by offsets in the file."""
    found, at = {}, 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, at)
        if name == b"DATA":
            break
        found[name.decode("ascii")] = data[at + 8:at + 8 + size]
        at += 8 + size
    return found


def glyph_rows(data, offset, ascent):
    """The character in its cell: one byte for each row."""
    width, height, left, bottom, _ = struct.unpack_from(">HHhhh", data, offset)
    top = ascent - bottom - height
    if left < 0 or top < 0 or left + width > WIDTH or top + height > HEIGHT:
        raise ValueError(f"a character of {width}x{height} at {left},{top} does not fit")
    rows, bits = [0] * HEIGHT, data[offset + 10:]
    for number in range(width * height):
        if bits[number // 8] >> (7 - number % 8) & 1:
            rows[top + number // width] |= 0x80 >> (left + number % width)
    return rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as f:
        data = f.read()
    parts = sections(data)
    if parts.get("FILE") != b"PFF2":
        sys.exit(f"{sys.argv[1]}: not a PFF2 font")
    ascent, descent = (struct.unpack(">H", parts[n])[0] for n in ("ASCE", "DESC"))
    ascent += (HEIGHT - ascent - descent) // 2
    offsets = {}
    for at in range(0, len(parts["CHIX"]), 9):
        code, compressed, offset = struct.unpack_from(">IBI", parts["CHIX"], at)
        if not compressed:
            offsets[code] = offset
    name = parts["NAME"].rstrip(b"\0").decode("ascii")
    print(f"/* Made by tools/font.py from the font {name}. */")
    print("#include <arch/video.h>\n")
    print("const uint8_t console_font[FONT_CHARACTERS][FONT_HEIGHT] = {")
    for code in range(FIRST, LAST + 1):
        rows = glyph_rows(data, offsets[code], ascent)
        print(f"\t{{{', '.join(f'0x{r:02x}' for r in rows)}}}, /* {code:02x} */")
    print("};")


main()
