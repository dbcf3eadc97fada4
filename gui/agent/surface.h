/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client surfaces: their pixels go into the images of windows, their frame callbacks are paced. */
#ifndef AGENT_SURFACE_H
#define AGENT_SURFACE_H

#include <stdbool.h>
#include <stdint.h>

#include <wayland-server-core.h>

struct agent;
struct window;
struct wlr_compositor;
struct wlr_surface;

/* One wl_surface of any role. */
struct surface {
	struct agent *agent;
	struct wlr_surface *wlr;
	struct window *window; /* that it is the root of; NULL: none, or not shown */

	/* A private copy of its buffer, only in windows of several surfaces; NULL: there is none. */
	uint32_t *shadow;
	int shadow_width, shadow_height;
	bool shadow_opaque;

	uint64_t layout;     /* of the tree below a root, when it was last painted */
	int crop_x, crop_y;  /* as the image was last filled */
	bool callback_waits; /* no window shows it, but its client waits for a frame */

	struct wl_list link; /* agent.surfaces */
	struct wl_listener commit, destroy, new_subsurface;
	struct wl_listener part_destroy; /* when it stops being a subsurface */
};

/* Follows all surfaces of the compositor. 0 or -errno. */
int surfaces_create(struct agent *agent, struct wlr_compositor *compositor);
void surfaces_destroy(struct agent *agent);

/* `window` was mapped, is going to be unmapped: its surface is its contents, is no more. */
void surface_show(struct window *window);
void surface_hide(struct window *window);

/* Brings the whole image of a window up to date, as far as there are pixels, and tells the daemon. */
void surface_refresh(struct window *window);

/* frame.c: lets those clients draw that may do so now; arms the timer for the others. */
void frames_update(struct agent *agent);
/* A surface was committed: `window` shows it (NULL: none does). */
void frame_committed(struct surface *surface, struct window *window);
/* 0 or -errno. */
int frames_create(struct agent *agent);
void frames_destroy(struct agent *agent);

#endif
