/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text by which the GUI domain says which monitors it has. */
#ifndef AGENT_LAYOUT_H
#define AGENT_LAYOUT_H

#include <stddef.h>

#define LAYOUT_MONITORS_MAX 16
#define LAYOUT_TEXT_MAX	    4096 /* bytes */

struct layout_monitor {
	int x, y, width, height; /* pixels; the layout begins at (0, 0) */
};

struct layout {
	size_t count; /* 1 to LAYOUT_MONITORS_MAX */
	struct layout_monitor monitors[LAYOUT_MONITORS_MAX];
	int width, height; /* of all */
};

/*
 * Reads lines of "width height x y [width_mm height_mm]", the request of qubes.SetMonitorLayout. The size in
 * millimetres is not used. 0, or -EINVAL for what is no layout; then *ret_layout is untouched.
 */
int layout_parse(const char *text, size_t length, struct layout *ret_layout);

#endif
