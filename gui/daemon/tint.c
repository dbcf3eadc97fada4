// SPDX-License-Identifier: GPL-2.0-or-later
// Pictures in the colour of a qube.
#include "tint.h"

static unsigned int channel(uint32_t pixel, unsigned int shift)
{
	return pixel >> shift & 0xff;
}

static uint32_t scale(uint32_t color, unsigned int shift, unsigned int light)
{
	unsigned int full = channel(color, shift), value;

	/*
	 * From a darker shade of the colour through it to a lighter one, so that a picture keeps its contrast. Neither black nor
	 * white: a picture of these alone would look the same in all qubes.
	 */
	if (light < 128)
		value = full * (5 * 127 + 3 * light) / (8 * 127);
	else
		value = full + (255 - full) * 3 * (light - 127) / (4 * 128);
	return (uint32_t)value << shift;
}

void icon_tint(uint32_t *pixels, size_t count, uint32_t color)
{
	unsigned int light, low, high, i;
	size_t at;

	for (at = 0; at < count; at++) {
		low = 255;
		high = 0;
		for (i = 0; i < 24; i += 8) {
			low = channel(pixels[at], i) < low ? channel(pixels[at], i) : low;
			high = channel(pixels[at], i) > high ? channel(pixels[at], i) : high;
		}
		light = (low + high) / 2;
		pixels[at] = (pixels[at] & 0xff000000u) | scale(color, 0, light) |
			     scale(color, 8, light) | scale(color, 16, light);
	}
}

void icon_fill(uint32_t *pixels, size_t count, uint32_t background, uint32_t color)
{
	size_t at;

	for (at = 0; at < count; at++)
		if ((pixels[at] & 0xffffffu) == (background & 0xffffffu))
			pixels[at] = color;
}
