/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows as the daemon knows them: what they should look like, what was told, what is still to be told. */
#ifndef AGENT_WINDOW_H
#define AGENT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include <pixman.h>
#include <wayland-server-core.h>
#include <wlr/util/box.h>

#include "../common/grant.h"
#include "../common/protocol.h"

struct agent;
struct window;
struct wlr_surface;

/* What a kind of window (xdg_shell's, X11's) does. */
struct window_ops {
	/* The daemon says where the window is and how large. */
	void (*configure)(struct window *window, const struct wlr_box *box);
	void (*activate)(struct window *window, bool active);
	void (*close)(struct window *window);
	/* The daemon says what was reached: GUI_FLAG_* that changed. */
	void (*flags)(struct window *window, uint32_t set, uint32_t unset);
	/* A commit of the window's surface: brings window->crop and what depends on it up to date. */
	void (*committed)(struct window *window);
};

enum {
	WINDOW_DIRTY_CLASS = 1 << 0,
	WINDOW_DIRTY_TITLE = 1 << 1,
	WINDOW_DIRTY_HINTS = 1 << 2,
	WINDOW_DIRTY_FLAGS = 1 << 3,
	WINDOW_DIRTY_CONFIGURE = 1 << 4,
	WINDOW_DIRTY_DUMP = 1 << 5,
	WINDOW_DIRTY_CURSOR = 1 << 6,
	WINDOW_DIRTY_ALL = (1 << 7) - 1,
};

/* An image that the daemon may still be reading. */
struct retired {
	struct wl_list link;
	struct gui_buffer *buffer;
	uint32_t dump; /* may go when this many dumps were acknowledged */
};

struct window {
	struct agent *agent;
	const struct window_ops *ops;
	struct wl_list link; /* agent.windows */
	uint32_t id;
	uint32_t x11_window; /* its number in Xwayland; 0: a Wayland client's */

	/* What it should be. Set by the functions below. */
	struct wlr_box box; /* on the screen, without any frame */
	bool override_redirect, docked;
	bool mapped; /* has something to show */
	struct window *parent;
	struct gui_wmname title;
	struct gui_wmclass class;
	struct gui_hints hints;
	uint32_t flags;	 /* GUI_FLAG_* that are wanted */
	uint32_t cursor; /* GUI_CURSOR_* */

	/* What the daemon knows. */
	bool created, shown;
	uint32_t flags_told;
	uint32_t dirty;
	uint32_t dumps_sent, dumps_acked;

	/* Its contents. */
	struct wlr_surface *surface; /* NULL while there is none */
	struct wlr_box crop;	     /* which part of the surface the window is */
	struct gui_buffer *buffer;   /* image_width * image_height pixels */
	int image_width, image_height;
	bool no_pages;		  /* reported */
	pixman_region32_t damage; /* of the image, not told yet */
	struct wl_list retired;

	bool frame_wanted, minimized;
	uint32_t last_frame;
};

/* `window` starts unmapped, with a number of its own. The caller frees it after window_finish(). */
void window_init(struct window *window, struct agent *agent, const struct window_ops *ops);
/* Tells the daemon that it is gone. */
void window_finish(struct window *window);

/* NULL: there is none of that number. */
struct window *window_by_id(struct agent *agent, uint32_t id);
/* The topmost window at a place of the screen, or NULL. */
struct window *window_at(struct agent *agent, int x, int y);

void window_set_title(struct window *window, const char *text);
void window_set_class(struct window *window, const char *class_name, const char *instance);
void window_set_hints(struct window *window, const struct gui_hints *hints);
void window_set_flags(struct window *window, uint32_t flags);
void window_set_cursor(struct window *window, uint32_t cursor);
/* Position and size that the qube's side asks for, or has taken. */
void window_set_box(struct window *window, const struct wlr_box *box);
void window_set_parent(struct window *window, struct window *parent);
/* What the daemon decided; it gets its answer, and the window's client hears of it. */
void window_configured(struct window *window, const struct wlr_box *box);

void window_map(struct window *window, struct wlr_surface *surface);
void window_unmap(struct window *window);
void window_raise(struct window *window);

/*
 * Makes the image this large, in pixels. True if there is an image now; *ret_fresh says whether it is a new
 * one, without contents. False: no pages can be shared; that was reported, and an older image stays.
 */
bool window_resize_image(struct window *window, int width, int height, bool *ret_fresh);
/* The image has changed there. */
void window_damage(struct window *window, pixman_region32_t *region);

/* Tells the daemon as much of what is new as it can take now. */
void window_sync(struct window *window);
void windows_sync(struct agent *agent);

/* The daemon has come (with nothing known to it), has gone. */
void windows_connected(struct agent *agent);
void windows_disconnected(struct agent *agent);
/* It has acknowledged a dump, a destruction. */
void window_dump_acked(struct window *window);
void windows_destroy_acked(struct agent *agent, uint32_t id);

#endif
