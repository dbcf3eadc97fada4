// SPDX-License-Identifier: GPL-2.0-or-later
// The text by which the GUI domain says which monitors it has.
#include "layout.h"

#include "../common/protocol.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS	      4
#define FIELDS_SIZE   6 /* with the size in millimetres */
#define NUMBER_DIGITS 6

/* A decimal number at *at, with blanks before it; false: there is none. */
static bool number(const char **at, const char *end, int *ret_value)
{
	bool minus = false;
	int value = 0, digits;

	while (*at < end && (**at == ' ' || **at == '\t'))
		++*at;
	if (*at < end && **at == '-') {
		minus = true;
		++*at;
	}
	for (digits = 0; *at < end && **at >= '0' && **at <= '9'; digits++, ++*at) {
		if (digits == NUMBER_DIGITS)
			return false;
		value = value * 10 + (**at - '0');
	}
	*ret_value = minus ? -value : value;
	return digits > 0;
}

/* One line without its end. */
static bool parse_line(const char *at, const char *end, struct layout_monitor *ret_monitor)
{
	int fields[FIELDS_SIZE] = {0}, count = 0;

	while (count < FIELDS_SIZE && number(&at, end, &fields[count]))
		count++;
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
		at++;
	if (at != end || (count != FIELDS && count != FIELDS_SIZE))
		return false;
	*ret_monitor = (struct layout_monitor){.width = fields[0],
					       .height = fields[1],
					       .x = fields[2],
					       .y = fields[3]};
	return ret_monitor->width > 0 && ret_monitor->height > 0 &&
	       ret_monitor->width <= (int)GUI_MAX_WIDTH &&
	       ret_monitor->height <= (int)GUI_MAX_WIDTH;
}

/* Moves everything so that it begins at (0, 0); false: it is too large. */
static bool normalize(struct layout *layout)
{
	int left = INT_MAX, top = INT_MAX, right = INT_MIN, bottom = INT_MIN;
	size_t i;

	for (i = 0; i < layout->count; i++) {
		const struct layout_monitor *monitor = &layout->monitors[i];

		left = monitor->x < left ? monitor->x : left;
		top = monitor->y < top ? monitor->y : top;
		right = monitor->x + monitor->width > right ? monitor->x + monitor->width : right;
		bottom = monitor->y + monitor->height > bottom ? monitor->y + monitor->height
							       : bottom;
	}
	for (i = 0; i < layout->count; i++) {
		layout->monitors[i].x -= left;
		layout->monitors[i].y -= top;
	}
	layout->width = right - left;
	layout->height = bottom - top;
	return layout->width <= (int)GUI_MAX_WIDTH && layout->height <= (int)GUI_MAX_WIDTH;
}

int layout_parse(const char *text, size_t length, struct layout *ret_layout)
{
	struct layout layout = {0};
	const char *end = text + length, *line_end;

	if (length > LAYOUT_TEXT_MAX)
		return -EINVAL;
	for (; text < end; text = line_end + 1) {
		line_end = memchr(text, '\n', (size_t)(end - text));
		if (!line_end)
			line_end = end;
		if (line_end == text)
			continue;
		if (layout.count == LAYOUT_MONITORS_MAX ||
		    !parse_line(text, line_end, &layout.monitors[layout.count]))
			return -EINVAL;
		layout.count++;
	}
	if (!layout.count || !normalize(&layout))
		return -EINVAL;
	*ret_layout = layout;
	return 0;
}
