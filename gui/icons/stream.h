/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stream of qubes.WindowIconUpdater: icons of a qube's windows, one after the other. */
#ifndef GUI_ICON_STREAM_H
#define GUI_ICON_STREAM_H

#include <stdint.h>
#include <stdio.h>

/* Pixels of a side. */
#define ICON_SIDE_MAX 256u

struct icon {
	uint32_t window; /* the agent's number of it */
	uint32_t width, height;
	uint32_t pixels[ICON_SIDE_MAX * ICON_SIDE_MAX]; /* alpha highest, then red, green, blue */
};

/*
 * Reads one: the number of the window in decimal and a newline, "WIDTH HEIGHT" and a newline, four bytes of each
 * pixel (red, green, blue, alpha). Waits for it. 1; 0: the end, between two icons; -EPROTO: no such thing;
 * *ret_icon is then not to be used.
 */
int icon_read(FILE *from, struct icon *ret_icon);

#endif
