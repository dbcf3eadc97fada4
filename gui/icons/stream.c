// SPDX-License-Identifier: GPL-2.0-or-later
// Parser of the stream of icons.
#include "stream.h"

#include <errno.h>
#include <stdbool.h>

/* A number of up to ten digits, and what ends it. */
static bool read_number(FILE *from, int first, char end, uint32_t *ret_number)
{
	uint64_t number = 0;
	unsigned int digits = 0;
	int byte = first;

	for (; byte >= '0' && byte <= '9' && digits < 10; byte = getc(from), digits++)
		number = number * 10 + (uint64_t)(byte - '0');
	if (!digits || byte != end || number > UINT32_MAX)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static bool read_row(FILE *from, uint32_t *ret_pixels, uint32_t width)
{
	uint8_t untrusted_row[ICON_SIDE_MAX * 4], *pixel = untrusted_row;
	uint32_t i;

	if (fread(untrusted_row, 4, width, from) != width)
		return false;
	/* Any four bytes are a pixel. */
	for (i = 0; i < width; i++, pixel += 4)
		ret_pixels[i] = (uint32_t)pixel[3] << 24 | (uint32_t)pixel[0] << 16 |
				(uint32_t)pixel[1] << 8 | pixel[2];
	return true;
}

int icon_read(FILE *from, struct icon *ret_icon)
{
	uint32_t row;
	int first = getc(from);

	if (first == EOF)
		return 0;
	if (!read_number(from, first, '\n', &ret_icon->window) ||
	    !read_number(from, getc(from), ' ', &ret_icon->width) ||
	    !read_number(from, getc(from), '\n', &ret_icon->height))
		return -EPROTO;
	if (!ret_icon->width || ret_icon->width > ICON_SIDE_MAX || !ret_icon->height ||
	    ret_icon->height > ICON_SIDE_MAX)
		return -EPROTO;
	for (row = 0; row < ret_icon->height; row++)
		if (!read_row(from, ret_icon->pixels + (size_t)row * ret_icon->width,
			      ret_icon->width))
			return -EPROTO;
	return 1;
}
