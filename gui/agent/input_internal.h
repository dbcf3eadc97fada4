/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What input.c and keyboard.c share. */
#ifndef AGENT_INPUT_INTERNAL_H
#define AGENT_INPUT_INTERNAL_H

#include <wayland-server-core.h>

struct agent;
struct window;
struct wlr_input_device;
struct wlr_seat;

struct input {
	struct agent *agent;
	struct wlr_seat *seat;
	struct wlr_input_device *keyboard;
	struct window *focus;	/* of the keyboard, or NULL */
	struct window *pointer; /* that the pointer is in, or NULL */
	double offset_x,
		offset_y; /* from that window's coordinates to those of the surface in it */

	struct wl_event_source *grab_limit; /* runs while somebody else has grabbed the pointer */
	struct wl_listener modifiers;
	struct wl_listener set_selection, set_primary, start_drag;
};

/* 0 or -errno. */
int keyboard_create(struct input *input);

#endif
